package modbus

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// quirkWindow is how many bits the reference gateway decodes of an answer, and how
// many coils it writes by function 15.
const quirkWindow = 16

// quirkBits decodes bits as the reference gateway does: of the first two bytes, in
// which coils come from the highest bit and those of registers from the lowest, it
// keeps the end that is as long as the tag counts. A count beyond what there is
// cuts off the beginning instead: it is a negative index that wraps around.
func (f *field) quirkBits(raw []byte) telemetry.Value {
	var window [quirkWindow]bool
	list := window[:0]
	for _, b := range raw[:min(len(raw), quirkWindow/8)] {
		if f.table.bits() {
			b = bits.Reverse8(b)
		}
		for i := range 8 {
			list = append(list, b>>i&1 != 0)
		}
	}
	start := len(list) - f.bits
	if start < 0 {
		start = max(start+len(list), 0)
	}
	list = list[start:]
	switch {
	case f.bit >= 0:
		return f.flag(list[min(f.bit, len(list)-1)])
	case f.bits == 1:
		return f.flag(list[len(list)-1])
	default:
		return f.flags(list)
	}
}

// quirkCoils returns the coils that the reference gateway writes by function 15 for
// several: always 16 from the address on, the wanted ones reversed within each
// byte, and the rest off.
func (f *field) quirkCoils(v telemetry.Value) ([]byte, error) {
	var list []bool
	var err error
	switch v.Kind() {
	case telemetry.KindJSON:
		list, err = bitList(v)
	case telemetry.KindInt, telemetry.KindBool:
		for u := uint64(v.Int()); u != 0; u >>= 1 {
			list = append(list, u&1 != 0)
		}
	default:
		list, err = bitsOf(v, f.bits)
	}
	if err != nil {
		return nil, err
	}
	if len(list) > quirkWindow {
		return nil, fmt.Errorf("value has %d bits, more than %d", len(list), quirkWindow)
	}
	data := make([]byte, quirkWindow/8)
	for i, on := range list {
		if on {
			data[i/8] |= 0x80 >> (i % 8)
		}
	}
	return data, nil
}

// quirkText returns text as the reference gateway multiplies it: repeated.
func quirkText(text string, n float64) string {
	const most = 100
	if n != math.Trunc(n) || n < 0 || n > most {
		return text
	}
	return strings.Repeat(text, int(n))
}
