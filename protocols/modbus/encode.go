package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// writeFunction returns the function that writes f.
func (f *field) writeFunction(multiple bool) (uint8, error) {
	switch f.table {
	case Coil:
		if multiple || f.count > 1 {
			return writeMultipleCoils, f.checkWrite(writeMultipleCoils)
		}
		return writeSingleCoil, nil
	case Holding:
		if multiple || f.count > 1 {
			return writeMultipleRegisters, f.checkWrite(writeMultipleRegisters)
		}
		return writeSingleRegister, f.checkWrite(writeSingleRegister)
	default:
		return 0, fmt.Errorf("a %s cannot be written", f.table)
	}
}

// checkWrite reports why function cannot write f.
func (f *field) checkWrite(function uint8) error {
	switch {
	case f.variants != nil:
		return errors.New("variants: a value with variants cannot be written")
	case f.bit >= 0:
		return errors.New("bit: writing one bit of several would change the others")
	case function == writeSingleCoil && f.count != 1:
		return fmt.Errorf("function 5 writes one coil, not %d; use 15", f.count)
	case function == writeSingleRegister && f.count != 1:
		return fmt.Errorf("function 6 writes one register, the value takes %d; use 16", f.count)
	case function == writeMultipleCoils && f.count > maxWriteBits:
		return fmt.Errorf("function 15 writes up to %d coils, not %d", maxWriteBits, f.count)
	case function == writeMultipleRegisters && f.count > maxWriteRegisters:
		return fmt.Errorf("function 16 writes up to %d registers, not %d", maxWriteRegisters, f.count)
	}
	return nil
}

// writeRequest returns the PDU that writes v by function.
func (f *field) writeRequest(function uint8, v telemetry.Value) ([]byte, error) {
	addr, count := uint16(f.addr), uint16(f.count)
	if f.quirks && function == writeMultipleCoils && count > 1 {
		data, err := f.quirkCoils(v)
		return appendWriteMany(nil, function, addr, quirkWindow, data), err
	}
	data, err := f.encode(v)
	if err != nil {
		return nil, err
	}
	switch function {
	case writeSingleCoil:
		value := uint16(0)
		if data[0]&1 != 0 {
			value = 0xFF00
		}
		return appendWriteOne(nil, function, addr, value), nil
	case writeSingleRegister:
		return appendWriteOne(nil, function, addr, word(data, 0)), nil
	default:
		return appendWriteMany(nil, function, addr, count, data), nil
	}
}

// encode returns f's registers as they are sent, or its bits, packed. A value that
// does not fit is an error: nothing is cut or wrapped.
func (f *field) encode(v telemetry.Value) ([]byte, error) {
	if !v.Valid() {
		return nil, errors.New("no value to write")
	}
	switch f.typ {
	case Bool, Bits:
		return f.encodeBits(v)
	case String:
		b, err := f.encoding.encode(v.String())
		if err != nil {
			return nil, err
		}
		return f.encodeBytes(b)
	case Bytes:
		b, err := hex.DecodeString(strings.ReplaceAll(v.String(), " ", ""))
		if err != nil {
			return nil, fmt.Errorf("value %q is not hexadecimal text", v.String())
		}
		return f.encodeBytes(b)
	default:
		return f.encodeNumber(v)
	}
}

func (f *field) encodeBytes(b []byte) ([]byte, error) {
	if len(b) > 2*f.count {
		return nil, fmt.Errorf("value of %d bytes does not fit into %d registers", len(b), f.count)
	}
	data := make([]byte, 2*f.count)
	copy(data, b)
	return data, nil
}

func (f *field) encodeBits(v telemetry.Value) ([]byte, error) {
	n := f.bits
	if f.typ == Bool {
		n = 1
	}
	bits, err := f.bitsFor(v, n)
	if err != nil {
		return nil, err
	}
	if f.table.bits() {
		data := make([]byte, (f.count+7)/8)
		for i, on := range bits {
			if on {
				data[i/8] |= 1 << (i % 8)
			}
		}
		return data, nil
	}
	data := make([]byte, 2*f.count)
	for i, on := range bits {
		if on {
			w := word(data, i/16) | 1<<(i%16)
			binary.BigEndian.PutUint16(data[i/16*2:], w)
		}
	}
	return data, nil
}

