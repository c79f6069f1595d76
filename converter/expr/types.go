package expr

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Type is the type of value that a configuration asks for.
type Type uint8

// The types. Auto keeps the JSON type of the value.
const (
	Auto Type = iota
	String
	Int
	Float
	Bool
	JSON
)

// TypeOf returns the type of the given name, which it reads as generously as the
// reference gateway: case does not matter, a name that contains "int" or "long"
// is an integer, one that contains "bool" a boolean, and an unknown name means
// text. No name at all means Auto.
func TypeOf(name string) Type {
	name = strings.ToLower(strings.TrimSpace(name))
	switch {
	case name == "":
		return Auto
	case strings.Contains(name, "str"):
		return String
	case strings.Contains(name, "int"), strings.Contains(name, "long"):
		return Int
	case name == "float", name == "double":
		return Float
	case strings.Contains(name, "bool"):
		return Bool
	case name == "json":
		return JSON
	default:
		return String
	}
}

// Outcome says what became of a value.
type Outcome uint8

// The outcomes of a conversion.
const (
	Converted Outcome = iota
	Kept              // it does not have the type asked for, and stays text
	Missing           // it is absent or null
)

// A Scratch is the memory that conversions reuse. It is not safe for concurrent
// use; the Interner may be shared. The zero Scratch is ready to use.
type Scratch struct {
	Strings *Interner
	Mode    Mode // of all conversions

	buf []byte
}

// Value converts v, which may be nil. The result refers to no memory of v.
func (s *Scratch) Value(v *fastjson.Value, t Type) (telemetry.Value, Outcome) {
	if v == nil {
		return telemetry.Value{}, Missing
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return telemetry.Value{}, Missing
	default:
	}
	if s.Mode == Reference && t != Auto {
		return s.referenceValue(v, t)
	}
	switch v.Type() {
	case fastjson.TypeString:
		return s.Text(v.GetStringBytes(), t)
	case fastjson.TypeNumber:
		s.buf = v.MarshalTo(s.buf[:0])
		return s.numeral(s.buf, t)
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return s.boolean(v.Type() == fastjson.TypeTrue, t)
	default:
		return s.document(v, t)
	}
}

// Template converts what the template makes of the message root.
func (s *Scratch) Template(tpl *Template, root *fastjson.Value, t Type) (telemetry.Value, Outcome) {
	if p := tpl.Path(); p != nil {
		return s.Value(p.First(root), t)
	}
	text, complete := s.Fill(tpl, root)
	switch {
	case s.Mode == Reference:
		return s.referenceText(text, t)
	case !complete:
		return telemetry.Value{}, Missing
	default:
		return s.Text(text, t)
	}
}

// Fill returns the text that the template makes of the message root. It is not
// complete if a placeholder is missing: with [Recommended] it ends there, with
// [Reference] it has None in its place. The text is valid until s is used again.
func (s *Scratch) Fill(tpl *Template, root *fastjson.Value) (text []byte, complete bool) {
	if s.Mode == Reference {
		s.buf, complete = tpl.appendReference(s.buf[:0], root)
	} else {
		s.buf, complete = tpl.Append(s.buf[:0], root)
	}
	return s.buf, complete
}

// String returns what the template makes of the message root, as text. It reports
// false if a placeholder is missing.
func (s *Scratch) String(tpl *Template, root *fastjson.Value) (string, bool) {
	text, complete := s.Fill(tpl, root)
	if !complete {
		return "", false
	}
	return s.Strings.String(text), true
}

// numeral converts a number of JSON. It does not retain b, which may be s.buf.
func (s *Scratch) numeral(b []byte, t Type) (telemetry.Value, Outcome) {
	if c := b[0]; c != '-' && !isDigit(c) {
		return telemetry.Value{}, Missing // the parser lets nan and inf pass
	}
	switch t {
	case Auto, JSON:
		if n, ok := integer(b); ok {
			return telemetry.Int(n), Converted
		}
		if f, ok := parseFloat(b); ok && !wholeText(b) && !math.IsInf(f, 0) {
			return telemetry.Float(f), Converted
		}
		return telemetry.String(s.Strings.String(b)), Kept
	case String:
		s.buf = normalizeNumber(append(s.buf[:0], b...), 0)
		return telemetry.String(s.Strings.String(s.buf)), Converted
	default:
		return s.Text(b, t)
	}
}

