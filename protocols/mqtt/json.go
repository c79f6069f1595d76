package mqtt

import (
	"bytes"
	"errors"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// JSONConfig configures a converter of JSON messages: an object, or an array of
// objects, each of which may be about another device.
type JSONConfig struct {
	Device     DeviceInfo
	Attributes []Datapoint
	Timeseries []Datapoint

	// AllAttributes and AllTimeseries take every member of the object, with the
	// types that they have in JSON. For time series, {"ts": ..., "values": {...}}
	// is unwrapped; any other "ts" is a key like the rest.
	AllAttributes bool
	AllTimeseries bool

	// UseReceivedTime ignores the timestamps in the message.
	UseReceivedTime bool

	// Evaluate evaluates values that are expressions, see [expr.Expression], with
	// the placeholders as their variables, such as ${celsius} * 9 / 5 + 32. Where a
	// placeholder cannot be a variable, as between quotes, it is filled in first.
	// A text of the message that is arithmetic counts as its result.
	Evaluate bool

	// Compatible converts as the Python gateway does where that differs, see
	// [expr.Reference]: values are put into texts as Python prints them (True,
	// {'x': 1}), a placeholder without a value is the text None, or, in a device's
	// name, stays as it is, integers are rounded to 53 bits, all time series of a
	// message have the time of the first one, and values are evaluated after their
	// placeholders are filled in.
	Compatible bool
}

// A Datapoint says how one key gets its value.
type Datapoint struct {
	Key   Expression
	Value string // template; for bytes, slices: see package converter/expr
	Type  string // see expr.TypeOf

	// TimeField is the path of the reading's timestamp, with or without ${}, see
	// [expr.TimeField]: a text, or a Unix time whose unit its magnitude tells. If
	// nothing there can be read, or it is empty, the message's "ts" or "timestamp"
	// counts, in milliseconds, or else the time of receipt.
	TimeField string
	DayFirst  bool // 03.04.2024 is the third of April
	YearFirst bool // 10.11.12 is in 2010

	Report *telemetry.ReportPolicy // nil: the connector's policy

	// For bytes only.
	HexMode      bool   // slices become hexadecimal digits rather than text
	Decode       string // "int", "uint" or "float": the slice is a binary number
	LittleEndian bool   // with its least significant byte first
}

// A jsonConverter is a compiled JSONConfig.
type jsonConverter struct {
	valueCounts

	device          deviceExpr
	attributes      []jsonPoint
	timeseries      []jsonPoint
	allAttributes   bool
	allTimeseries   bool
	useReceivedTime bool
	compatible      bool

	messageTime  *expr.TimeField // of a key that names no field
	fields       *expr.Fields    // all that is converted; nil: that needs the whole message
	messageField *expr.FieldTime // messageTime, of fields
	strings      expr.Interner
	documents    sync.Pool
}

type jsonPoint struct {
	key       *nameExpr
	value     *expr.Template
	field     *expr.Field // value, if it is found without parsing the message
	formula   *formula    // nil: value is not evaluated
	typ       expr.Type
	time      *expr.TimeField // nil: the message's
	timeField *expr.FieldTime // time, if it is found without parsing the message
	report    *telemetry.ReportPolicy
}

// NewJSON returns a converter of JSON messages. An error names all that is wrong
// with cfg.
func NewJSON(cfg JSONConfig) (UplinkConverter, error) {
	p := newProblems()
	c := compileJSON(cfg, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

func compileJSON(cfg JSONConfig, p problems) *jsonConverter {
	c := &jsonConverter{
		device:          p.at("deviceInfo").device(cfg.Device, false),
		allAttributes:   cfg.AllAttributes,
		allTimeseries:   cfg.AllTimeseries,
		useReceivedTime: cfg.UseReceivedTime,
		compatible:      cfg.Compatible,
		messageTime:     expr.CompileTimeField("", expr.TimeFormat{}),
	}
	c.device.name.legacy, c.device.profile.legacy = cfg.Compatible, cfg.Compatible
	for i, d := range cfg.Attributes {
		c.attributes = append(c.attributes, compilePoint(d, cfg, p.item("attributes", i)))
	}
	for i, d := range cfg.Timeseries {
		c.timeseries = append(c.timeseries, compilePoint(d, cfg, p.item("timeseries", i)))
	}
	if f := new(expr.Fields); c.addFields(f) {
		c.fields = f
	}
	mode := expr.Recommended
	if cfg.Compatible {
		mode = expr.Reference
	}
	c.documents.New = func() any { return &document{scratch: expr.Scratch{Strings: &c.strings, Mode: mode}} }
	return c
}

// addFields adds all that c converts to what is looked for in messages. It reports false
// if that needs the whole message.
func (c *jsonConverter) addFields(f *expr.Fields) bool {
	if c.compatible || c.allAttributes || c.allTimeseries || !c.device.name.addFields(f) || !c.device.profile.addFields(f) {
		return false
	}
	for i := range c.attributes {
		if !c.attributes[i].addFields(f) {
			return false
		}
	}
	for i := range c.timeseries {
		pt := &c.timeseries[i]
		if !pt.addFields(f) {
			return false
		}
		if pt.time == nil {
			continue
		}
		var ok bool
		if pt.timeField, ok = f.AddTime(pt.time); !ok {
			return false
		}
	}
	c.messageField, _ = f.AddTime(c.messageTime)
	return true
}

func (pt *jsonPoint) addFields(f *expr.Fields) (ok bool) {
	if pt.formula != nil || !pt.key.addFields(f) {
		return false
	}
	pt.field, ok = f.AddTemplate(pt.value)
	return ok
}

// scan looks for all that c converts in a message. It reports false if that needs
// the whole message.
func (c *jsonConverter) scan(doc *document, payload []byte) bool {
	if c.fields == nil || !c.fields.Scan(validUTF8(payload), &doc.found) {
		return false
	}
	doc.times = doc.times[:0]
	if c.useReceivedTime || len(c.timeseries) == 0 {
		return true
	}
	message, unread, _ := c.messageField.Read(&doc.found)
	for i := range c.timeseries {
		ts := message
		if field := c.timeseries[i].timeField; field != nil {
			var ok bool
			if ts, _, ok = field.Read(&doc.found); !ok {
				return false
			}
		}
		doc.times = append(doc.times, ts)
	}
	if unread {
		c.times.Add(1)
	}
	return true
}

func compilePoint(d Datapoint, cfg JSONConfig, p problems) jsonPoint {
	if d.Key.Text == "" {
		p.add("key", errors.New("is missing"))
	}
	pt := jsonPoint{
		key:    p.name("key", d.Key, false),
		value:  expr.Compile(d.Value),
		typ:    expr.TypeOf(d.Type),
		report: d.Report,
	}
	p.add("value", pt.value.Check())
	if cfg.Evaluate {
		pt.formula = newFormula(pt.value, pt.typ, cfg.Compatible)
	}
	if d.TimeField != "" || cfg.Compatible {
		pt.time = expr.CompileTimeField(d.TimeField, expr.TimeFormat{DayFirst: d.DayFirst, YearFirst: d.YearFirst})
	}
	return pt
}

var errShape = errors.New("payload is neither a JSON object nor an array of them")

// ConvertUplink implements UplinkConverter.
func (c *jsonConverter) ConvertUplink(m Message, out *telemetry.Batch) error {
	doc := c.documents.Get().(*document)
	defer c.documents.Put(doc)
	if doc.scanned = c.scan(doc, m.Payload); doc.scanned {
		return c.convert(doc, nil, m.Topic, out)
	}
	if err := doc.parse(m.Payload); err != nil {
		return err
	}
	switch doc.root.Type() {
	case fastjson.TypeObject:
		return c.convert(doc, doc.root, m.Topic, out)
	case fastjson.TypeArray:
		return c.convertItems(doc, m.Topic, out)
	default:
		return errShape
	}
}

// convertItems converts the elements of an array. One that does not convert
// costs the others nothing; only if none does is the message at fault.
func (c *jsonConverter) convertItems(doc *document, topic string, out *telemetry.Batch) error {
	var firstErr error
	bad := 0
	items := doc.root.GetArray()
	for _, item := range items {
		err := errShape
		if t := item.Type(); t == fastjson.TypeObject || t == fastjson.TypeArray {
			err = c.convert(doc, item, topic, out)
		}
		if err != nil {
			if bad++; firstErr == nil {
				firstErr = err
			}
		}
	}
	if bad > 0 && bad == len(items) {
		return firstErr
	}
	c.items.Add(uint64(bad))
	return nil
}

// convert converts root, which is doc or an element of it, and nil if doc was scanned.
func (c *jsonConverter) convert(doc *document, root *fastjson.Value, topic string, out *telemetry.Batch) error {
	name, profile, err := c.device.resolve(doc, root, topic)
	if err != nil {
		return err
	}
	out.Device(name, profile)
	if c.allAttributes {
		c.members(root, &doc.scratch, func(p telemetry.Point) { out.AddAttribute(p) })
	}
	for i := range c.attributes {
		if p, ok := c.point(&c.attributes[i], doc, root, topic); ok {
			out.AddAttribute(p)
		}
	}
	if c.allTimeseries {
		c.allSeries(root, &doc.scratch, out)
	}
	if len(c.timeseries) > 0 {
		c.series(doc, root, topic, out)
	}
	return nil
}

// series converts the time series. Each has a time of its own; the Python gateway
// gives that of the first one that has a time to all that follow it.
func (c *jsonConverter) series(doc *document, root *fastjson.Value, topic string, out *telemetry.Batch) {
	var message int64
	if !c.useReceivedTime && !c.compatible && !doc.scanned {
		message = c.read(c.messageTime, root)
	}
	for i := range c.timeseries {
		pt := &c.timeseries[i]
		p, ok := c.point(pt, doc, root, topic)
		if !ok {
			continue
		}
		switch {
		case c.useReceivedTime:
		case doc.scanned:
			p.TS = doc.times[i]
		case c.compatible:
			if message == 0 {
				message = c.read(pt.time, root)
			}
			p.TS = message
		case pt.time != nil:
			p.TS = c.read(pt.time, root)
		default:
			p.TS = message
		}
		out.AddTelemetry(p)
	}
}

// read returns the time of a field, or zero: that of receipt counts.
func (c *jsonConverter) read(f *expr.TimeField, root *fastjson.Value) int64 {
	mode := expr.Recommended
	if c.compatible {
		mode = expr.Reference
	}
	ts, unread := f.Read(root, mode)
	if unread {
		c.times.Add(1)
	}
	return ts
}

// point converts one key. It reports false if the key or its value is missing.
func (c *jsonConverter) point(pt *jsonPoint, doc *document, root *fastjson.Value, topic string) (telemetry.Point, bool) {
	key, ok := pt.key.resolve(doc, root, topic)
	if !ok || key == "" {
		c.missing.Add(1)
		return telemetry.Point{}, false
	}
	var v telemetry.Value
	var outcome expr.Outcome
	switch {
	case doc.scanned:
		v, outcome = doc.scratch.Field(pt.field, &doc.found, pt.typ)
	case pt.formula != nil:
		v, outcome = pt.formula.convert(doc, root, pt.typ)
	default:
		v, outcome = doc.scratch.Template(pt.value, root, pt.typ)
	}
	switch outcome {
	case expr.Missing:
		c.missing.Add(1)
		return telemetry.Point{}, false
	case expr.Kept:
		c.keptText.Add(1)
	case expr.Converted:
	}
	return telemetry.Point{Key: key, Value: v, Report: pt.report}, true
}

// members converts every member of an object.
func (c *jsonConverter) members(v *fastjson.Value, s *expr.Scratch, add func(telemetry.Point)) {
	o := v.GetObject()
	if o == nil {
		return
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		val, outcome := s.Value(v, expr.Auto)
		if outcome == expr.Missing || len(key) == 0 {
			c.missing.Add(1)
			return
		}
		add(telemetry.Point{Key: s.Strings.String(key), Value: val})
	})
}

func (c *jsonConverter) allSeries(root *fastjson.Value, s *expr.Scratch, out *telemetry.Batch) {
	var ts int64
	if values := root.Get("values"); values != nil && values.Type() == fastjson.TypeObject && root.Get("ts") != nil {
		if at, ok := expr.MessageTime(root); ok {
			root = values
			if !c.useReceivedTime {
				ts = at
			}
		}
	}
	c.members(root, s, func(p telemetry.Point) {
		p.TS = ts
		out.AddTelemetry(p)
	})
}

// validUTF8 returns b without the bytes that are not UTF-8.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, nil)
}
