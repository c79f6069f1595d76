package bacnet

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const weeklySchedule wire.Property = 123

// convertCached is convert for a point: a text is not made again while it stays the
// same. The device's mutex is held.
func (d *device) convertCached(p *point, raw []byte, decimals int) (telemetry.Value, bool) {
	if p.cache.raw != "" && p.cache.raw == string(raw) {
		return p.cache.value, true
	}
	v, ok := d.convert(p.ref, raw, decimals)
	if ok && (v.Kind() == telemetry.KindString || v.Kind() == telemetry.KindJSON && len(p.readings) == 1) {
		p.cache = text{raw: string(raw), value: v}
	}
	return v, ok
}

// convert returns the value of a property, which consists of tagged values. It
// reports false if there is none.
func (d *device) convert(ref wire.Reference, raw []byte, decimals int) (telemetry.Value, bool) {
	c := converter{ref: ref, decimals: decimals, compatible: d.s.c.cfg.Compatible}
	return c.property(raw)
}

// A converter converts values of one property.
type converter struct {
	ref        wire.Reference
	decimals   int // of real numbers; zero: all
	compatible bool
}

func (c converter) property(raw []byte) (telemetry.Value, bool) {
	dec := wire.NewDecoder(raw)
	if dec.More() {
		first := dec.Next()
		if dec.Err() == nil && !dec.More() && !first.Context && !isList(c.ref) {
			return c.scalar(first.Value)
		}
	}
	if c.compatible && len(raw) == 0 {
		return telemetry.Value{}, false
	}
	doc, ok := c.document(raw)
	if !ok {
		return telemetry.Value{}, false
	}
	if c.compatible || doc[0] == '"' {
		return telemetry.String(strings.Trim(string(doc), `"`)), true
	}
	return telemetry.Restore(telemetry.KindJSON, 0, string(doc)), true
}

// isList reports whether a property is a list or an array, which may have one
// element only.
func isList(r wire.Reference) bool {
	if r.Index != wire.WholeArray {
		return false
	}
	switch r.Property {
	case wire.ObjectList, wire.PriorityArray, wire.PropertyList, weeklySchedule, 38, 46, 54, 110, 152, 211:
		return true // exception-schedule, fault-values, list-of-…, state-text, active-cov-subscriptions, subordinate-list
	default:
		return false
	}
}

// scalar converts a primitive value.
func (c converter) scalar(v wire.Value) (telemetry.Value, bool) {
	switch v.Kind {
	case wire.Real:
		return c.real(float64(v.Real()), 32), true
	case wire.Double:
		return c.real(v.Double(), 64), true
	}
	if c.compatible {
		return c.textScalar(v), true
	}
	switch v.Kind {
	case wire.Null:
		return telemetry.Value{}, false
	case wire.Boolean:
		return telemetry.Bool(v.Bool()), true
	case wire.Unsigned:
		return telemetry.Uint(v.Bits), true
	case wire.Signed:
		return telemetry.Int(v.Signed()), true
	case wire.Enumerated:
		return c.enumerated(v.Bits), true
	default:
		return telemetry.String(c.text(v)), true
	}
}

// real rounds a number to the decimals that are wanted, as its decimal notation is:
// -0.005 has two decimals -0.01, whatever its binary value is.
func (c converter) real(f float64, bits int) telemetry.Value {
	if c.decimals <= 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		if bits == 32 {
			return telemetry.Float32(float32(f))
		}
		return telemetry.Float(f)
	}
	var buf [400]byte
	if bits == 32 {
		f, _ = strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'g', -1, 32)), 64) // it is a number
	}
	f, _ = strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'f', c.decimals, 64)), 64)
	return telemetry.Float(f + 0) // not -0
}

func (c converter) enumerated(n uint64) telemetry.Value {
	if n > math.MaxUint32 {
		return telemetry.Uint(n)
	}
	t := c.ref.Object.Type()
	if wire.HasBinaryValues(t, c.ref.Property) && n <= 1 {
		return telemetry.Bool(n == 1)
	}
	if name, ok := wire.EnumName(t, c.ref.Property, uint32(n)); ok {
		return telemetry.String(name)
	}
	return telemetry.Uint(n)
}

