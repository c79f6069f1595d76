package ftp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A kind is a sort of file.
type kind uint8

const (
	noKind kind = iota
	tableFile
	slicedFile
	jsonFile
)

// kindOf returns the kind of a file by its name. A txt is sliced where the path says
// so.
func kindOf(name string) kind {
	switch strings.ToLower(path.Ext(name)) {
	case ".csv", ".txt":
		return tableFile
	case ".json":
		return jsonFile
	default:
		return noKind
	}
}

// A point is a compiled Datapoint.
type point struct {
	Datapoint
	value  template
	typ    expr.Type
	when   *template       // nil: the row's time
	field  *expr.TimeField // the same of JSON
	format expr.TimeFormat
	isTime bool // it is the time of the row
}

// compilePoints compiles the datapoints at key.
func compilePoints(p Path, key string, list []Datapoint, compatible bool) ([]point, error) {
	var points []point
	var errs []error
	onlyJSON := kindOf(p.Pattern) == jsonFile
	for i, d := range list {
		if d.Key == "" {
			errs = append(errs, fmt.Errorf("%s[%d].key: is missing", key, i))
		}
		format := expr.TimeFormat{DayFirst: d.DayFirst, YearFirst: d.YearFirst}
		pt := point{Datapoint: d, value: compileTemplate(d.Value, compatible), typ: expr.TypeOf(d.Type), format: format}
		if compatible {
			pt.typ = expr.String
		}
		if onlyJSON {
			if err := pt.value.tree.Check(); err != nil {
				errs = append(errs, fmt.Errorf("%s[%d].value: %w", key, i, err))
			}
		}
		if d.TimeField != "" {
			when := compileTemplate(d.TimeField, false)
			pt.when, pt.field = &when, expr.CompileTimeField(d.TimeField, format)
		}
		pt.isTime = key == "timeseries" && (d.Key == "ts" || d.Key == "timestamp")
		if pt.Report == nil {
			pt.Report = p.Report
		}
		points = append(points, pt)
	}
	return points, errors.Join(errs...)
}

// A content is the rows of what was read of a file.
type content struct {
	p      *files
	row    row
	lines  []line
	items  []*fastjson.Value
	parser fastjson.Parser
	header string // first line of a table
}

// A line is a line of a file without what ends it.
type line struct {
	text  []byte
	start int  // in what was read
	ended bool // by a line feed
}

var errShape = errors.New("it is neither a JSON object nor an array of them")

// open finds the rows in data. The header is that of a table of which data is a later
// part, or empty.
func (p *files) open(name string, data []byte, header string) (*content, error) {
	c := &content{p: p}
	c.row = row{kind: kindOf(name), compatible: p.compatible, scratch: expr.Scratch{Strings: &p.strings}}
	if p.compatible {
		c.row.scratch.Mode = expr.Reference
	}
	if c.row.kind == tableFile && p.Sliced && strings.HasSuffix(strings.ToLower(name), ".txt") {
		c.row.kind = slicedFile
	}
	if c.row.kind == jsonFile {
		return c, c.openJSON(data)
	}
	c.lines = splitLines(data, p.compatible)
	if c.row.kind == tableFile {
		c.openTable(header)
	}
	return c, nil
}

const bom = "\xef\xbb\xbf"

func (c *content) openJSON(data []byte) error {
	data = bytes.TrimPrefix(data, []byte(bom))
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	root, err := c.parser.ParseBytes(data)
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	switch root.Type() {
	case fastjson.TypeObject:
		c.items = []*fastjson.Value{root}
	case fastjson.TypeArray:
		c.items = root.GetArray()
	default:
		return errShape
	}
	return nil
}

// openTable reads the header, which is the first line if none is given.
func (c *content) openTable(header string) {
	if header == "" && len(c.lines) > 0 {
		header = string(c.lines[0].text)
		c.lines = c.lines[1:]
	}
	c.header = header
	c.row.header = make(map[string]int)
	c.row.split([]byte(header), c.p.Delimiter)
	for i, name := range c.row.fields {
		if !c.p.compatible {
			name = bytes.TrimSpace(name)
		}
		if _, twice := c.row.header[string(name)]; !twice {
			c.row.header[string(name)] = i
		}
	}
}

