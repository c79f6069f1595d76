package socket

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/converter"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/internal/binnum"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Message is a message for a device.
type Message struct {
	Device  telemetry.Device
	Address string // of the peer, as ip:port
	Payload []byte
}

// UplinkConverter converts the messages of a device. It is called by the goroutines
// of several connections at a time.
type UplinkConverter = converter.UplinkConverter[Message]

// ConverterFunc adapts a function to UplinkConverter.
type ConverterFunc = converter.UplinkFunc[Message]

// A device is a compiled Device.
type device struct {
	Device
	compatible bool
	address    pattern
	text       encoding
	timeseries []point
	attributes []point
	requests   []request
	calls      []call

	strings   expr.Interner
	scratches sync.Pool // of *scratch
	reach               // how it is reached
}

type point struct {
	Datapoint
	typ    expr.Type
	decode binnum.Decoder
}

// A request is a compiled AttributeRequest.
type request struct {
	match  *match
	names  *expr.Slices
	client bool
}

// A call is a compiled RPC.
type call struct {
	RPC
	match *match // nil: the next message is the answer
}

// A scratch is memory for one conversion.
type scratch struct {
	expr.Scratch
	text []byte
}

func compilePoints(list []Datapoint, key string, fail func(key string, err error)) []point {
	var points []point
	for i, d := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		if d.Key == "" {
			fail(at+".key", errors.New("is missing"))
		}
		decode, err := binnum.Lookup(d.Decode)
		fail(at+".decode", err)
		typ := expr.TypeOf(d.Type)
		if typ == expr.Auto {
			typ = expr.String
		}
		points = append(points, point{d, typ, decode})
	}
	return points
}

func (d *device) id() telemetry.Device { return telemetry.Device{Name: d.Name, Profile: d.Profile} }

// ConvertUplink implements UplinkConverter. What is wrong with one key costs only
// that key; the error names it.
func (d *device) ConvertUplink(m Message, out *telemetry.Batch) error {
	s, _ := d.scratches.Get().(*scratch)
	if s == nil {
		s = &scratch{Scratch: expr.Scratch{Strings: &d.strings}}
	}
	defer d.scratches.Put(s)
	var errs []error
	out.Device(m.Device.Name, m.Device.Profile)
	for i := range d.timeseries {
		if p, ok := d.point(&d.timeseries[i], m.Payload, s, &errs); ok {
			out.AddTelemetry(p)
		}
	}
	for i := range d.attributes {
		if p, ok := d.point(&d.attributes[i], m.Payload, s, &errs); ok {
			out.AddAttribute(p)
		}
	}
	return errors.Join(errs...)
}

func (d *device) point(p *point, payload []byte, s *scratch, errs *[]error) (telemetry.Point, bool) {
	v, err := d.value(p, p.cut(payload), s)
	if err != nil {
		*errs = append(*errs, fmt.Errorf("key %q: %w", p.Key, err))
		return telemetry.Point{}, false
	}
	return telemetry.Point{Key: p.Key, Value: v, Report: p.Report}, true
}

// cut returns the bytes of p, as far as there are any.
func (p *point) cut(b []byte) []byte {
	at := func(i int) int {
		if i < 0 {
			i += len(b)
		}
		return min(max(i, 0), len(b))
	}
	from, to := at(p.From), len(b)
	if p.To != nil && *p.To != -1 {
		to = at(*p.To)
	}
	if from > to {
		return nil
	}
	return b[from:to]
}

func (d *device) value(p *point, b []byte, s *scratch) (telemetry.Value, error) {
	if p.decode != nil {
		v, ok := p.decode(b, p.LittleEndian)
		if !ok {
			return telemetry.Value{}, fmt.Errorf("%d bytes are no %s", len(b), p.Decode)
		}
		return v, nil
	}
	if !d.text.zeros || d.compatible && !strings.EqualFold(d.Encoding, "hex") {
		b = withoutNUL(b)
	}
	var err error
	if s.text, err = d.text.decode(s.text[:0], b); err != nil {
		if d.compatible {
			return telemetry.String(pythonBytes(b)), nil
		}
		return telemetry.Value{}, err
	}
	v, outcome := s.Text(s.text, p.typ)
	if outcome != expr.Converted {
		return telemetry.Value{}, fmt.Errorf("%q is no %s", s.text, p.Type)
	}
	return v, nil
}

// withoutNUL returns b without zero bytes, with which fields are filled up.
func withoutNUL(b []byte) []byte {
	if bytes.IndexByte(b, 0) < 0 {
		return b
	}
	return slices.DeleteFunc(slices.Clone(b), func(c byte) bool { return c == 0 })
}

// pythonBytes returns b as Python shows it.
func pythonBytes(b []byte) string {
	quote := byte('\'')
	if bytes.IndexByte(b, '\'') >= 0 && bytes.IndexByte(b, '"') < 0 {
		quote = '"'
	}
	var s strings.Builder
	s.WriteString("b" + string(quote))
	for _, c := range b {
		switch {
		case c == quote || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c == '\n':
			s.WriteString(`\n`)
		case c == '\r':
			s.WriteString(`\r`)
		case c == '\t':
			s.WriteString(`\t`)
		case c < ' ' || c > '~':
			s.WriteString(`\x` + strconv.FormatUint(uint64(c)|0x100, 16)[1:])
		default:
			s.WriteByte(c)
		}
	}
	s.WriteByte(quote)
	return s.String()
}
