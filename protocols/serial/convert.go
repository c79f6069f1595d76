package serial

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gridlinks/iot-gateway/converter"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Message is a message of a device, with its delimiter.
type Message struct {
	Device  telemetry.Device
	Payload []byte
}

// UplinkConverter converts the messages of a device.
type UplinkConverter = converter.UplinkConverter[Message]

// ConverterFunc adapts a function to UplinkConverter.
type ConverterFunc = converter.UplinkFunc[Message]

// An itemConverter is the converter of Timeseries and Attributes.
type itemConverter struct {
	timeseries, attributes []Datapoint
	compatible             bool
	scratch                expr.Scratch
	strings                expr.Interner
}

func newItemConverter(d Device, compatible bool) *itemConverter {
	c := &itemConverter{timeseries: d.Timeseries, attributes: d.Attributes, compatible: compatible}
	c.scratch.Strings = &c.strings
	return c
}

// ConvertUplink implements UplinkConverter. What is wrong with one key costs only
// that key; the error names it.
func (c *itemConverter) ConvertUplink(m Message, out *telemetry.Batch) error {
	var errs []error
	out.Device(m.Device.Name, m.Device.Profile)
	for i := range c.timeseries {
		if p, ok := c.point(&c.timeseries[i], m.Payload, &errs); ok {
			out.AddTelemetry(p)
		}
	}
	for i := range c.attributes {
		if p, ok := c.point(&c.attributes[i], m.Payload, &errs); ok {
			out.AddAttribute(p)
		}
	}
	return errors.Join(errs...)
}

func (c *itemConverter) point(d *Datapoint, payload []byte, errs *[]error) (telemetry.Point, bool) {
	v, err := c.value(d.Part, d.Type, payload)
	if err != nil {
		*errs = append(*errs, fmt.Errorf("key %q: %w", d.Key, err))
		return telemetry.Point{}, false
	}
	if c.compatible && falsy(v) {
		return telemetry.Point{}, false
	}
	return telemetry.Point{Key: d.Key, Value: v, Report: d.Report}, true
}

// falsy reports whether Python takes v for false.
func falsy(v telemetry.Value) bool {
	switch v.Kind() {
	case telemetry.KindString:
		return v.String() == ""
	case telemetry.KindInt, telemetry.KindFloat, telemetry.KindBool:
		return v.Float() == 0
	default:
		return false
	}
}

// value converts a part of payload.
func (c *itemConverter) value(p Part, t ValueType, payload []byte) (telemetry.Value, error) {
	b, ok := p.cut(payload, c.compatible)
	if !ok {
		return telemetry.Value{}, fmt.Errorf("there is no %q in %q", p.FromDelimiter, shorten(payload))
	}
	if t == Hex {
		return telemetry.String(hex.EncodeToString(b)), nil
	}
	b = bytes.TrimSpace(b)
	if !utf8.Valid(b) {
		return telemetry.Value{}, fmt.Errorf("%q is not UTF-8", shorten(b))
	}
	switch t {
	case Text:
		return telemetry.String(c.strings.String(b)), nil
	case JSON:
		v, err := telemetry.JSON(b)
		if err != nil {
			return telemetry.Value{}, fmt.Errorf("%q is not JSON: %w", shorten(b), err)
		}
		return v, nil
	}
	v, outcome := c.scratch.Text(b, map[ValueType]expr.Type{Int: expr.Int, Float: expr.Float, Bool: expr.Bool}[t])
	if outcome != expr.Converted {
		return telemetry.Value{}, fmt.Errorf("%q is no %s", shorten(b), t)
	}
	return v, nil
}

// String returns the name of t in configuration files.
func (t ValueType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("ValueType(%d)", uint8(t))
}

var typeNames = [...]string{Text: "string", Int: "int", Float: "float", Bool: "bool", JSON: "json", Hex: "hex"} //nolint:gochecknoglobals // a constant table

// cut returns the part of b. It reports false if b lacks the delimiter that it
// begins after.
func (p Part) cut(b []byte, compatible bool) ([]byte, bool) {
	if p.FromDelimiter == "" && p.UntilDelimiter == "" {
		return p.slice(b, compatible), true
	}
	if p.FromDelimiter != "" {
		i := bytes.Index(b, []byte(p.FromDelimiter))
		if i < 0 {
			return nil, false
		}
		if b = b[i:]; !compatible {
			b = b[len(p.FromDelimiter):]
		}
	}
	if i := bytes.Index(b, []byte(p.UntilDelimiter)); p.UntilDelimiter != "" && i >= 0 {
		b = b[:i]
	}
	return b, true
}

func (p Part) slice(b []byte, compatible bool) []byte {
	from, to := p.FromByte, len(b)
	if p.ToByte != nil {
		to = *p.ToByte
	}
	if compatible && p.ToByte != nil && to >= 0 && from != 0 {
		return nil // the reference takes the bounds the other way round
	}
	at := func(i int) int {
		if i < 0 {
			i += len(b)
		}
		return min(max(i, 0), len(b))
	}
	if from, to = at(from), at(to); from > to {
		return nil
	}
	return b[from:to]
}

// shorten returns b for use in a message.
func shorten(b []byte) []byte {
	const most = 60
	if len(b) > most {
		return append(b[:most:most], "..."...)
	}
	return b
}
