package rest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A document is the data of a request and the memory to take values out of it: those
// that were found in it, or the whole, parsed.
type document struct {
	scanned bool // found counts, and there is no root
	found   expr.Found
	times   []int64 // by time series, of found

	parser  fastjson.Parser
	arena   fastjson.Arena
	scratch expr.Scratch
}

// A jsonConverter converts data as an Endpoint says.
type jsonConverter struct {
	name, profile name
	attributes    []jsonPoint
	timeseries    []jsonPoint
	compatible    bool

	messageTime  *expr.TimeField // of a key that names no field
	fields       *expr.Fields    // all that is converted; nil: that needs the whole message
	messageField *expr.FieldTime // messageTime, of fields
	strings      expr.Interner
	documents    sync.Pool
}

// A jsonPoint is a compiled Datapoint.
type jsonPoint struct {
	key       name
	value     *expr.Template
	field     *expr.Field // value, if it is found without parsing the message
	typ       expr.Type
	time      *expr.TimeField // nil: the message's
	timeField *expr.FieldTime // time, if it is found without parsing the message
	report    *telemetry.ReportPolicy
}

// A name is a compiled Expression.
type name struct {
	text     string
	template *expr.Template // nil: text counts
	field    *expr.Field    // template, if it is found without parsing the message
	legacy   bool           // placeholders without a value stay
}

func compileName(e Expression, legacy bool, key string, p problems) name {
	n := name{text: e.Text, legacy: legacy}
	if e.Text == "" {
		p.add(key, errMissing)
	}
	if t := expr.Compile(e.Text); !e.Constant && !t.Constant() {
		n.template = t
		p.add(key, t.Check())
	}
	return n
}

func compileJSON(e *Endpoint, compatible bool, p problems) *jsonConverter {
	info, profile := p.at("deviceInfo"), e.Device.Profile
	if profile.Text == "" {
		profile = Expression{"default", true}
	}
	c := &jsonConverter{
		name:        compileName(e.Device.Name, compatible, "deviceNameExpression", info),
		profile:     compileName(profile, compatible, "deviceProfileExpression", info),
		compatible:  compatible,
		messageTime: expr.CompileTimeField("", expr.TimeFormat{}),
	}
	for i, d := range e.Attributes {
		c.attributes = append(c.attributes, compilePoint(d, compatible, p.item("attributes", i)))
	}
	for i, d := range e.Timeseries {
		c.timeseries = append(c.timeseries, compilePoint(d, compatible, p.item("timeseries", i)))
	}
	if f := new(expr.Fields); !compatible && c.addFields(f) {
		c.fields = f
	}
	mode := expr.Recommended
	if compatible {
		mode = expr.Reference
	}
	c.documents.New = func() any { return &document{scratch: expr.Scratch{Strings: &c.strings, Mode: mode}} }
	return c
}

func compilePoint(d Datapoint, compatible bool, p problems) jsonPoint {
	pt := jsonPoint{
		key:    compileName(Expression{Text: d.Key}, compatible, "key", p),
		value:  expr.Compile(d.Value),
		typ:    expr.TypeOf(d.Type),
		report: d.Report,
	}
	p.add("value", pt.value.Check())
	if d.TimeField != "" || compatible {
		pt.time = expr.CompileTimeField(d.TimeField, expr.TimeFormat{DayFirst: d.DayFirst, YearFirst: d.YearFirst})
	}
	return pt
}

func (n *name) addFields(f *expr.Fields) (ok bool) {
	if n.template == nil {
		return true
	}
	n.field, ok = f.AddTemplate(n.template)
	return ok
}

// addFields adds all that c converts to what is looked for in messages. It reports false
// if that needs the whole message.
func (c *jsonConverter) addFields(f *expr.Fields) (ok bool) {
	if !c.name.addFields(f) || !c.profile.addFields(f) {
		return false
	}
	for _, list := range [][]jsonPoint{c.attributes, c.timeseries} {
		for i := range list {
			pt := &list[i]
			if !pt.key.addFields(f) {
				return false
			}
			if pt.field, ok = f.AddTemplate(pt.value); !ok {
				return false
			}
			if pt.time == nil {
				continue
			}
			if pt.timeField, ok = f.AddTime(pt.time); !ok {
				return false
			}
		}
	}
	c.messageField, ok = f.AddTime(c.messageTime)
	return ok
}

// scan looks for all that c converts in a message that is nothing but an object. It
// reports false if the message has to be parsed.
func (c *jsonConverter) scan(d *document, m *Message) bool {
	if c.fields == nil || len(m.Params) > 0 || strings.HasPrefix(m.ContentType, "multipart/") ||
		!c.fields.Scan(validUTF8(m.Body), &d.found) || empty(m.Body) {
		return false
	}
	d.times = d.times[:0]
	message, _, _ := c.messageField.Read(&d.found)
	for i := range c.timeseries {
		ts := message
		if field := c.timeseries[i].timeField; field != nil {
			var ok bool
			if ts, _, ok = field.Read(&d.found); !ok {
				return false
			}
		}
		d.times = append(d.times, ts)
	}
	return true
}