// text returns the text of a value that is no number.
func (c converter) text(v wire.Value) string {
	switch v.Kind {
	case wire.CharacterString:
		if s, err := v.Text(); err == nil {
			return s
		}
		return hex.EncodeToString(v.Data[1:])
	case wire.OctetString:
		return hex.EncodeToString(v.Data)
	case wire.BitString:
		return c.bits(v)
	case wire.DateKind:
		return string(v.AppendDate(nil))
	case wire.TimeKind:
		return string(v.AppendTime(nil))
	default:
		return v.ObjectID().String()
	}
}

// bits returns the names of the bits that are set, or all bits as digits.
func (c converter) bits(v wire.Value) string {
	names := wire.FlagNames(c.ref.Property)
	if names == nil {
		digits := make([]byte, v.BitCount())
		for i := range digits {
			digits[i] = '0'
			if v.Bit(i) {
				digits[i] = '1'
			}
		}
		return string(digits)
	}
	var set []string
	for i, name := range names {
		if v.Bit(i) {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}

// textScalar converts as the reference gateway does.
func (c converter) textScalar(v wire.Value) telemetry.Value {
	switch v.Kind {
	case wire.Null:
		return telemetry.String("None")
	case wire.Boolean, wire.Unsigned:
		return telemetry.String(strconv.FormatUint(v.Bits, 10))
	case wire.Signed:
		return telemetry.String(strconv.FormatInt(v.Signed(), 10))
	case wire.Enumerated:
		if e := c.enumerated(v.Bits); e.Kind() == telemetry.KindString {
			return e
		}
		return telemetry.String(strconv.FormatUint(v.Bits, 10))
	case wire.BitString:
		return telemetry.String("[]")
	default:
		return telemetry.String(c.text(v))
	}
}

// document returns a property that is no primitive value as JSON: a list of what it
// consists of, in which a constructed value is an object with its tag's number.
func (c converter) document(raw []byte) ([]byte, bool) {
	dec := wire.NewDecoder(raw)
	if len(raw) == 10 { // a date and a time
		day, clock := dec.Application(), dec.Application()
		if dec.Err() == nil && day.Kind == wire.DateKind && clock.Kind == wire.TimeKind {
			return append(clock.AppendTime(append(day.AppendDate([]byte{'"'}), 'T')), '"'), true
		}
	}
	c.compatible = false
	if c.ref.Property == weeklySchedule {
		return c.week(raw)
	}
	return c.list(nil, raw, 0)
}

const maxDepth = 8 // of documents

func (c converter) list(dst, raw []byte, depth int) ([]byte, bool) {
	if depth > maxDepth {
		return nil, false
	}
	dec := wire.NewDecoder(raw)
	dst = append(dst, '[')
	for first := true; dec.More(); first = false {
		if !first {
			dst = append(dst, ',')
		}
		e := dec.Next()
		if dec.Err() != nil {
			return nil, false
		}
		var ok bool
		if dst, ok = c.element(dst, e, depth); !ok {
			return nil, false
		}
	}
	return append(dst, ']'), true
}

func (c converter) element(dst []byte, e wire.Element, depth int) ([]byte, bool) {
	if !e.Context {
		v, _ := c.scalar(e.Value)
		return v.AppendJSON(dst), true
	}
	dst = append(dst, `{"`...)
	dst = strconv.AppendUint(dst, uint64(e.Number), 10)
	dst = append(dst, `":`...)
	if !e.Constructed {
		dst = telemetry.AppendString(dst, hex.EncodeToString(e.Content))
		return append(dst, '}'), true
	}
	dst, ok := c.list(dst, e.Content, depth+1)
	return append(dst, '}'), ok
}

// week returns a weekly schedule as JSON: for each day a list of times and values,
// [["08:00:00",21.5],["17:30:00",18.0]].
func (c converter) week(raw []byte) ([]byte, bool) {
	dec := wire.NewDecoder(raw)
	dst := []byte{'['}
	for day := 0; dec.More(); day++ {
		if day > 0 {
			dst = append(dst, ',')
		}
		times := wire.NewDecoder(dec.Constructed(0))
		dst = append(dst, '[')
		for first := true; times.More(); first = false {
			if !first {
				dst = append(dst, ',')
			}
			at, v := times.ApplicationOf(wire.TimeKind), times.Application()
			dst = append(at.AppendTime(append(dst, `["`...)), `",`...)
			value, _ := c.scalar(v)
			dst = append(value.AppendJSON(dst), ']')
		}
		if times.Err() != nil {
			return nil, false
		}
		dst = append(dst, ']')
	}
	return append(dst, ']'), dec.Err() == nil
}
