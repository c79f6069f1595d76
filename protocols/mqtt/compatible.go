package mqtt

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The conversions of the reference gateway that differ from ours, for dashboards
// that were built on their results.

// legacyName returns the text of a template in which a placeholder without a value
// stays as it is.
func legacyName(t *expr.Template, root *fastjson.Value) string {
	return legacyText(t, root, func(p *expr.Path) string { return "${" + p.String() + "}" })
}

// legacyText returns the text of a template with values as Python prints them.
func legacyText(t *expr.Template, root *fastjson.Value, missing func(*expr.Path) string) string {
	paths := t.Paths()
	i := -1
	text, _ := t.Expand(func(string, bool) (string, error) { // lookup has no errors
		i++
		v := paths[i].First(root)
		if v == nil {
			return missing(paths[i]), nil
		}
		return string(appendPython(nil, v, false)), nil
	})
	return text
}

// legacyValue converts the text of a template: a placeholder without a value is
// the text None, and a value that is nothing else is missing.
func (pt *jsonPoint) legacyValue(root *fastjson.Value, s *expr.Scratch) (telemetry.Value, expr.Outcome) {
	const none = "None"
	text := legacyText(pt.value, root, func(*expr.Path) string { return none })
	if text == none {
		return telemetry.Value{}, expr.Missing
	}
	if pt.typ == expr.Int {
		if f, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
			return s.Number(f, expr.Int)
		}
	}
	return s.Text([]byte(text), pt.typ)
}

// legacyTime returns the time of a reading, or zero: a text at the last segment of
// the configured path, wherever it is nested, or else the message's time.
func (c *jsonConverter) legacyTime(pt *jsonPoint, root *fastjson.Value) int64 {
	if pt.time != nil {
		path := pt.time.String()
		v := findDeep(root, path[strings.LastIndexByte(path, '.')+1:])
		if v != nil && v.Type() == fastjson.TypeString {
			text := string(v.GetStringBytes())
			if _, err := strconv.ParseFloat(text, 64); err != nil {
				if ts, ok := pt.format.Parse(text); ok {
					return ts
				}
			}
		}
	}
	return c.messageTime(root)
}

// legacySeries converts the time series with the time of the first reading that
// has one for all that follow it.
func (c *jsonConverter) legacySeries(root *fastjson.Value, topic string, s *expr.Scratch, out *telemetry.Batch) {
	var ts int64
	for i := range c.timeseries {
		pt := &c.timeseries[i]
		p, ok := c.point(pt, root, topic, s)
		if !ok {
			continue
		}
		if ts == 0 && !c.useReceivedTime {
			ts = c.legacyTime(pt, root)
		}
		p.TS = ts
		out.AddTelemetry(p)
	}
}

// appendPython appends v as Python's str prints it, or, nested, as its repr.
func appendPython(dst []byte, v *fastjson.Value, nested bool) []byte {
	switch v.Type() {
	case fastjson.TypeNull:
		return append(dst, "None"...)
	case fastjson.TypeTrue:
		return append(dst, "True"...)
	case fastjson.TypeFalse:
		return append(dst, "False"...)
	case fastjson.TypeString:
		if nested {
			return appendPythonString(dst, v.GetStringBytes())
		}
		return append(dst, v.GetStringBytes()...)
	case fastjson.TypeArray:
		dst = append(dst, '[')
		for i, item := range v.GetArray() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendPython(dst, item, true)
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
			dst = append(appendPythonString(dst, key), ": "...)
			dst = appendPython(dst, item, true)
		})
		return append(dst, '}')
	default:
		return expr.AppendText(dst, v)
	}
}

// appendPythonString appends the repr of a text.
func appendPythonString(dst, text []byte) []byte {
	quote := byte('\'')
	if bytes.IndexByte(text, '\'') >= 0 && bytes.IndexByte(text, '"') < 0 {
		quote = '"'
	}
	dst = append(dst, quote)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == rune(quote) || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case unicode.IsPrint(r):
			dst = append(dst, text[:size]...)
		default:
			dst = appendPythonEscape(dst, r)
		}
		text = text[size:]
	}
	return append(dst, quote)
}

func appendPythonEscape(dst []byte, r rune) []byte {
	digits, prefix := 8, `\U`
	switch {
	case r < 0x100:
		digits, prefix = 2, `\x`
	case r < 0x10000:
		digits, prefix = 4, `\u`
	}
	hex := strconv.FormatInt(int64(r), 16)
	dst = append(dst, prefix...)
	dst = append(dst, strings.Repeat("0", digits-len(hex))...)
	return append(dst, hex...)
}