// empty reports whether an object has no members.
func empty(body []byte) bool { return len(bytes.TrimSpace(bytes.TrimLeft(body, " \t\r\n{"))) <= 1 }

// ConvertUplink implements UplinkConverter. An element of an array that does not
// convert costs the others nothing; the error names the first one.
func (c *jsonConverter) ConvertUplink(m Message, out *telemetry.Batch) error {
	d := c.documents.Get().(*document)
	defer c.documents.Put(d)
	if d.scanned = c.scan(d, &m); d.scanned {
		return c.convert(d, nil, out)
	}
	root, err := d.data(&m, c.compatible)
	if err != nil {
		return err
	}
	if root.Type() != fastjson.TypeArray {
		return c.convert(d, root, out)
	}
	bad := 0
	for i, item := range root.GetArray() {
		e := error(errScalar)
		if item.Type() == fastjson.TypeObject {
			e = c.convert(d, item, out)
		}
		if e == nil {
			continue
		}
		if bad++; bad == 1 {
			err = fmt.Errorf("element %d of %d: %w", i, len(root.GetArray()), e)
		}
	}
	return err
}

// convert converts root, an object, which is nil if the message was scanned.
func (c *jsonConverter) convert(d *document, root *fastjson.Value, out *telemetry.Batch) error {
	device, ok := c.name.resolve(d, root)
	if !ok || device == "" {
		return &failure{http.StatusUnprocessableEntity, fmt.Sprintf("device name: %q has no value in the data", c.name.text)}
	}
	profile, ok := c.profile.resolve(d, root)
	if !ok {
		return &failure{http.StatusUnprocessableEntity, fmt.Sprintf("device profile: %q has no value in the data", c.profile.text)}
	}
	out.Device(device, profile)
	for i := range c.attributes {
		if p, ok := c.point(&c.attributes[i], d, root); ok {
			out.AddAttribute(p)
		}
	}
	var message int64
	if !d.scanned && !c.compatible {
		message, _ = c.messageTime.Read(root, expr.Recommended)
	}
	for i := range c.timeseries {
		pt := &c.timeseries[i]
		p, ok := c.point(pt, d, root)
		if !ok {
			continue
		}
		switch {
		case d.scanned:
			p.TS = d.times[i]
		case pt.time != nil:
			p.TS, _ = pt.time.Read(root, d.scratch.Mode)
		default:
			p.TS = message
		}
		out.AddTelemetry(p)
	}
	return nil
}

// resolve returns the text that the expression yields.
func (n *name) resolve(d *document, root *fastjson.Value) (string, bool) {
	switch {
	case n.template == nil:
		return n.text, true
	case d.scanned:
		return d.scratch.FieldString(n.field, &d.found)
	}
	text, ok := d.scratch.String(n.template, root)
	if ok || !n.legacy {
		return text, ok
	}
	paths, i := n.template.Paths(), -1
	text, err := n.template.Expand(func(placeholder string, _ bool) (string, error) {
		i++
		if v := paths[i].First(root); v != nil {
			return string(expr.AppendPythonText(nil, v)), nil
		}
		return "${" + placeholder + "}", nil
	})
	return text, err == nil
}

// point converts one key. It reports false if the key or its value is missing. A value
// that does not have the type stays text.
func (c *jsonConverter) point(pt *jsonPoint, d *document, root *fastjson.Value) (telemetry.Point, bool) {
	key, ok := pt.key.resolve(d, root)
	if !ok || key == "" {
		return telemetry.Point{}, false
	}
	var v telemetry.Value
	outcome := expr.Converted
	switch {
	case d.scanned:
		v, outcome = d.scratch.Field(pt.field, &d.found, pt.typ)
	case c.compatible:
		v, ok = pythonText(pt.value, d, root)
	default:
		v, outcome = d.scratch.Template(pt.value, root, pt.typ)
	}
	if !ok || outcome == expr.Missing {
		return telemetry.Point{}, false
	}
	return telemetry.Point{Key: key, Value: v, Report: pt.report}, true
}

// pythonText returns the value that the Python gateway makes, which is always a text. It
// reports false if there is none at all.
func pythonText(t *expr.Template, d *document, root *fastjson.Value) (telemetry.Value, bool) {
	some := t.Constant()
	for _, p := range t.Paths() {
		v := p.First(root)
		some = some || v != nil && v.Type() != fastjson.TypeNull
	}
	if !some {
		return telemetry.Value{}, false
	}
	b, _ := d.scratch.Fill(t, root)
	return telemetry.String(string(b)), true
}

// validUTF8 returns b without the bytes that are not UTF-8.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, nil)
}

// reasonOf returns the status and the reason for an error of a converter.
func reasonOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return &failure{f.status, err.Error()}
	}
	return &failure{http.StatusUnprocessableEntity, err.Error()}
}
