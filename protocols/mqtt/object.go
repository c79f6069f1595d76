package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An object is a JSON object of a configuration file. Reading a key that has the
// wrong type records a problem; keys that nobody reads are warned about.
type object struct {
	problems
	load   *loader
	fields map[string]json.RawMessage
	read   map[string]bool
}

// object reads raw as an object. What is no object is a problem, and empty.
func (l *loader) object(raw json.RawMessage, p problems) *object {
	o := &object{problems: p, load: l, read: make(map[string]bool)}
	if len(raw) == 0 {
		return o
	}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		p.add("", errors.New("is not an object"))
	}
	return o
}

// raw returns the value of key, or nil if it is absent or null.
func (o *object) raw(key string) json.RawMessage {
	o.read[key] = true
	raw := o.fields[key]
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil
	}
	return raw
}

// ignore marks keys as known.
func (o *object) ignore(keys ...string) {
	for _, key := range keys {
		o.read[key] = true
	}
}

// unused marks keys as known, and logs those that are there: nothing follows from
// them.
func (o *object) unused(keys ...string) {
	for _, key := range keys {
		if o.has(key) {
			o.log(key, slog.LevelInfo, "the key does not apply to this gateway")
		}
	}
}

// oneOf records that a text is none of those that there are.
func (o *object) oneOf(key, text, choice string) {
	o.add(key, fmt.Errorf("%q is not one of %s", text, choice))
}

func (o *object) wrong(key, want string) {
	o.add(key, fmt.Errorf("%s is not %s", shorten(o.fields[key]), want))
}

func shorten(raw json.RawMessage) string {
	const most = 40
	if len(raw) > most {
		return string(raw[:most]) + "..."
	}
	return string(raw)
}

// text returns a string; a number or boolean counts as its text.
func (o *object) text(key string) string {
	raw := o.raw(key)
	if raw == nil {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if raw[0] == '{' || raw[0] == '[' {
		o.wrong(key, "text")
		return ""
	}
	return string(raw)
}

// required returns a string that must not be empty.
func (o *object) required(key string) string {
	s := o.text(key)
	if s == "" && !o.failed(key) {
		o.add(key, errors.New("is missing"))
	}
	return s
}

// failed reports whether a problem with key is known already.
func (o *object) failed(key string) bool {
	prefix := o.join(key) + ":"
	return slices.ContainsFunc(*o.list, func(err error) bool { return strings.HasPrefix(err.Error(), prefix) })
}

// flag returns a boolean, or def if key is absent.
func (o *object) flag(key string, def bool) bool {
	switch text := strings.ToLower(o.text(key)); text {
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

// number returns an integer between low and high, or def if key is absent.
func (o *object) number(key string, def, low, high int64) int64 {
	text := o.text(key)
	if text == "" {
		return def
	}
	f, err := strconv.ParseFloat(text, 64)
	if n := int64(f); err == nil && float64(n) == f && n >= low && n <= high {
		return n
	}
	o.wrong(key, fmt.Sprintf("a whole number from %d to %d", low, high))
	return def
}

// millis returns a duration that is given in milliseconds.
func (o *object) millis(key string) time.Duration {
	return time.Duration(o.number(key, 0, 0, 1<<31)) * time.Millisecond
}

// qos returns a quality of service. The third level is no better than the second
// for a gateway that may repeat what it sends.
func (o *object) qos(key string, def int64) byte {
	n := o.number(key, def, 0, 2)
	if n == 2 {
		o.warn(key, "QoS 2 is used as QoS 1")
	}
	return byte(min(n, 1))
}

// elements returns the elements of an array. The reference gateway writes an empty
// object for an empty list.
func (o *object) elements(key string) []json.RawMessage {
	raw := o.raw(key)
	if raw == nil {
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil && !empty(raw) {
		o.wrong(key, "a list")
	}
	return items
}

// empty reports whether raw is an object without members.
func empty(raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(raw, &members) == nil && len(members) == 0
}

// object returns the object at key, which is empty if absent.
func (o *object) object(key string) *object { return o.load.object(o.raw(key), o.at(key)) }

// has reports whether key is present and not null.
func (o *object) has(key string) bool { return o.raw(key) != nil }

// finish warns about the keys that were not read.
func (o *object) finish() {
	for _, key := range slices.Sorted(maps.Keys(o.fields)) {
		if !o.read[key] {
			o.warn(key, "unknown key is ignored")
		}
	}
}

// warn logs about a key, once for all elements of a list.
func (o *object) warn(key, text string) { o.log(key, slog.LevelWarn, text) }

func (o *object) log(key string, level slog.Level, text string) {
	path := o.join(key)
	generic := indexPattern.ReplaceAllString(path, "[]") + text
	if o.load.warned[generic] {
		return
	}
	o.load.warned[generic] = true
	o.load.env.Logger.Log(context.Background(), level, text, slog.String("key", path)) //nolint:sloglint // the callers' messages are literals
}