// bitsFor returns v as n bits of f.
func (f *field) bitsFor(v telemetry.Value, n int) ([]bool, error) {
	if !f.firstBit || v.Kind() != telemetry.KindJSON {
		return bitsOf(v, n)
	}
	list, err := bitList(v)
	if err == nil && len(list) == 0 {
		err = errors.New("value has no bits")
	}
	return list[:min(len(list), 1)], err
}

// bitsOf returns v as n bits. It takes an array of n booleans or numbers, a text of
// n digits 0 and 1 in the same order, an integer whose lowest bit is the first,
// and for one bit also true, false and any number.
func bitsOf(v telemetry.Value, n int) ([]bool, error) {
	switch v.Kind() {
	case telemetry.KindJSON:
		return bitArray(v, n)
	case telemetry.KindString:
		return bitText(v.String(), n)
	case telemetry.KindBool:
		if n > 1 {
			return nil, fmt.Errorf("value %v is one bit, not %d", v, n)
		}
		return []bool{v.Bool()}, nil
	}
	if n == 1 {
		return []bool{v.Float() != 0}, nil
	}
	u := uint64(v.Int())
	if v.Float() != math.Trunc(v.Float()) || v.Float() < 0 || n < 64 && u>>n != 0 {
		return nil, fmt.Errorf("value %v is not an integer of %d bits", v, n)
	}
	bits := make([]bool, n)
	for i := range min(n, 64) {
		bits[i] = u>>i&1 != 0
	}
	return bits, nil
}

func bitArray(v telemetry.Value, n int) ([]bool, error) {
	bits, err := bitList(v)
	if err == nil && len(bits) != n {
		return nil, fmt.Errorf("value has %d bits, not %d", len(bits), n)
	}
	return bits, err
}

// bitList returns the booleans and numbers of an array as bits.
func bitList(v telemetry.Value) ([]bool, error) {
	_, _, doc := v.Parts()
	var list []any
	if err := json.Unmarshal([]byte(doc), &list); err != nil {
		return nil, fmt.Errorf("value %s is not an array of bits", doc)
	}
	bits := make([]bool, len(list))
	for i, x := range list {
		switch t := x.(type) {
		case bool:
			bits[i] = t
		case float64:
			bits[i] = t != 0
		default:
			return nil, fmt.Errorf("bit %d is neither a boolean nor a number", i)
		}
	}
	return bits, nil
}

func bitText(s string, n int) ([]bool, error) {
	if n == 1 {
		on, err := strconv.ParseBool(s)
		if err != nil {
			return nil, fmt.Errorf("value %q is neither true nor false", s)
		}
		return []bool{on}, nil
	}
	if len(s) != n || strings.Trim(s, "01") != "" {
		return nil, fmt.Errorf("value %q is not a text of %d digits 0 and 1", s, n)
	}
	bits := make([]bool, n)
	for i := range bits {
		bits[i] = s[i] == '1'
	}
	return bits, nil
}

// limitsOf returns the size of an integer type.
func (t DataType) limitsOf() (bits int, signed bool) {
	switch t {
	case Uint8:
		return 8, false
	case Int8:
		return 8, true
	case Uint16:
		return 16, false
	case Int16:
		return 16, true
	case Uint32:
		return 32, false
	case Int32:
		return 32, true
	case Uint64:
		return 64, false
	default:
		return 64, true
	}
}

func (f *field) encodeNumber(v telemetry.Value) ([]byte, error) {
	var u uint64
	var err error
	switch f.typ {
	case Float16, Float32, Float64:
		u, err = f.encodeFloat(v)
	default:
		u, err = f.encodeInteger(v)
	}
	if err != nil {
		return nil, err
	}
	if f.typ == Uint8 || f.typ == Int8 {
		return []byte{byte(u), 0}, nil
	}
	data := make([]byte, 2*f.count)
	for i := f.count - 1; i >= 0; i-- {
		at, w := i, uint16(u)
		if f.order.swapsWords() {
			at = f.count - 1 - i
		}
		if f.order.swapsBytes() {
			w = w>>8 | w<<8
		}
		binary.BigEndian.PutUint16(data[2*at:], w)
		u >>= 16
	}
	return data, nil
}

