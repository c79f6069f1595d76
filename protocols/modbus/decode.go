package modbus

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// decode returns the value in raw, which holds f's registers as they were sent, or
// its bits, packed from the lowest of the first byte. factor multiplies numbers.
func (f *field) decode(raw []byte, factor float64) telemetry.Value {
	var v telemetry.Value
	switch f.typ {
	case Bool, Bits:
		v = f.decodeBits(raw)
	case String:
		v = f.decodeText(raw)
	case Bytes:
		v = telemetry.String(hex.EncodeToString(raw))
	default:
		v = f.decodeNumber(raw, factor)
	}
	if f.variants != nil {
		return f.variant(v)
	}
	return v
}

func (f *field) decodeText(raw []byte) telemetry.Value {
	if f.quirks {
		return telemetry.String(quirkText(f.encoding.decode(raw), f.mul))
	}
	if f.encoding < UTF16BE {
		return telemetry.String(f.encoding.decode(bytes.TrimRight(raw, "\x00")))
	}
	return telemetry.String(strings.TrimRight(f.encoding.decode(raw), "\x00"))
}

// word returns the i-th register of raw.
func word(raw []byte, i int) uint16 { return binary.BigEndian.Uint16(raw[2*i:]) }

// bitAt returns bit i of raw: of the registers, the lowest bit of the first is 0.
func (f *field) bitAt(raw []byte, i int) bool {
	if f.table.bits() {
		return raw[i/8]>>(i%8)&1 != 0
	}
	return word(raw, i/16)>>(i%16)&1 != 0
}

func (f *field) decodeBits(raw []byte) telemetry.Value {
	if f.quirks && f.typ == Bits {
		return f.quirkBits(raw)
	}
	if f.bit >= 0 {
		return f.flag(f.bitAt(raw, f.bit))
	}
	if f.typ == Bool && !f.table.bits() {
		return f.flag(word(raw, 0) != 0)
	}
	if f.bits == 1 {
		return f.flag(f.bitAt(raw, 0))
	}
	list := make([]bool, f.bits)
	for i := range list {
		list[i] = f.bitAt(raw, i)
	}
	return f.flags(list)
}

// flags returns several bits, of which there is one at least, as an array.
func (f *field) flags(list []bool) telemetry.Value {
	doc := make([]byte, 0, 8*len(list))
	for _, on := range list {
		doc = append(doc, ',')
		doc = f.flag(on).AppendJSON(doc)
	}
	doc[0] = '['
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, ']')))
}

func (f *field) flag(on bool) telemetry.Value {
	if !f.number {
		return telemetry.Bool(on)
	}
	if on {
		return telemetry.Int(1)
	}
	return telemetry.Int(0)
}

// bytesOf returns the value's bytes, most significant first, as one number.
func (f *field) bytesOf(raw []byte) (u uint64) {
	for i := range f.count {
		at := i
		if f.order.swapsWords() {
			at = f.count - 1 - i
		}
		w := word(raw, at)
		if f.order.swapsBytes() {
			w = w>>8 | w<<8
		}
		u = u<<16 | uint64(w)
	}
	return u
}

func (f *field) decodeNumber(raw []byte, factor float64) telemetry.Value {
	switch f.typ {
	case Uint8:
		return f.integer(int64(raw[0]), factor)
	case Int8:
		return f.integer(int64(int8(raw[0])), factor)
	}
	u := f.bytesOf(raw)
	switch f.typ {
	case Int16:
		return f.integer(int64(int16(u)), factor)
	case Int32:
		return f.integer(int64(int32(u)), factor)
	case Uint64:
		if u > math.MaxInt64 {
			return telemetry.Float(float64(u) * f.mul * factor / f.div)
		}
		return f.integer(int64(u), factor)
	case Float16:
		return f.float32(float16(uint16(u)), factor)
	case Float32:
		return f.float32(math.Float32frombits(uint32(u)), factor)
	case Float64:
		return f.float64(math.Float64frombits(u), factor)
	default:
		return f.integer(int64(u), factor)
	}
}

