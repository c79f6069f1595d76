package expr

import (
	"math"
	"math/big"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Mode says whose conversions a [Scratch] makes.
type Mode uint8

const (
	// Recommended keeps what a message says: integers are exact, objects and
	// arrays are JSON, true is true, and what is missing is left out.
	Recommended Mode = iota

	// Reference converts as the Python gateway does, for installations that
	// depend on it: a value becomes Python's text of it first (True, 1.0,
	// {'x': 1}), a missing part of a longer text is None, and integers are
	// rounded to floats on the way. Three things differ even so: an infinite
	// integer stays text, where the Python gateway drops the rest of the message;
	// an integer beyond 64 bits is the text of its digits; and without a type the
	// JSON type counts.
	Reference
)

// AppendPythonText appends what Python's str makes of v to dst.
func AppendPythonText(dst []byte, v *fastjson.Value) []byte {
	if v != nil && v.Type() == fastjson.TypeString {
		return append(dst, v.GetStringBytes()...)
	}
	return appendPythonRepr(dst, v)
}

func appendPythonRepr(dst []byte, v *fastjson.Value) []byte {
	if v == nil {
		return append(dst, "None"...)
	}
	switch v.Type() {
	case fastjson.TypeTrue:
		return append(dst, "True"...)
	case fastjson.TypeFalse:
		return append(dst, "False"...)
	case fastjson.TypeNumber:
		return appendPythonNumber(dst, v)
	case fastjson.TypeString:
		return appendQuoted(dst, string(v.GetStringBytes()))
	case fastjson.TypeArray:
		dst = append(dst, '[')
		for i, item := range v.GetArray() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendPythonRepr(dst, item)
		}
		return append(dst, ']')
	case fastjson.TypeObject:
		dst = append(dst, '{')
		first := true
		v.GetObject().Visit(func(key []byte, item *fastjson.Value) {
			if !first {
				dst = append(dst, ", "...)
			}
			first = false
			dst = appendQuoted(dst, string(key))
			dst = appendPythonRepr(append(dst, ": "...), item)
		})
		return append(dst, '}')
	default:
		return append(dst, "None"...)
	}
}

func appendPythonNumber(dst []byte, v *fastjson.Value) []byte {
	start := len(dst)
	dst = v.MarshalTo(dst)
	raw := dst[start:]
	if wholeText(raw) {
		if n, ok := integer(raw); ok && n == 0 {
			return append(dst[:start], '0') // also -0
		}
		return dst
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !math.IsInf(f, 0) {
		return dst
	}
	return appendPythonFloat(dst[:start], f)
}

// appendReference appends the text of t for the message root as the Python
// gateway makes it: what is missing is None.
func (t *Template) appendReference(dst []byte, root *fastjson.Value) (out []byte, complete bool) {
	complete = true
	for i := range t.parts {
		p := &t.parts[i]
		if p.path == nil {
			dst = append(dst, p.literal...)
			continue
		}
		v := p.path.First(root)
		complete = complete && v != nil && v.Type() != fastjson.TypeNull
		dst = AppendPythonText(dst, v)
	}
	return dst, complete
}

// referenceValue converts a value by way of its text.
func (s *Scratch) referenceValue(v *fastjson.Value, t Type) (telemetry.Value, Outcome) {
	s.buf = AppendPythonText(s.buf[:0], v)
	return s.referenceText(s.buf, t)
}

// referenceText converts a text. One that says None is a missing value.
func (s *Scratch) referenceText(b []byte, t Type) (telemetry.Value, Outcome) {
	if string(b) == "None" {
		return telemetry.Value{}, Missing
	}
	switch t {
	case Int:
		f, ok := parseFloat(b)
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			break
		}
		if n, fits := truncate(f); fits {
			return telemetry.Int(n), Converted
		}
		digits, _ := big.NewFloat(f).Int(nil)
		return telemetry.String(digits.String()), Kept
	case Float, Bool:
		return s.Text(b, t)
	default:
		return telemetry.String(s.Strings.String(b)), Converted
	}
	return telemetry.String(s.Strings.String(b)), Kept
}
