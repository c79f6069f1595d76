package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Text returns the text at key, or def if it is absent. A number or boolean counts
// as its text.
func (o *Object) Text(key, def string) string {
	o.note(key, Key{Kind: Text, Default: def})
	return o.text(key, def)
}

func (o *Object) text(key, def string) string {
	raw := o.value(key)
	if raw == nil {
		return def
	}
	s, ok := text(raw)
	if !ok {
		o.wrong(key, "text")
		return def
	}
	return s
}

func text(raw json.RawMessage) (string, bool) {
	if raw[0] == '{' || raw[0] == '[' {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	return string(raw), true
}

// Required returns a text that must be there and not be empty.
func (o *Object) Required(key string) string {
	before := o.r.Failures()
	s := o.Text(key, "")
	o.r.uses.at(join(o.pattern, key)).required++
	if s == "" && o.r.Failures() == before {
		o.Fail(key, errors.New("is missing"))
	}
	return s
}

// Need reports those of keys that are not there. It does not count as reading them.
func (o *Object) Need(keys ...string) {
	for _, key := range keys {
		o.r.uses.at(join(o.pattern, key)).required++
		if !o.Has(key) {
			o.Fail(key, errors.New("is missing"))
		}
	}
}

// OneOf returns the one of choices, which are in lower case, that the text at key
// is whatever its case, or def if it is absent or empty.
func (o *Object) OneOf(key, def string, choices ...string) string {
	s := strings.ToLower(strings.TrimSpace(o.text(key, "")))
	o.note(key, Key{Kind: Text, Default: def, Choices: choices})
	switch {
	case s == "":
		return def
	case slices.Contains(choices, s):
		return s
	default:
		o.Failf(key, "%q is not one of %s", s, strings.Join(choices, ", "))
		return def
	}
}

// Flag returns the boolean at key, or def if it is absent.
func (o *Object) Flag(key string, def bool) bool {
	s := strings.ToLower(o.text(key, ""))
	o.note(key, Key{Kind: Flag, Default: strconv.FormatBool(def)})
	switch s {
	case "":
		return def
	case "true":
		return true
	case "false":
		return false
	default:
		o.wrong(key, "true or false")
		return def
	}
}

// Int returns the whole number from low to high at key, or def if it is absent. It
// may be written as text, also hexadecimal with 0x.
func (o *Object) Int(key string, def, low, high int64) int64 {
	s := strings.TrimSpace(o.text(key, ""))
	o.note(key, Key{Kind: Int, Default: strconv.FormatInt(def, 10), Low: float64(low), High: float64(high)})
	if s == "" {
		return def
	}
	n, ok := integer(s)
	if !ok || n < low || n > high {
		o.wrong(key, fmt.Sprintf("a whole number from %d to %d", low, high))
		return def
	}
	return n
}

func integer(s string) (int64, bool) {
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		n, err := strconv.ParseInt(hex, 16, 64)
		return n, err == nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(s, 64)
	return int64(x), err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53
}

// Float returns the number from low to high at key, or def if it is absent. It may
// be written as text.
func (o *Object) Float(key string, def, low, high float64) float64 {
	o.note(key, Key{Kind: Float, Default: strconv.FormatFloat(def, 'g', -1, 64), Low: low, High: high})
	return o.float(key, def, low, high)
}

func (o *Object) float(key string, def, low, high float64) float64 {
	s := strings.TrimSpace(o.text(key, ""))
	if s == "" {
		return def
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || x < low || x > high {
		o.wrong(key, fmt.Sprintf("a number from %v to %v", low, high))
		return def
	}
	return x
}

// maxDuration is the longest time that a configuration can name.
const maxDuration = 366 * 24 * time.Hour

// Duration returns the time at key, a number of units from zero to a year, or def if
// it is absent.
func (o *Object) Duration(key string, unit, def time.Duration) time.Duration {
	x := o.float(key, -1, 0, float64(maxDuration)/float64(unit))
	o.note(key, Key{Kind: Time, Default: def.String(), Unit: unit})
	if x < 0 {
		return def
	}
	return time.Duration(x * float64(unit))
}