// integer scales i. The result is an integer as long as only whole factors are
// involved that keep it exact.
func (f *field) integer(i int64, factor float64) telemetry.Value {
	mul := f.mul * factor
	if mul == 1 && f.div == 1 {
		return telemetry.Int(i)
	}
	x := float64(i) * mul
	if f.div == 1 && mul == math.Trunc(mul) && math.Abs(x) < 1<<53 {
		return telemetry.Int(int64(x))
	}
	return telemetry.Float(x / f.div)
}

// float32 keeps single precision as long as rounding does not change the value and
// scaling only moves the decimal point.
func (f *field) float32(x float32, factor float64) telemetry.Value {
	wide := float64(x)
	if f.round >= 0 {
		if r := roundTo(wide, f.round); float32(r) != x {
			return f.scaleFloat(r, factor)
		}
	}
	if !f.scaled() && factor == 1 {
		return telemetry.Float32(x)
	}
	if f.point && factor == 1 {
		return telemetry.Float32(float32(wide / f.div))
	}
	return f.scaleFloat(shortest(x), factor)
}

func (f *field) float64(x, factor float64) telemetry.Value {
	if f.round >= 0 {
		x = roundTo(x, f.round)
	}
	return f.scaleFloat(x, factor)
}

func (f *field) scaleFloat(x, factor float64) telemetry.Value {
	return telemetry.Float(x * f.mul * factor / f.div)
}

// shortest returns the double with the fewest decimals, up to seven, that has x as
// its single precision: 230.1 rather than 230.10000610351562.
func shortest(x float32) float64 {
	wide := float64(x)
	for decimals := range 8 {
		if r := roundTo(wide, decimals); float32(r) == x {
			return r
		}
	}
	return wide
}

// roundTo rounds to so many decimals, half to even. What has no decimals there,
// and what is no number, stays as it is.
func roundTo(x float64, decimals int) float64 {
	p := math.Pow10(decimals)
	r := math.RoundToEven(x*p) / p
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return x
	}
	return r
}

// float16 widens an IEEE 754 half.
func float16(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&0x1F), uint32(h&0x3FF)
	switch exp {
	case 0:
		v := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1F:
		return math.Float32frombits(sign | 0x7F800000 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
}

// variant replaces v if its text is known.
func (f *field) variant(v telemetry.Value) telemetry.Value {
	var buf [32]byte
	text := buf[:0]
	switch v.Kind() {
	case telemetry.KindString:
		if w, ok := f.variants[v.String()]; ok {
			return w
		}
		return v
	case telemetry.KindBool:
		text = append(text, "False"...)
		if v.Bool() {
			text = append(text[:0], "True"...)
		}
	case telemetry.KindFloat:
		text = appendPython(text, v.Float(), 64)
	case telemetry.KindFloat32:
		text = appendPython(text, v.Float(), 32)
	default:
		text = v.AppendJSON(text)
	}
	if w, ok := f.variants[string(text)]; ok {
		return w
	}
	return v
}

// appendPython writes a float as configuration files spell it: 5.0, not 5.
func appendPython(dst []byte, x float64, bits int) []byte {
	n := len(dst)
	dst = strconv.AppendFloat(dst, x, 'g', -1, bits)
	if bytes.ContainsAny(dst[n:], ".eIN") {
		return dst
	}
	return append(dst, ".0"...)
}

// copyBits packs count bits of src, from bit start, into dst.
func copyBits(dst, src []byte, start, count int) []byte {
	dst = dst[:0]
	for i := range count {
		if i%8 == 0 {
			dst = append(dst, 0)
		}
		at := start + i
		dst[i/8] |= src[at/8] >> (at % 8) & 1 << (i % 8)
	}
	return dst
}
