// Package binnum reads numbers of 1 to 8 bytes.
package binnum

import (
	"fmt"
	"math"
	"strconv"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Decoder reads all of b as one number, of which the lowest byte comes first if
// little is set. It reports false if b has not the right size.
type Decoder func(b []byte, little bool) (telemetry.Value, bool)

// Lookup returns the decoder of the given name: "int" and "uint" for 1 to 8 bytes,
// "float" for 4 and 8. The empty name has none.
func Lookup(name string) (Decoder, error) {
	switch name {
	case "":
		return nil, nil
	case "int":
		return Int, nil
	case "uint":
		return Uint, nil
	case "float":
		return Float, nil
	default:
		return nil, fmt.Errorf("%q is not one of int, uint, float", name)
	}
}

// bits reads 1 to 8 bytes.
func bits(b []byte, little bool) (n uint64, ok bool) {
	for i := range b {
		if little {
			i = len(b) - 1 - i
		}
		n = n<<8 | uint64(b[i])
	}
	return n, len(b) > 0 && len(b) <= 8
}

// Uint reads a number without a sign. One above the largest int64 becomes a text,
// because no platform has a number for it.
func Uint(b []byte, little bool) (telemetry.Value, bool) {
	n, ok := bits(b, little)
	if n > math.MaxInt64 {
		return telemetry.String(strconv.FormatUint(n, 10)), ok
	}
	return telemetry.Int(int64(n)), ok
}

// Int reads a number in two's complement.
func Int(b []byte, little bool) (telemetry.Value, bool) {
	n, ok := bits(b, little)
	if !ok {
		return telemetry.Value{}, false
	}
	shift := 64 - 8*len(b)
	return telemetry.Int(int64(n<<shift) >> shift), true
}

// Float reads a number of IEEE 754 in 4 or 8 bytes.
func Float(b []byte, little bool) (telemetry.Value, bool) {
	n, _ := bits(b, little)
	switch len(b) {
	case 4:
		return telemetry.Float32(math.Float32frombits(uint32(n))), true
	case 8:
		return telemetry.Float(math.Float64frombits(n)), true
	default:
		return telemetry.Value{}, false
	}
}
