package convertertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Diff compares two JSON documents and returns a line for each difference, or an
// empty text if there is none.
//
// The comparison is exact but for the order of the members of objects. Numbers
// are equal if their values are and their kinds: a number with a point or an
// exponent is not a whole number, so 5 and 5.0 differ. Lists of messages, which
// are objects with a deviceName and telemetry or attributes, are compared by
// contents: by device, by time (now, in Unix milliseconds, counts as "NOW"), in
// whatever order; one message is a list of one, and null an empty list.
func Diff(want, got json.RawMessage, now int64) string {
	w, err := decode(want)
	if err != nil {
		return fmt.Sprintf("what is expected is not JSON: %v", err)
	}
	g, err := decode(got)
	if err != nil {
		return fmt.Sprintf("the result is not JSON: %v", err)
	}
	w, g = topLevel(w, g), topLevel(g, w)
	var d differences
	d.compare("", normal(w, now), normal(g, now))
	return strings.Join(d, "\n")
}

func decode(raw json.RawMessage) (x any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&x); err != nil {
		return nil, fmt.Errorf("convertertest: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("convertertest: something follows the document")
	}
	return x, nil
}

// topLevel gives a document the form in which lists of messages are compared.
func topLevel(x, other any) any {
	if isMessage(x) {
		return []any{x}
	}
	if m, ok := x.(map[string]any); ok && len(m) == 1 {
		if list, ok := m["messages"].([]any); ok {
			return list
		}
	}
	if _, list := other.([]any); x == nil && (list || isMessage(other)) {
		return []any{}
	}
	return x
}

// normal brings the lists of messages in x into a normal form.
func normal(x any, now int64) any {
	switch t := x.(type) {
	case map[string]any:
		n := make(map[string]any, len(t))
		for key, value := range t {
			n[key] = normal(value, now)
		}
		return n
	case []any:
		if len(t) > 0 && !slices.ContainsFunc(t, func(e any) bool { return !isMessage(e) }) {
			return messages(t, now)
		}
		n := make([]any, len(t))
		for i, value := range t {
			n[i] = normal(value, now)
		}
		return n
	}
	return x
}

// differences are lines that each say where two documents differ.
type differences []string

func (d *differences) add(path string, want, got any) {
	if path == "" {
		path = "result"
	}
	*d = append(*d, fmt.Sprintf("%s: want %s, got %s", path, text(want), text(got)))
}

// absent is a member that is not there.
type absent struct{}

func text(x any) string {
	if _, ok := x.(absent); ok {
		return "nothing"
	}
	raw, err := json.Marshal(x)
	if err != nil {
		return fmt.Sprint(x)
	}
	return string(raw)
}

func (d *differences) compare(path string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			d.objects(path, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			d.lists(path, w, g)
			return
		}
	case json.Number:
		if g, ok := got.(json.Number); ok && sameNumber(w.String(), g.String()) {
			return
		}
	default:
		switch got.(type) {
		case map[string]any, []any:
		default:
			if want == got {
				return
			}
		}
	}
	d.add(path, want, got)
}

func (d *differences) objects(path string, want, got map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		at := strings.TrimPrefix(path+"."+key, ".")
		if g, ok := got[key]; ok {
			d.compare(at, want[key], g)
		} else {
			d.add(at, want[key], absent{})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			d.add(strings.TrimPrefix(path+"."+key, "."), absent{}, got[key])
		}
	}
}

func (d *differences) lists(path string, want, got []any) {
	for i := range max(len(want), len(got)) {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(got):
			d.add(at, want[i], absent{})
		case i >= len(want):
			d.add(at, absent{}, got[i])
		default:
			d.compare(at, want[i], got[i])
		}
	}
}

// sameNumber reports whether two numbers have one kind and one value.
func sameNumber(a, b string) bool {
	if whole(a) != whole(b) {
		return false
	}
	if whole(a) {
		return a == b || strings.TrimPrefix(a, "-") == "0" && strings.TrimPrefix(b, "-") == "0"
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

func whole(number string) bool { return !strings.ContainsAny(number, ".eE") }
