package rest

import (
	"encoding/json"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A text is a template of something that is sent, with ${name} placeholders. In JSON,
// what they stand for is made JSON, wherever they are.
type text struct {
	parts []part
	json  bool
}

// A part is a literal, and the placeholder behind it.
type part struct {
	literal string
	name    string // empty: none
	inside  bool   // the placeholder is inside a text of the JSON
}

// compileText compiles a template. It is JSON if it is an object or an array, or if it is
// known to be and can be.
func compileText(s string, isJSON bool) text {
	var t text
	var probe strings.Builder
	inside := false
	for s != "" {
		literal, rest, found := strings.Cut(s, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			literal, name, after = s, "", ""
		}
		inside = endsInside(literal, inside)
		t.parts = append(t.parts, part{literal, strings.TrimSpace(name), inside})
		probe.WriteString(literal)
		if name != "" {
			probe.WriteByte('0')
		}
		s = after
	}
	start := strings.TrimLeft(probe.String(), " \t\r\n")
	t.json = (isJSON || strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[")) && json.Valid([]byte(probe.String()))
	return t
}

// endsInside reports whether the end of a piece of JSON is inside a text.
func endsInside(literal string, inside bool) bool {
	for i := 0; i < len(literal); i++ {
		switch {
		case literal[i] == '\\' && inside:
			i++
		case literal[i] == '"':
			inside = !inside
		}
	}
	return inside
}

// uses reports whether t has a placeholder.
func (t text) uses(name string) bool {
	for _, p := range t.parts {
		if p.name == name {
			return true
		}
	}
	return false
}

// fill returns t with its placeholders filled in. The first error of lookup ends it.
func (t text) fill(lookup func(name string) (telemetry.Value, error)) ([]byte, error) {
	var dst []byte
	for _, p := range t.parts {
		dst = append(dst, p.literal...)
		if p.name == "" {
			continue
		}
		v, err := lookup(p.name)
		switch {
		case err != nil:
			return nil, err
		case t.json && p.inside:
			quoted := telemetry.AppendString(nil, v.String())
			dst = append(dst, quoted[1:len(quoted)-1]...)
		case t.json:
			dst = v.AppendJSON(dst)
		default:
			dst = append(dst, v.String()...)
		}
	}
	return dst, nil
}

// fillURL returns t, a URL, with its placeholders filled in and escaped.
func (t text) fillURL(lookup func(name string) (telemetry.Value, error)) (string, error) {
	plain := text{parts: t.parts}
	b, err := plain.fill(func(name string) (telemetry.Value, error) {
		v, err := lookup(name)
		return telemetry.String(escape(v.String())), err
	})
	return string(b), err
}

// escape escapes all that has a meaning in any part of a URL.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
