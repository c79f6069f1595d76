package modbus

import (
	"errors"
	"fmt"
	"math"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A field is a value's place and meaning, checked and ready to decode and encode.
type field struct {
	table    Table
	addr     int
	count    int // registers, or bits on a table of bits
	typ      DataType
	order    Order
	bits     int // how many bits Bool and Bits decode
	bit      int // the one bit that is picked; -1: none
	number   bool
	round    int // decimals; -1: not rounded
	mul, div float64
	point    bool // scaling only moves the decimal point
	variants map[string]telemetry.Value
	min, max float64 // of readings that are reported
	encoding Encoding
	quirks   bool
	firstBit bool
}

// newField compiles r as part of table. Its errors begin with the name of the
// setting that is wrong.
func newField(r Register, table Table) (field, error) {
	f := field{
		table: table, addr: int(r.Address), typ: r.Type, order: r.Order, number: r.Number,
		bit: -1, round: -1, variants: r.Variants, encoding: r.Encoding, quirks: r.Quirks, firstBit: r.firstBit,
	}
	if r.Encoding > UTF16LE {
		return f, fmt.Errorf("encoding: unknown encoding %d", r.Encoding)
	}
	if err := f.setBounds(r.Min, r.Max); err != nil {
		return f, err
	}
	if r.Count < 0 {
		return f, fmt.Errorf("count: %d is negative", r.Count)
	}
	if table > Discrete || r.Type > Bytes || r.Order > DCBA {
		return f, fmt.Errorf("type: unknown table %d, type %d or order %d", table, r.Type, r.Order)
	}
	if r.Round != nil {
		if *r.Round < 0 || *r.Round > 15 {
			return f, fmt.Errorf("round: %d is not in 0 to 15", *r.Round)
		}
		f.round = *r.Round
	}
	if err := f.setScale(r.Scale, r.Divider); err != nil {
		return f, err
	}
	l := math.Log10(f.div)
	f.point = f.mul == 1 && l == math.Trunc(l)
	if err := f.setSize(max(r.Count, 1)); err != nil {
		return f, err
	}
	if err := f.setBit(r.Bit); err != nil {
		return f, err
	}
	return f, f.checkSize()
}

func (f *field) setSize(count int) error {
	if f.table.bits() {
		switch f.typ {
		case Uint16, Bool:
			f.typ, f.count, f.bits = Bool, 1, 1
		case Bits:
			f.count, f.bits = count, count
		default:
			return fmt.Errorf("type: a %s holds bits, not numbers or text", f.table)
		}
		return nil
	}
	switch f.typ {
	case Bool:
		f.count, f.bits = 1, 16
	case Bits:
		f.count, f.bits = (count+15)/16, count
		if f.quirks {
			f.count = count
		}
	case String, Bytes:
		f.count = count
	default:
		f.count = f.typ.registers()
	}
	return nil
}

// setBounds sets what readings are reported.
func (f *field) setBounds(low, high *float64) error {
	f.min, f.max = math.Inf(-1), math.Inf(1)
	if low != nil {
		f.min = *low
	}
	if high != nil {
		f.max = *high
	}
	if !(f.min <= f.max) {
		return fmt.Errorf("min: %v is not below max, %v", f.min, f.max)
	}
	return nil
}

// outside reports whether v is a number that is not reported.
func (f *field) outside(v telemetry.Value) bool {
	switch v.Kind() {
	case telemetry.KindInt, telemetry.KindFloat, telemetry.KindFloat32:
		return v.Float() < f.min || v.Float() > f.max
	default:
		return false
	}
}

// setBit picks a bit. On registers that makes one register enough.
func (f *field) setBit(bit *int) error {
	if bit == nil {
		return nil
	}
	if f.typ != Bool && f.typ != Bits {
		return errors.New("bit: only types bool and bits have bits to pick")
	}
	if *bit < 0 || *bit >= max(f.bits, f.count*16) && !f.table.bits() || f.table.bits() && *bit >= f.bits {
		return fmt.Errorf("bit: %d is out of range", *bit)
	}
	f.bit = *bit
	return nil
}

func (f *field) checkSize() error {
	limit := maxReadRegisters
	if f.table.bits() {
		limit = maxReadBits
	}
	if f.count > limit {
		return fmt.Errorf("count: %d is more than one request can read (%d)", f.count, limit)
	}
	if f.addr+f.count > 1<<16 {
		return fmt.Errorf("address: %d and %d after it go beyond 65535", f.addr, f.count-1)
	}
	return nil
}

// setScale prefers dividing by a whole number to multiplying by its inverse.
func (f *field) setScale(scale, divider float64) error {
	f.mul, f.div = 1, 1
	for _, v := range [...]float64{scale, divider} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("scale: %v is not a number to scale by", v)
		}
	}
	if divider != 0 {
		f.div = divider
	}
	if scale == 0 {
		return nil
	}
	if f.quirks {
		f.mul = scale
		return nil
	}
	if inverse := math.Round(1 / scale); math.Abs(inverse) >= 2 && 1/inverse == scale {
		f.div *= inverse
		return nil
	}
	f.mul = scale
	return nil
}

func (f *field) scaled() bool { return f.mul != 1 || f.div != 1 }

// memo reports whether values are worth keeping from poll to poll, because making
// one takes memory.
func (f *field) memo() bool {
	return f.typ == String || f.typ == Bytes || f.typ == Bits && f.bit < 0 && f.bits > 1
}