func (s *Scratch) boolean(on bool, t Type) (telemetry.Value, Outcome) {
	switch t {
	case Auto, JSON, Bool:
		return telemetry.Bool(on), Converted
	case String:
		return telemetry.String(strconv.FormatBool(on)), Converted
	default:
		return telemetry.String(strconv.FormatBool(on)), Kept
	}
}

func (s *Scratch) document(v *fastjson.Value, t Type) (telemetry.Value, Outcome) {
	s.buf = v.MarshalTo(s.buf[:0])
	switch t {
	case Auto, JSON:
		doc, err := telemetry.JSON(s.buf)
		if err != nil {
			return telemetry.Value{}, Missing
		}
		return doc, Converted
	case String:
		return telemetry.String(s.Strings.String(s.buf)), Converted
	default:
		return telemetry.String(s.Strings.String(s.buf)), Kept
	}
}

// Text converts a text. It does not retain b.
func (s *Scratch) Text(b []byte, t Type) (telemetry.Value, Outcome) {
	if s.Mode == Reference && t != Float && t != Bool {
		return s.referenceText(b, t)
	}
	switch t {
	case Int:
		if n, ok := parseInt(b); ok {
			return telemetry.Int(n), Converted
		}
	case Float:
		if f, ok := parseFloat(b); ok {
			return telemetry.Float(f), Converted
		}
	case Bool:
		if on, ok := parseBool(b); ok {
			return telemetry.Bool(on), Converted
		}
	case JSON:
		if doc, err := telemetry.JSON(b); err == nil && (b[0] == '{' || b[0] == '[') {
			return doc, Converted
		}
	default:
		return telemetry.String(s.Strings.String(b)), Converted
	}
	return telemetry.String(s.Strings.String(b)), Kept
}

// parseInt reads an integer, or the whole part of a decimal number.
func parseInt(b []byte) (int64, bool) {
	if n, ok := integer(b); ok {
		return n, true
	}
	if wholeText(b) {
		return 0, false // beyond 64 bits
	}
	f, ok := parseFloat(b)
	if !ok {
		return 0, false
	}
	return truncate(f)
}

// truncate returns the whole part of f if it fits 64 bits.
func truncate(f float64) (int64, bool) {
	if math.IsNaN(f) || f >= 1<<63 || f < -1<<63 {
		return 0, false
	}
	return int64(f), true
}

// integer reads a decimal integer that fits 64 bits.
func integer(b []byte) (int64, bool) {
	if d, ok := readDecimal(b); ok {
		return d.digits, !d.point
	}
	if len(b) > 20 || !wholeText(b) {
		return 0, false // an error of strconv would cost an allocation
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

func wholeText(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// parseFloat reads a number as Python's float does: blanks around it and single
// underscores between digits are allowed, hexadecimal is not.
func parseFloat(b []byte) (float64, bool) {
	if d, ok := readDecimal(b); ok {
		if f, exact := d.float(); exact {
			return f, true
		}
	}
	if f, err := strconv.ParseFloat(string(b), 64); err == nil && !slices.ContainsFunc(b, isHexMark) {
		return f, true
	}
	text := strings.TrimSpace(string(b))
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '_' && isDigit(text[i-1]) && isDigit(text[i+1]) {
			text = text[:i] + text[i+1:]
		}
	}
	if strings.ContainsAny(text, "xX_pP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && math.IsInf(f, 0) {
		return f, true // too large: infinite, as in Python
	}
	return f, err == nil
}

func isHexMark(c byte) bool { return c == 'x' || c == 'X' || c == '_' || c == 'p' || c == 'P' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func parseBool(b []byte) (on, ok bool) {
	if len(b) > 5 {
		return false, false
	}
	switch strings.ToLower(string(b)) {
	case "y", "yes", "t", "true", "on", "1":
		return true, true
	case "n", "no", "f", "false", "off", "0":
		return false, true
	default:
		return false, false
	}
}
