package ftp

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// A template is a value of the configuration, compiled for each sort of file.
type template struct {
	columns []part         // ${column}
	slices  []part         // [from:to]
	tree    *expr.Template // ${path}
}

// A part of a template is text, a column's name, or a slice.
type part struct {
	text   string
	column bool
	slice  *slice
}

// A slice is some of the characters of a text. Numbers below zero count from its end.
type slice struct {
	from, to int
	open     bool // to the end
}

var slicePattern = regexp.MustCompile(`\[(-?\d{0,9}):(-?\d{0,9})\]`)

func compileTemplate(text string, compatible bool) template {
	return template{columns: compileColumns(text, compatible), slices: compileSlices(text), tree: expr.Compile(text)}
}

// compileColumns finds the placeholders of columns. The Python gateway fills in the
// first one only.
func compileColumns(text string, compatible bool) []part {
	var parts []part
	for {
		before, rest, found := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed || compatible && len(parts) > 0 {
			break
		}
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !compatible {
			name = strings.TrimSpace(name)
		}
		parts = append(parts, part{text: name, column: true})
		text = after
		if compatible {
			break
		}
	}
	if text != "" {
		parts = append(parts, part{text: text})
	}
	return parts
}

func compileSlices(text string) []part {
	var parts []part
	at := 0
	for _, m := range slicePattern.FindAllStringSubmatchIndex(text, -1) {
		from, errFrom := number32(text[m[2]:m[3]])
		to, errTo := number32(text[m[4]:m[5]])
		if errFrom != nil || errTo != nil {
			continue
		}
		if m[0] > at {
			parts = append(parts, part{text: text[at:m[0]]})
		}
		parts = append(parts, part{slice: &slice{from: from, to: to, open: m[4] == m[5]}})
		at = m[1]
	}
	if at < len(text) {
		parts = append(parts, part{text: text[at:]})
	}
	return parts
}

// number32 returns the number that digits are, and zero for none.
func number32(digits string) (int, error) {
	if digits == "" {
		return 0, nil
	}
	return strconv.Atoi(digits)
}

// cut returns the characters of b.
func (s *slice) cut(b []byte) []byte {
	n := utf8.RuneCount(b)
	at := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	from, to := at(s.from), n
	if !s.open {
		to = at(s.to)
	}
	if from >= to {
		return nil
	}
	if n == len(b) {
		return b[from:to]
	}
	return b[offset(b, from):offset(b, to)]
}

// offset returns where the i-th character of b is.
func offset(b []byte, i int) (at int) {
	for ; i > 0; i-- {
		_, size := utf8.DecodeRune(b[at:])
		at += size
	}
	return at
}

// A row is a line of a file, or an object of it. Its memory is used for the next one.
type row struct {
	kind       kind
	compatible bool
	header     map[string]int  // of a table
	fields     [][]byte        // of a line
	object     *fastjson.Value // of JSON
	scratch    expr.Scratch    // for conversions
	buf        []byte          // for a text
	unquoted   []byte          // for fields with quotes
	missing    string          // the first template without a value
}

// fill appends the text of t to dst. It reports false if something is missing.
func (r *row) fill(dst []byte, t *template) ([]byte, bool) {
	switch {
	case r.kind == jsonFile && r.compatible:
		return r.fillLiteral(dst, t.tree), true
	case r.kind == jsonFile:
		return t.tree.Append(dst, r.object)
	case r.kind == slicedFile:
		for _, p := range t.slices {
			if p.slice == nil {
				dst = append(dst, p.text...)
			} else if len(r.fields) > 0 {
				dst = append(dst, p.slice.cut(r.fields[0])...)
			}
		}
		return dst, true
	}
	for _, p := range t.columns {
		if !p.column {
			dst = append(dst, p.text...)
			continue
		}
		i, ok := r.header[p.text]
		if !ok || i >= len(r.fields) {
			if r.missing == "" {
				r.missing = p.text
			}
			return dst, false
		}
		dst = append(dst, r.fields[i]...)
	}
	return dst, true
}

// fillLiteral fills a template in as Python shows values. A placeholder without one
// stays as it is.
func (r *row) fillLiteral(dst []byte, t *expr.Template) []byte {
	paths := t.Paths()
	i := 0
	text, _ := t.Expand(func(name string, _ bool) (string, error) { // lookup has no errors
		v := paths[i].First(r.object)
		i++
		if v == nil {
			return "${" + name + "}", nil
		}
		return string(expr.AppendPythonText(nil, v)), nil
	})
	return append(dst, text...)
}

// text returns the text of a name's template.
func (r *row) text(t *template, what string) (string, error) {
	var ok bool
	if r.buf, ok = r.fill(r.buf[:0], t); !ok || len(r.buf) == 0 {
		return "", fmt.Errorf("%s: %q has no value", what, t.tree)
	}
	return r.scratch.Strings.String(r.buf), nil
}
