package mqtt

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
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

	// Evaluate evaluates values that are arithmetic once the placeholders are
	// filled in.
	Evaluate bool

	// Compatible converts as the Python gateway does where that differs: values
	// are put into texts as Python prints them (True, {'x': 1}), a placeholder
	// without a value is the text None, or, in a device's name, stays as it is,
	// integers are rounded to 53 bits, and all time series of a message have the
	// time of the first one.
	Compatible bool
}

// A Datapoint says how one key gets its value.
type Datapoint struct {
	Key   Expression
	Value string // template; for bytes, slices: see package converter/expr
	Type  string // see expr.TypeOf

	// TimeField is the path of the reading's timestamp, with or without ${}. If
	// it is empty, or has no value that can be read, the message's "ts" or
	// "timestamp" counts, in milliseconds, or else the time of receipt. A number
	// there is a Unix time whose unit its magnitude tells.
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

	strings   expr.Interner
	documents sync.Pool
}

type jsonPoint struct {
	key      *nameExpr
	value    *expr.Template
	quoted   *expr.Template // tried where value is missing; nil: none
	typ      expr.Type
	evaluate bool
	legacy   bool
	time     *expr.Path // nil: the message's
	deep     string     // key to look for at any depth if time finds nothing
	format   expr.TimeFormat
	report   *telemetry.ReportPolicy
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
	}
	c.device.name.legacy, c.device.profile.legacy = cfg.Compatible, cfg.Compatible
	for i, d := range cfg.Attributes {
		c.attributes = append(c.attributes, compilePoint(d, cfg, p.item("attributes", i)))
	}
	for i, d := range cfg.Timeseries {
		c.timeseries = append(c.timeseries, compilePoint(d, cfg, p.item("timeseries", i)))
	}
	c.documents.New = func() any { return &document{scratch: expr.Scratch{Strings: &c.strings}} }
	return c
}

func compilePoint(d Datapoint, cfg JSONConfig, p problems) jsonPoint {
	if d.Key.Text == "" {
		p.add("key", errors.New("is missing"))
	}
	pt := jsonPoint{
		key:      p.name("key", d.Key, false),
		value:    expr.Compile(d.Value),
		quoted:   quoteDigits(d.Value),
		typ:      expr.TypeOf(d.Type),
		evaluate: cfg.Evaluate,
		legacy:   cfg.Compatible,
		format:   expr.TimeFormat{DayFirst: d.DayFirst, YearFirst: d.YearFirst},
		report:   d.Report,
	}
	p.add("value", pt.value.Check())
	if d.TimeField == "" {
		return pt
	}
	if field := expr.Compile(d.TimeField); field.Path() != nil {
		pt.time = field.Path()
	} else {
		pt.time = expr.CompilePath(d.TimeField)
	}
	pt.deep, _ = pt.time.Name()
	return pt
}

// quoteDigits returns the template of a text that is one placeholder, with quotes
// around the names in it that begin with a digit, as in ${room.1st}: without them
// they are names of no member. It is nil if there is no such name.
func quoteDigits(text string) *expr.Template {
	if !strings.HasPrefix(text, "${") || !strings.HasSuffix(text, "}") {
		return nil
	}
	path := text[2 : len(text)-1]
	if strings.ContainsAny(path, "\"'[]{}|&,* ") {
		return nil
	}
	found := false
	names := strings.Split(path, ".")
	for i, name := range names {
		if name != "" && name[0] >= '0' && name[0] <= '9' {
			names[i], found = `"`+name+`"`, true
		}
	}
	if !found || len(names) == 1 {
		return nil
	}
	return expr.Compile("${" + strings.Join(names, ".") + "}")
}

var errShape = errors.New("payload is neither a JSON object nor an array of them")

// ConvertUplink implements UplinkConverter.
func (c *jsonConverter) ConvertUplink(m Message, out *telemetry.Batch) error {
	doc := c.documents.Get().(*document)
	defer c.documents.Put(doc)
	if err := doc.parse(m.Payload); err != nil {
		return err
	}
	switch doc.root.Type() {
	case fastjson.TypeObject:
		return c.convert(doc.root, m.Topic, &doc.scratch, out)
	case fastjson.TypeArray:
		return c.convertItems(doc.root.GetArray(), m.Topic, &doc.scratch, out)
	default:
		return errShape
	}
}

// convertItems converts the elements of an array. One that does not convert
// costs the others nothing; only if none does is the message at fault.
func (c *jsonConverter) convertItems(items []*fastjson.Value, topic string, s *expr.Scratch, out *telemetry.Batch) error {
	var firstErr error
	bad := 0
	for _, item := range items {
		err := errShape
		if t := item.Type(); t == fastjson.TypeObject || t == fastjson.TypeArray {
			err = c.convert(item, topic, s, out)
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

func (c *jsonConverter) convert(root *fastjson.Value, topic string, s *expr.Scratch, out *telemetry.Batch) error {
	name, profile, err := c.device.resolve(s, root, topic)
	if err != nil {
		return err
	}
	out.Device(name, profile)
	if c.allAttributes {
		c.members(root, s, func(p telemetry.Point) { out.AddAttribute(p) })
	}
	for i := range c.attributes {
		if p, ok := c.point(&c.attributes[i], root, topic, s); ok {
			out.AddAttribute(p)
		}
	}
	if c.allTimeseries {
		c.allSeries(root, s, out)
	}
	if len(c.timeseries) == 0 {
		return nil
	}
	if c.compatible {
		c.legacySeries(root, topic, s, out)
		return nil
	}
	received := c.messageTime(root)
	for i := range c.timeseries {
		pt := &c.timeseries[i]
		p, ok := c.point(pt, root, topic, s)
		if !ok {
			continue
		}
		p.TS = c.pointTime(pt, root, received)
		out.AddTelemetry(p)
	}
	return nil
}

// point converts one key. It reports false if the key or its value is missing.
func (c *jsonConverter) point(pt *jsonPoint, root *fastjson.Value, topic string, s *expr.Scratch) (telemetry.Point, bool) {
	key, ok := pt.key.resolve(s, root, topic)
	if !ok || key == "" {
		c.missing.Add(1)
		return telemetry.Point{}, false
	}
	v, outcome := pt.convert(root, s)
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

func (pt *jsonPoint) convert(root *fastjson.Value, s *expr.Scratch) (telemetry.Value, expr.Outcome) {
	if pt.legacy && !pt.evaluate {
		return pt.legacyValue(root, s)
	}
	if !pt.evaluate {
		v, outcome := s.Template(pt.value, root, pt.typ)
		if outcome == expr.Missing && pt.quoted != nil {
			return s.Template(pt.quoted, root, pt.typ)
		}
		return v, outcome
	}
	text, ok := pt.value.Append(nil, root)
	if !ok {
		return telemetry.Value{}, expr.Missing
	}
	if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
		if f, ok := expr.Arithmetic(string(text)); ok {
			return s.Number(f, pt.typ)
		}
	}
	return s.Template(pt.value, root, pt.typ)
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
	if values := root.Get("values"); values != nil && values.Type() == fastjson.TypeObject {
		if at, ok := milliseconds(root.Get("ts")); ok {
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
