package table

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// without returns what MQTT 3.1.1 shows of what MQTT 5 shows: no DISCONNECT, no
// reasons.
func without(want []string) []string {
	out := make([]string, 0, len(want))
	for _, w := range want {
		kind, rest, _ := strings.Cut(w, " ")
		switch kind {
		case "DISCONNECT":
			continue
		case "PUBACK":
			w = kind
		case "SUBACK":
			w = kind
			for code := range strings.FieldsSeq(rest) {
				if n, err := strconv.Atoi(code); err == nil && n >= 0x80 {
					code = "128"
				}
				w += " " + code
			}
		}
		out = append(out, w)
	}
	return out
}

// A matcher compares what came with what was expected.
type matcher struct {
	id string // what $id stands for
}

// all reports whether got is what was expected, as far as it has come: more may
// be missing, and complete says whether nothing is.
func (m *matcher) all(want, got []string) (right, complete bool) {
	if len(want) == 1 && strings.HasPrefix(want[0], "no ") {
		unwanted := strings.TrimPrefix(want[0], "no ")
		right = !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, unwanted) })
		return right, right
	}
	at := 0
	for i, g := range got {
		if at < len(want) && m.one(want[at], g) {
			at++
			continue
		}
		// The end may be announced, whether that was expected or not.
		announced := strings.HasPrefix(g, "DISCONNECT ") && at < len(want) && want[at] == "closed" && (at == 0 || !strings.HasPrefix(want[at-1], "DISCONNECT"))
		if !announced || i+1 < len(got) && got[i+1] != "closed" {
			return false, false
		}
	}
	return true, at == len(want)
}

// one compares two events.
func (m *matcher) one(want, got string) bool {
	if want == got {
		return true
	}
	wantKind, wantRest, _ := strings.Cut(want, " ")
	gotKind, gotRest, _ := strings.Cut(got, " ")
	if wantKind != gotKind {
		return false
	}
	switch wantKind {
	case "CONNACK":
		wantCodes, wantSession, _ := strings.Cut(wantRest, " ")
		gotCode, gotSession, _ := strings.Cut(gotRest, " ")
		return wantSession == gotSession && slices.Contains(strings.Split(wantCodes, "|"), gotCode)
	case "PUBLISH":
		wantTopic, wantPayload, _ := strings.Cut(wantRest, " ")
		gotTopic, gotPayload, _ := strings.Cut(gotRest, " ")
		return m.topic(wantTopic, gotTopic) && m.payload(wantPayload, gotPayload)
	case "REPLY":
		return m.payload(wantRest, gotRest)
	}
	return false
}

// topic compares topics, of which the last level may be $id.
func (m *matcher) topic(want, got string) bool {
	prefix, ok := strings.CutSuffix(want, "$id")
	if !ok {
		return want == got
	}
	id, ok := strings.CutPrefix(got, prefix)
	if ok {
		m.id = id
	}
	return ok
}

func (m *matcher) payload(want, got string) bool {
	if want == got {
		return true
	}
	w, err1 := decodeJSON(want)
	g, err2 := decodeJSON(got)
	return err1 == nil && err2 == nil && m.value(w, g)
}

// decodeJSON keeps numbers as they are written.
func decodeJSON(s string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// value compares JSON values; numbers count by their value.
func (m *matcher) value(want, got any) bool {
	switch w := want.(type) {
	case string:
		if n, ok := got.(json.Number); ok && w == "$id" {
			m.id = n.String()
			return true
		}
		return w == "$any" || w == got
	case json.Number:
		n, ok := got.(json.Number)
		return ok && sameNumber(w.String(), n.String())
	case []any:
		list, ok := got.([]any)
		return ok && slices.EqualFunc(w, list, m.value)
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(w) != len(object) {
			return false
		}
		for key, v := range w {
			if other, ok := object[key]; !ok || !m.value(v, other) {
				return false
			}
		}
		return true
	default:
		return want == got
	}
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}
