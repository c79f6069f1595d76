package snmp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/gosnmp/gosnmp"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// An Encoding says how an OCTET STRING becomes text.
type Encoding uint8

// The encodings, with the names that configuration files use.
const (
	// Auto ("auto") is UTF-8 without trailing NULs if the octets are such text and
	// contain no control characters but tabs and line ends, and else Hex.
	Auto Encoding = iota

	// Text ("text") is UTF-8 without trailing NULs, whatever the octets are;
	// invalid ones become U+FFFD.
	Text

	// Hex ("hex") is octets in hexadecimal with colons between: 00:1b:fe:12:34:56.
	Hex
)

func encodingNames() []string { return []string{"auto", "text", "hex"} }

var (
	errNoObject   = errors.New("the agent does not have the object (noSuchObject)")
	errNoInstance = errors.New("the agent does not have the instance (noSuchInstance)")
	errEndOfMIB   = errors.New("there is no object behind it (endOfMibView)")
	errNoValue    = errors.New("the answer has no value")
)

// decode returns the value that an agent sent. TimeTicks are seconds, Counter64
// beyond the range of int64 are floats.
func decode(pdu gosnmp.SnmpPDU, enc Encoding) (telemetry.Value, error) {
	switch pdu.Type {
	case gosnmp.NoSuchObject:
		return telemetry.Value{}, errNoObject
	case gosnmp.NoSuchInstance:
		return telemetry.Value{}, errNoInstance
	case gosnmp.EndOfMibView:
		return telemetry.Value{}, errEndOfMIB
	}
	switch v := pdu.Value.(type) {
	case int:
		return telemetry.Int(int64(v)), nil
	case uint:
		return telemetry.Uint(uint64(v)), nil
	case uint32:
		if pdu.Type == gosnmp.TimeTicks {
			return telemetry.Float(float64(v) / 100), nil
		}
		return telemetry.Uint(uint64(v)), nil
	case uint64:
		return telemetry.Uint(v), nil
	case float32:
		return telemetry.Float32(v), nil
	case float64:
		return telemetry.Float(v), nil
	case string:
		if pdu.Type == gosnmp.ObjectIdentifier {
			v = plain(v)
		}
		return telemetry.String(v), nil
	case []byte:
		if pdu.Type != gosnmp.OctetString {
			enc = Hex
		}
		return telemetry.String(octets(v, enc)), nil
	case nil:
		return telemetry.Value{}, errNoValue
	default:
		return telemetry.Value{}, fmt.Errorf("values of type %s are not supported", pdu.Type)
	}
}

// octets returns b as text.
func octets(b []byte, enc Encoding) string {
	text := string(b)
	if cut := strings.TrimRight(text, "\x00"); cut != "" {
		text = cut
	}
	switch {
	case enc == Text:
		return strings.ToValidUTF8(strings.TrimRight(text, "\x00"), string(utf8.RuneError))
	case enc == Auto && readable(text):
		return text
	default:
		return colons(b)
	}
}

func readable(s string) bool {
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

func colons(b []byte) string {
	out := make([]byte, 0, 3*len(b))
	for i := range b {
		if i > 0 {
			out = append(out, ':')
		}
		out = hex.AppendEncode(out, b[i:i+1])
	}
	return string(out)
}

// A scale is what numbers are multiplied by, as a fraction: dividing by 10 is exact
// where multiplying by 0.1 is not.
type scale struct{ mul, div float64 }

// newScale returns the scale for a factor, of which zero is 1.
func newScale(factor float64) (scale, error) {
	switch {
	case factor == 0 || factor == 1:
		return scale{1, 1}, nil
	case math.IsNaN(factor) || math.IsInf(factor, 0):
		return scale{}, fmt.Errorf("%v is not a number to scale by", factor)
	}
	if inverse := math.Round(1 / factor); math.Abs(inverse) >= 2 && 1/inverse == factor {
		return scale{1, inverse}, nil
	}
	return scale{factor, 1}, nil
}

func (s scale) apply(v telemetry.Value) telemetry.Value {
	if s.mul == 1 && s.div == 1 {
		return v
	}
	switch v.Kind() {
	case telemetry.KindInt:
		whole := s.div == 1 && s.mul == math.Trunc(s.mul)
		if x := float64(v.Int()) * s.mul; whole && math.Abs(x) < 1<<53 {
			return telemetry.Int(int64(x))
		}
		return telemetry.Float(float64(v.Int()) * s.mul / s.div)
	case telemetry.KindFloat, telemetry.KindFloat32:
		return telemetry.Float(v.Float() * s.mul / s.div)
	default:
		return v
	}
}

// invert returns the number to write so that apply gives v back.
func (s scale) invert(v telemetry.Value) telemetry.Value {
	if s.mul == 1 && s.div == 1 {
		return v
	}
	switch v.Kind() {
	case telemetry.KindInt, telemetry.KindFloat, telemetry.KindFloat32:
		x := v.Float() * s.div / s.mul
		if n := math.Round(x); math.Abs(x-n) <= 1e-9*math.Max(1, math.Abs(x)) && math.Abs(n) < 1<<53 {
			return telemetry.Int(int64(n))
		}
		return telemetry.Float(x)
	default:
		return v
	}
}