func (f *field) encodeFloat(v telemetry.Value) (uint64, error) {
	x, err := floatOf(v)
	if err != nil {
		return 0, err
	}
	x = x * f.div / f.mul
	switch f.typ {
	case Float16:
		h, ok := toFloat16(x)
		if !ok {
			return 0, rangeError(v, "a 16-bit float")
		}
		return uint64(h), nil
	case Float32:
		if math.Abs(x) > math.MaxFloat32 {
			return 0, rangeError(v, "a 32-bit float")
		}
		return uint64(math.Float32bits(float32(x))), nil
	default:
		if math.IsInf(x, 0) {
			return 0, rangeError(v, "a 64-bit float")
		}
		return math.Float64bits(x), nil
	}
}

func (f *field) encodeInteger(v telemetry.Value) (uint64, error) {
	bits, signed := f.typ.limitsOf()
	what := fmt.Sprintf("an unsigned integer of %d bits", bits)
	if signed {
		what = fmt.Sprintf("a signed integer of %d bits", bits)
	}
	if f.scaled() {
		x, err := floatOf(v)
		if err != nil {
			return 0, err
		}
		return integerBits(v, math.Round(x*f.div/f.mul), bits, signed, what)
	}
	switch v.Kind() {
	case telemetry.KindFloat, telemetry.KindFloat32:
		return integerBits(v, v.Float(), bits, signed, what)
	case telemetry.KindBool, telemetry.KindInt:
		return parseInteger(strconv.FormatInt(v.Int(), 10), bits, signed, what)
	default:
		return parseInteger(strings.TrimSpace(v.String()), bits, signed, what)
	}
}

// parseInteger returns the two's complement of the integer in s.
func parseInteger(s string, bits int, signed bool, what string) (uint64, error) {
	if signed {
		i, err := strconv.ParseInt(s, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("value %q is not %s", s, what)
		}
		return uint64(i), nil
	}
	u, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("value %q is not %s", s, what)
	}
	return u, nil
}

// integerBits returns the two's complement of x, which must be whole.
func integerBits(v telemetry.Value, x float64, bits int, signed bool, what string) (uint64, error) {
	low, high := 0.0, math.Ldexp(1, bits)
	if signed {
		low, high = -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)
	}
	if x != math.Trunc(x) || x < low || x >= high {
		return 0, rangeError(v, what)
	}
	if x < 0 {
		return uint64(int64(x)), nil
	}
	return uint64(x), nil
}

func rangeError(v telemetry.Value, what string) error {
	return fmt.Errorf("value %v is not %s", v, what)
}

func floatOf(v telemetry.Value) (float64, error) {
	if v.Kind() != telemetry.KindString && v.Kind() != telemetry.KindJSON {
		return v.Float(), nil
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(v.String()), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("value %q is not a number", v.String())
	}
	return x, nil
}

// toFloat16 rounds x to an IEEE 754 half, ties to even. It fails if x is too large.
func toFloat16(x float64) (uint16, bool) {
	sign := uint16(0)
	if math.Signbit(x) {
		sign, x = 0x8000, -x
	}
	_, exp := math.Frexp(x) // x = m * 2^exp, m in [0.5, 1)
	exp = max(exp-1, -14)   // halves below 2^-14 are subnormal
	units := math.RoundToEven(math.Ldexp(x, 10-exp))
	if units >= 2048 {
		units, exp = units/2, exp+1
	}
	if exp > 15 || math.IsNaN(x) {
		return 0, false
	}
	if units < 1024 {
		return sign | uint16(units), true
	}
	return sign | uint16(exp+15)<<10 | uint16(units-1024), true
}
