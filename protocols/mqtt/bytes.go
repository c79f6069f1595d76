package mqtt

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/internal/binnum"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// BytesConfig configures a converter of binary messages. In its device, keys and
// values, [from:to] stands for bytes of the message.
type BytesConfig struct {
	Device     DeviceInfo
	Attributes []Datapoint
	Timeseries []Datapoint

	// Compatible converts as the Python gateway does where that differs: all
	// values are texts, and the device's expressions are never about the topic.
	Compatible bool
}

// A bytesConverter is a compiled BytesConfig.
type bytesConverter struct {
	valueCounts

	name, profile bytesText
	attributes    []bytesPoint
	timeseries    []bytesPoint

	strings   expr.Interner
	scratches sync.Pool
}

// A bytesText yields a text from the message or its topic.
type bytesText struct {
	slices *expr.Slices // nil: topic counts
	topic  *topicExpr
}

type bytesPoint struct {
	key    bytesText
	value  *expr.Slices
	typ    expr.Type
	hex    bool
	decode binnum.Decoder
	little bool
	report *telemetry.ReportPolicy
}

type bytesScratch struct {
	expr.Scratch
	buf []byte
}

// NewBytes returns a converter of binary messages. An error names all that is
// wrong with cfg.
func NewBytes(cfg BytesConfig) (UplinkConverter, error) {
	p := newProblems()
	c := compileBytes(cfg, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

func compileBytes(cfg BytesConfig, p problems) *bytesConverter {
	c := &bytesConverter{}
	info := p.at("deviceInfo")
	if cfg.Device.Name.Text == "" {
		info.add("deviceNameExpression", errors.New("is missing"))
	}
	if cfg.Compatible {
		cfg.Device.Name.Source, cfg.Device.Profile.Source = FromMessage, FromMessage
	}
	c.name = info.bytesText("deviceNameExpression", cfg.Device.Name)
	c.profile = info.bytesText("deviceProfileExpression", cfg.Device.Profile)
	for i, d := range cfg.Attributes {
		c.attributes = append(c.attributes, compileBytesPoint(d, cfg.Compatible, p.item("attributes", i)))
	}
	for i, d := range cfg.Timeseries {
		c.timeseries = append(c.timeseries, compileBytesPoint(d, cfg.Compatible, p.item("timeseries", i)))
	}
	c.scratches.New = func() any { return &bytesScratch{Scratch: expr.Scratch{Strings: &c.strings}} }
	return c
}

func (p problems) bytesText(key string, e Expression) bytesText {
	if e.Source == FromTopic && regexp.QuoteMeta(e.Text) != e.Text {
		return bytesText{topic: &topicExpr{re: p.regexp(key, e.Text)}}
	}
	s, err := expr.CompileSlices(e.Text)
	p.add(key, err)
	return bytesText{slices: s}
}

func compileBytesPoint(d Datapoint, compatible bool, p problems) bytesPoint {
	if d.Key.Text == "" {
		p.add("key", errors.New("is missing"))
	}
	value, err := expr.CompileSlices(d.Value)
	p.add("value", err)
	pt := bytesPoint{key: p.bytesText("key", d.Key), value: value, typ: expr.TypeOf(d.Type), hex: d.HexMode, little: d.LittleEndian, report: d.Report}
	if pt.typ == expr.Auto || pt.hex || compatible {
		pt.typ = expr.String
	}
	pt.decode, err = binnum.Lookup(d.Decode)
	p.add("decode", err)
	if pt.decode != nil && value != nil && !value.Single() {
		p.add("value", fmt.Errorf("%q must be a single slice to be decoded", d.Value))
	}
	return pt
}

// ConvertUplink implements UplinkConverter.
func (c *bytesConverter) ConvertUplink(m Message, out *telemetry.Batch) error {
	s := c.scratches.Get().(*bytesScratch)
	defer c.scratches.Put(s)
	name, ok := c.name.resolve(m, s)
	if !ok || name == "" {
		return fmt.Errorf("device name: %s", c.name.missing())
	}
	profile, ok := c.profile.resolve(m, s)
	if !ok {
		return fmt.Errorf("device profile: %s", c.profile.missing())
	}
	out.Device(name, profile)
	for i := range c.attributes {
		if p, ok := c.point(&c.attributes[i], m, s); ok {
			out.AddAttribute(p)
		}
	}
	for i := range c.timeseries {
		if p, ok := c.point(&c.timeseries[i], m, s); ok {
			out.AddTelemetry(p)
		}
	}
	return nil
}

func (t bytesText) resolve(m Message, s *bytesScratch) (string, bool) {
	if t.topic != nil {
		return t.topic.find(m.Topic)
	}
	var ok bool
	if s.buf, ok = t.slices.Append(s.buf[:0], m.Payload, false); !ok {
		return "", false
	}
	return s.Strings.String(s.buf), true
}

func (t bytesText) missing() string {
	if t.topic != nil {
		return fmt.Sprintf("%q does not match the topic", t.topic.re)
	}
	return fmt.Sprintf("%q is outside the message, or not UTF-8", t.slices)
}

func (c *bytesConverter) point(pt *bytesPoint, m Message, s *bytesScratch) (telemetry.Point, bool) {
	key, ok := pt.key.resolve(m, s)
	if !ok || key == "" {
		c.missing.Add(1)
		return telemetry.Point{}, false
	}
	v, outcome := pt.convert(m.Payload, s)
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

func (pt *bytesPoint) convert(data []byte, s *bytesScratch) (telemetry.Value, expr.Outcome) {
	if pt.decode != nil {
		b, ok := pt.value.Bytes(data)
		if !ok {
			return telemetry.Value{}, expr.Missing
		}
		v, ok := pt.decode(b, pt.little)
		if !ok {
			return telemetry.Value{}, expr.Missing
		}
		return v, expr.Converted
	}
	var ok bool
	if s.buf, ok = pt.value.Append(s.buf[:0], data, pt.hex); !ok {
		return telemetry.Value{}, expr.Missing
	}
	return s.Text(s.buf, pt.typ)
}
