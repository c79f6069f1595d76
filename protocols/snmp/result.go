package snmp

import (
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

type shape uint8

const (
	scalar shape = iota
	list
	object
	table
)

// A result is what a method read.
type result struct {
	shape    shape
	readings []reading
	rows     []row
}

// A reading is one value. In a row its oid is the number of the column.
type reading struct {
	oid    string
	value  telemetry.Value
	octets bool // it is an OCTET STRING
}

type row struct {
	index   string
	columns []reading
}

// value returns r as a value: numbers are numbers, also in lists, objects and
// tables.
func (r result) value() telemetry.Value {
	switch r.shape {
	case scalar:
		if len(r.readings) == 0 {
			return telemetry.Value{}
		}
		return r.readings[0].value
	case list:
		return r.list()
	case table:
		return document(r.indexed())
	default:
		return document(appendObject(nil, r.readings, appendNative))
	}
}

// text returns r in the form of the reference gateway's readings: all values of an
// object are text, and a table is a list of rows with the index as column 0.
func (r result) text() telemetry.Value {
	switch r.shape {
	case object:
		return document(appendObject(nil, r.readings, appendText))
	case table:
		doc := []byte{'['}
		for i, row := range r.rows {
			if i > 0 {
				doc = append(doc, ',')
			}
			doc = appendObject(doc, row.withIndex(), appendText)
		}
		return document(append(doc, ']'))
	default:
		return r.value()
	}
}

func (r row) withIndex() []reading {
	return append([]reading{{oid: "0", value: telemetry.String(r.index)}}, r.columns...)
}

// list returns texts with commas in between, and anything else as a JSON list.
func (r result) list() telemetry.Value {
	texts := make([]string, 0, len(r.readings))
	doc := []byte{'['}
	for i, e := range r.readings {
		if e.value.Kind() == telemetry.KindString {
			texts = append(texts, e.value.String())
		}
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = e.value.AppendJSON(doc)
	}
	if len(texts) == len(r.readings) {
		return telemetry.String(strings.Join(texts, ","))
	}
	return document(append(doc, ']'))
}

func (r result) indexed() []byte {
	doc := []byte{'{'}
	for i, row := range r.rows {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(telemetry.AppendString(doc, row.index), ':')
		doc = appendObject(doc, row.columns, appendNative)
	}
	return append(doc, '}')
}

func document(doc []byte) telemetry.Value {
	return telemetry.Restore(telemetry.KindJSON, 0, string(doc))
}

func appendObject(doc []byte, readings []reading, value func([]byte, reading) []byte) []byte {
	doc = append(doc, '{')
	for i, e := range readings {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(telemetry.AppendString(doc, e.oid), ':')
		doc = value(doc, e)
	}
	return append(doc, '}')
}

func appendNative(doc []byte, r reading) []byte { return r.value.AppendJSON(doc) }

func appendText(doc []byte, r reading) []byte {
	return telemetry.AppendString(doc, r.value.String())
}

// python returns r as the text that the reference gateway answers remote procedure
// calls with, which is that of Python: {'1.3.6.1': b'text', '1.3.6.2': 5}.
func (r result) python() string {
	switch r.shape {
	case scalar:
		return r.value().String()
	case list:
		return "[" + joined(r.readings, appendPython) + "]"
	case table:
		rows := make([]string, len(r.rows))
		for i, row := range r.rows {
			rows[i] = "{" + joined(row.withIndex(), appendPythonMember) + "}"
		}
		return "[" + strings.Join(rows, ", ") + "]"
	default:
		return "{" + joined(r.readings, appendPythonMember) + "}"
	}
}

func joined(readings []reading, value func([]byte, reading) []byte) string {
	var b []byte
	for i, e := range readings {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = value(b, e)
	}
	return string(b)
}

func appendPythonMember(b []byte, r reading) []byte {
	b = append(appendQuoted(b, r.oid), ": "...)
	return appendPython(b, r)
}

func appendPython(b []byte, r reading) []byte {
	if r.value.Kind() != telemetry.KindString {
		return append(b, r.value.String()...)
	}
	if r.octets {
		b = append(b, 'b')
	}
	return appendQuoted(b, r.value.String())
}

func appendQuoted(b []byte, s string) []byte {
	if strings.ContainsAny(s, "'\\\n\r\t") {
		s = strconv.Quote(s)
		s = strings.ReplaceAll(strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`), "'", `\'`)
	}
	return append(append(append(b, '\''), s...), '\'')
}