// splitLines returns the lines that are not empty, without the carriage returns that
// the Python gateway keeps. What is not UTF-8 is replaced.
func splitLines(data []byte, compatible bool) []line {
	var lines []line
	at := 0
	if bytes.HasPrefix(data, []byte(bom)) {
		at = len(bom)
	}
	for at < len(data) {
		l := line{start: at}
		end := bytes.IndexByte(data[at:], '\n')
		if l.ended = end >= 0; l.ended {
			l.text = data[at : at+end]
			at += end + 1
		} else {
			l.text = data[at:]
			at = len(data)
		}
		if !compatible {
			l.text = bytes.TrimSuffix(l.text, []byte{'\r'})
		}
		if !utf8.Valid(l.text) {
			l.text = bytes.ToValidUTF8(l.text, []byte("\uFFFD"))
		}
		if len(l.text) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// len returns the number of rows.
func (c *content) len() int { return len(c.lines) + len(c.items) }

// convert adds what row i says to out. A reading without a time has that of the stamp.
// Nothing is added if there is an error.
func (c *content) convert(i int, stamp int64, out *telemetry.Batch) error {
	r := &c.row
	r.object = nil
	if r.kind == jsonFile {
		if r.object = c.items[i]; r.object.Type() != fastjson.TypeObject {
			return fmt.Errorf("element %d: %w", i, errShape)
		}
	} else {
		r.split(c.lines[i].text, c.p.Delimiter)
	}
	name, err := r.text(&c.p.name, "devicePatternName")
	if err != nil {
		return err
	}
	profile, err := r.text(&c.p.profile, "devicePatternType")
	if err != nil {
		return err
	}
	out.Device(name, profile)
	for i := range c.p.attributes {
		pt := &c.p.attributes[i]
		if v, ok := r.value(pt); ok {
			out.AddAttribute(telemetry.Point{Key: pt.Key, Value: v, Report: pt.Report})
		}
	}
	rowTime := r.time(c.p.timeseries)
	for i := range c.p.timeseries {
		pt := &c.p.timeseries[i]
		if pt.isTime && r.kind != jsonFile {
			continue
		}
		if v, ok := r.value(pt); ok {
			out.AddTelemetry(telemetry.Point{Key: pt.Key, Value: v, TS: cmp.Or(r.pointTime(pt, rowTime), stamp), Report: pt.Report})
		}
	}
	return nil
}

// value returns the value of a key, unless it is missing.
func (r *row) value(pt *point) (telemetry.Value, bool) {
	if r.kind == jsonFile && !r.compatible {
		v, outcome := r.scratch.Template(pt.value.tree, r.object, pt.typ)
		return v, outcome != expr.Missing
	}
	var ok bool
	if r.buf, ok = r.fill(r.buf[:0], &pt.value); !ok {
		return telemetry.Value{}, false
	}
	typ := pt.typ
	if typ == expr.Auto {
		typ = expr.String
	}
	v, outcome := r.scratch.Text(r.buf, typ)
	return v, outcome != expr.Missing
}

// time returns the time of the row in Unix milliseconds, or zero: that of an object,
// or of the keys ts or timestamp of a line.
func (r *row) time(points []point) int64 {
	if r.kind == jsonFile {
		ms, _ := expr.MessageTime(r.object)
		return ms
	}
	for i := range points {
		if !points[i].isTime {
			continue
		}
		if ms, ok := r.parseTime(&points[i].value, points[i].format); ok {
			return ms
		}
	}
	return 0
}

// pointTime returns the time of a reading, or zero.
func (r *row) pointTime(pt *point, rowTime int64) int64 {
	switch {
	case pt.when == nil:
	case r.kind == jsonFile:
		if ms, ok := pt.field.Find(r.object); ok {
			return ms
		}
	default:
		if ms, ok := r.parseTime(pt.when, pt.format); ok {
			return ms
		}
	}
	return rowTime
}

func (r *row) parseTime(t *template, format expr.TimeFormat) (int64, bool) {
	var ok bool
	if r.buf, ok = r.fill(r.buf[:0], t); !ok {
		return 0, false
	}
	return format.Parse(string(bytes.TrimSpace(r.buf)))
}

// split splits a line at the delimiters into fields. A field may stand between
// quotes, in which two are one; the Python gateway knows none.
func (r *row) split(b []byte, delimiter string) {
	r.fields, r.unquoted = r.fields[:0], r.unquoted[:0]
	for {
		if !r.compatible && r.kind == tableFile && len(b) > 0 && b[0] == '"' {
			if field, rest, ok := r.quoted(b, delimiter); ok {
				r.fields = append(r.fields, field)
				if rest == nil {
					return
				}
				b = rest
				continue
			}
		}
		at := bytes.Index(b, []byte(delimiter))
		if at < 0 {
			r.fields = append(r.fields, b)
			return
		}
		r.fields = append(r.fields, b[:at])
		b = b[at+len(delimiter):]
	}
}

// quoted returns the field at the start of b, and what follows its delimiter, or nil.
// It reports false if the field does not end with a quote.
func (r *row) quoted(b []byte, delimiter string) (field, rest []byte, ok bool) {
	start := len(r.unquoted)
	for i := 1; i < len(b); i++ {
		if b[i] != '"' {
			r.unquoted = append(r.unquoted, b[i])
			continue
		}
		after := b[i+1:]
		switch {
		case len(after) == 0:
			return r.unquoted[start:], nil, true
		case after[0] == '"':
			r.unquoted = append(r.unquoted, '"')
			i++
		case bytes.HasPrefix(after, []byte(delimiter)):
			return r.unquoted[start:], after[len(delimiter):], true
		default:
			r.unquoted = r.unquoted[:start]
			return nil, nil, false
		}
	}
	r.unquoted = r.unquoted[:start]
	return nil, nil, false
}
