package request

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A jsonConverter is a compiled JSONConfig.
type jsonConverter struct {
	name, profile *expr.Template
	attributes    []point
	timeseries    []point
	types         bool
	mode          expr.Mode
	messageTime   *expr.TimeField

	strings expr.Interner
	missing atomic.Uint64 // values that are not in their messages
	scratch sync.Pool
}

// A point is a compiled Datapoint.
type point struct {
	key, value *expr.Template
	typ        expr.Type
	time       *expr.TimeField // nil: that of the message
	report     *telemetry.ReportPolicy
}

func (cfg JSONConfig) compile(compatible bool, fail func(key string, err error)) *jsonConverter {
	if cfg.Device == "" {
		fail("deviceNameJsonExpression", errors.New("is missing"))
	}
	if cfg.Profile == "" {
		cfg.Profile = "default"
	}
	c := &jsonConverter{
		name: expr.Compile(cfg.Device), profile: expr.Compile(cfg.Profile), types: cfg.Types,
		messageTime: expr.CompileTimeField("", expr.TimeFormat{}),
	}
	if compatible {
		c.mode = expr.Reference
	}
	c.scratch.New = func() any { return &expr.Scratch{Strings: &c.strings} }
	fail("deviceNameJsonExpression", c.name.Check())
	fail("deviceTypeJsonExpression", c.profile.Check())
	c.attributes = compilePoints("attributes", cfg.Attributes, fail)
	c.timeseries = compilePoints("telemetry", cfg.Timeseries, fail)
	return c
}

func compilePoints(list string, points []Datapoint, fail func(key string, err error)) []point {
	compiled := make([]point, 0, len(points))
	for i, d := range points {
		at := fmt.Sprintf("%s[%d].", list, i)
		p := point{key: expr.Compile(d.Key), value: expr.Compile(d.Value), typ: expr.TypeOf(d.Type), report: d.Report}
		if d.Key == "" {
			fail(at+"key", errors.New("is missing"))
		}
		fail(at+"key", p.key.Check())
		fail(at+"value", p.value.Check())
		if d.TimeField != "" {
			p.time = expr.CompileTimeField(d.TimeField, expr.TimeFormat{DayFirst: d.DayFirst, YearFirst: d.YearFirst})
		}
		compiled = append(compiled, p)
	}
	return compiled
}

var errNoObject = errors.New("a message is not an object")

// convert adds a message to out. With types, values get the types of their datapoints
// whatever the configuration says.
func (c *jsonConverter) convert(root *fastjson.Value, types bool, out *telemetry.Batch) error {
	if t := root.Type(); t != fastjson.TypeObject && t != fastjson.TypeArray {
		return errNoObject
	}
	s := c.scratch.Get().(*expr.Scratch)
	defer c.scratch.Put(s)
	m := message{root, s, c.mode, c.types || types}
	name, ok := m.name(c.name, "None")
	if !ok || name == "" {
		return fmt.Errorf("device name: %q has no value in the message", c.name)
	}
	profile, ok := m.name(c.profile, c.profile.String())
	if !ok || profile == "" {
		return fmt.Errorf("device type: %q has no value in the message", c.profile)
	}
	out.Device(name, profile)
	for i := range c.attributes {
		if p, ok := c.point(&c.attributes[i], m); ok {
			out.AddAttribute(p)
		}
	}
	if len(c.timeseries) == 0 {
		return nil
	}
	at, _ := c.messageTime.Read(root, c.mode)
	for i := range c.timeseries {
		pt := &c.timeseries[i]
		p, ok := c.point(pt, m)
		if !ok {
			continue
		}
		p.TS = at
		if pt.time != nil {
			p.TS, _ = pt.time.Read(root, c.mode)
		}
		out.AddTelemetry(p)
	}
	return nil
}

// point converts one key. It reports false if the key or its value is missing.
func (c *jsonConverter) point(pt *point, m message) (telemetry.Point, bool) {
	key, ok := m.text(pt.key)
	ok = ok || m.mode == expr.Reference
	var v telemetry.Value
	outcome := expr.Missing
	if ok && key != "" {
		v, outcome = m.value(pt.value, pt.typ)
	}
	if outcome == expr.Missing {
		c.missing.Add(1)
		return telemetry.Point{}, false
	}
	return telemetry.Point{Key: key, Value: v, Report: pt.report}, true
}

// A message is one from which values are taken.
type message struct {
	root    *fastjson.Value
	scratch *expr.Scratch
	mode    expr.Mode
	types   bool
}

// value returns what the template makes of the message.
func (m message) value(t *expr.Template, typ expr.Type) (telemetry.Value, expr.Outcome) {
	p := t.Path()
	switch {
	case p == nil && (m.types || t.Constant()):
		return m.scratch.Template(t, m.root, typ)
	case p == nil:
		text, ok := m.text(t)
		if !ok {
			return telemetry.Value{}, expr.Missing
		}
		return telemetry.String(text), expr.Converted
	}
	v := p.First(m.root)
	switch {
	case m.types:
		return m.scratch.Value(v, typ)
	case typ != expr.String || !m.top(p):
		return m.scratch.Value(v, expr.Auto)
	case m.mode == expr.Reference && v != nil:
		return telemetry.String(string(expr.AppendPythonText(nil, v))), expr.Converted
	default:
		return m.scratch.Value(v, expr.String)
	}
}

// top reports whether p is a member of the message itself.
func (m message) top(p *expr.Path) bool {
	_, single := p.Name()
	return single || m.root.Type() == fastjson.TypeObject && m.root.Get(p.String()) != nil
}

// text returns the text that the template makes of the message. It reports false if a
// placeholder has no value. With Reference null takes its place, and present reports
// whether any has a value.
func (m message) text(t *expr.Template) (text string, present bool) {
	if m.mode != expr.Reference || t.Constant() {
		return m.scratch.String(t, m.root)
	}
	paths := t.Paths()
	i := -1
	text, _ = t.Expand(func(string, bool) (string, error) { // it has no errors
		i++
		v := paths[i].First(m.root)
		if v == nil || v.Type() == fastjson.TypeNull {
			return "null", nil
		}
		present = true
		return string(expr.AppendPythonText(nil, v)), nil
	})
	return text, present
}

// name is text for the name of a device or a profile. With Reference, missing takes the
// place of one without a value.
func (m message) name(t *expr.Template, missing string) (string, bool) {
	text, ok := m.text(t)
	if !ok && m.mode == expr.Reference {
		return missing, true
	}
	return text, ok
}
