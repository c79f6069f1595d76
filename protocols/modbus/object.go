package modbus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A reader collects what is wrong with a configuration file, and which of its keys
// mean nothing, or nothing here.
type reader struct {
	errs    []error
	unknown []string
	idle    []string // known keys that have no effect
	left    []error  // why tags are left out
}

// leave notes that the tag at path is left out: the others do without it.
func (r *reader) leave(path string, err error) {
	r.left = append(r.left, fmt.Errorf("%s: %w", path, err))
}

func (r *reader) fail(path string, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...)))
}

// An object is a JSON object of the file and the path to it.
type object struct {
	r      *reader
	path   string
	fields map[string]json.RawMessage
}

func (r *reader) object(path string, doc json.RawMessage) (object, bool) {
	o := object{r: r, path: path}
	if err := json.Unmarshal(doc, &o.fields); err != nil || o.fields == nil {
		r.fail(path, "not an object")
		return o, false
	}
	return o, true
}

func (o object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// raw returns a member. Null is no member.
func (o object) raw(key string) (json.RawMessage, bool) {
	doc, ok := o.fields[key]
	return doc, ok && !bytes.Equal(bytes.TrimSpace(doc), []byte("null"))
}

func (o object) has(key string) bool {
	_, ok := o.raw(key)
	return ok
}

// text returns a text; numbers are taken as they are written.
func (o object) text(key, missing string) string {
	doc, ok := o.raw(key)
	if !ok {
		return missing
	}
	var s string
	if err := json.Unmarshal(doc, &s); err == nil {
		return s
	}
	var n json.Number
	if err := json.Unmarshal(doc, &n); err == nil {
		return n.String()
	}
	o.r.fail(o.at(key), "%s is not a text", doc)
	return missing
}

// number returns a number, which may be written as text; 0 if there is none.
func (o object) number(key string) float64 {
	if !o.has(key) {
		return 0
	}
	s := o.text(key, "")
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		o.r.fail(o.at(key), "%q is not a number", s)
		return 0
	}
	return x
}

// integer returns a whole number within bounds. It may be written as text, also
// hexadecimal with 0x.
func (o object) integer(key string, missing, low, high int) int {
	if !o.has(key) {
		return missing
	}
	s := o.text(key, "")
	n, err := parseNumber(s)
	if err != nil || n < low || n > high {
		o.r.fail(o.at(key), "%q is not a whole number from %d to %d", s, low, high)
		return missing
	}
	return n
}

func parseNumber(s string) (int, error) {
	s = strings.TrimSpace(s)
	if h, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		n, err := strconv.ParseUint(h, 16, 31)
		return int(n), err
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<31 {
		return int(x), nil
	}
	return 0, errors.New("not a whole number")
}

// duration returns a time given in unit.
func (o object) duration(key string, unit, missing time.Duration) time.Duration {
	if !o.has(key) {
		return missing
	}
	x := o.number(key)
	if x < 0 || x*float64(unit) > float64(365*24*time.Hour) {
		o.r.fail(o.at(key), "%v is not a time from 0 to a year", x)
		return missing
	}
	return time.Duration(x * float64(unit))
}

func (o object) flag(key string) bool {
	doc, ok := o.raw(key)
	if !ok {
		return false
	}
	var b bool
	if err := json.Unmarshal(doc, &b); err != nil {
		o.r.fail(o.at(key), "%s is neither true nor false", doc)
	}
	return b
}

// list returns the objects of an array.
func (o object) list(key string) []object {
	doc, ok := o.raw(key)
	if !ok {
		return nil
	}
	var docs []json.RawMessage
	if err := json.Unmarshal(doc, &docs); err != nil {
		o.r.fail(o.at(key), "not an array")
		return nil
	}
	var list []object
	for i, d := range docs {
		if e, ok := o.r.object(fmt.Sprintf("%s[%d]", o.at(key), i), d); ok {
			list = append(list, e)
		}
	}
	return list
}

// knows notes the members of o that are not among keys, by name.
func (o object) knows(keys ...string) {
	for key := range o.fields {
		if !slices.Contains(keys, key) && !slices.Contains(o.r.unknown, key) {
			o.r.unknown = append(o.r.unknown, key)
		}
	}
}

// idle notes those of the keys that say what cannot be, as they are there (or, where
// always is false, as they are false).
func (o object) idle(always bool, keys ...string) {
	for _, key := range keys {
		if o.has(key) && (always || !o.flag(key)) && !slices.Contains(o.r.idle, key) {
			o.r.idle = append(o.r.idle, key)
		}
	}
}
