package wire

import (
	"encoding/binary"
	"math"
	"slices"
)

// A Kind is the type of a primitive value: the number of its application tag.
type Kind uint8

// The kinds of primitive values (clause 20.2.1.4).
const (
	Null Kind = iota
	Boolean
	Unsigned
	Signed
	Real
	Double
	OctetString
	CharacterString
	BitString
	Enumerated
	DateKind
	TimeKind
	ObjectIDKind
)

const kinds = names(" 0:null 1:boolean 2:unsigned 3:signed 4:real 5:double 6:octet-string 7:character-string" +
	" 8:bit-string 9:enumerated 10:date 11:time 12:object-identifier\n")

// String returns the name of k.
func (k Kind) String() string { return kinds.text(uint32(k)) }

// ParseKind reads the name of a kind.
func ParseKind(s string) (Kind, bool) {
	n, ok := kinds.number(Kebab(s))
	return Kind(n), ok
}

// A Value is a primitive value. Data of a value that was decoded refers to the
// datagram.
type Value struct {
	Kind Kind

	// Bits holds numbers: a boolean as 0 or 1, integers, reals by their bit
	// patterns, an enumeration, an object identifier, a date and a time as their
	// four bytes.
	Bits uint64

	// Data holds strings: octets, characters behind the byte of their character
	// set, bits behind the number of unused bits in the last byte.
	Data []byte
}

// NullValue returns the value that releases a command.
func NullValue() Value { return Value{} }

// BooleanValue returns a boolean.
func BooleanValue(b bool) Value {
	if b {
		return Value{Kind: Boolean, Bits: 1}
	}
	return Value{Kind: Boolean}
}

// UnsignedValue returns an unsigned integer.
func UnsignedValue(n uint64) Value { return Value{Kind: Unsigned, Bits: n} }

// SignedValue returns a signed integer.
func SignedValue(n int64) Value { return Value{Kind: Signed, Bits: uint64(n)} }

// RealValue returns a single precision number.
func RealValue(f float32) Value { return Value{Kind: Real, Bits: uint64(math.Float32bits(f))} }

// DoubleValue returns a double precision number.
func DoubleValue(f float64) Value { return Value{Kind: Double, Bits: math.Float64bits(f)} }

// EnumeratedValue returns a value of an enumeration.
func EnumeratedValue(n uint32) Value { return Value{Kind: Enumerated, Bits: uint64(n)} }

// ObjectIDValue returns an object identifier.
func ObjectIDValue(o ObjectID) Value { return Value{Kind: ObjectIDKind, Bits: uint64(o)} }

// OctetsValue returns an octet string. It keeps b.
func OctetsValue(b []byte) Value { return Value{Kind: OctetString, Data: b} }

// TextValue returns a character string in UTF-8.
func TextValue(s string) Value {
	return Value{Kind: CharacterString, Data: append([]byte{CharsetUTF8}, s...)}
}

// BitsValue returns a bit string.
func BitsValue(bits ...bool) Value {
	data := make([]byte, 1+(len(bits)+7)/8)
	data[0] = byte(len(data[1:])*8 - len(bits))
	for i, on := range bits {
		if on {
			data[1+i/8] |= 0x80 >> (i % 8)
		}
	}
	return Value{Kind: BitString, Data: data}
}

// Bool returns a boolean.
func (v Value) Bool() bool { return v.Bits != 0 }

// Signed returns a signed integer.
func (v Value) Signed() int64 { return int64(v.Bits) }

// Real returns a single precision number.
func (v Value) Real() float32 { return math.Float32frombits(uint32(v.Bits)) }

// Double returns a double precision number.
func (v Value) Double() float64 { return math.Float64frombits(v.Bits) }

// ObjectID returns an object identifier.
func (v Value) ObjectID() ObjectID { return ObjectID(v.Bits) }

// BitCount returns the number of bits in a bit string.
func (v Value) BitCount() int {
	if v.Kind != BitString || len(v.Data) == 0 {
		return 0
	}
	return max(0, len(v.Data[1:])*8-int(v.Data[0]&7))
}

// Bit returns a bit of a bit string.
func (v Value) Bit(i int) bool {
	return i >= 0 && i < v.BitCount() && v.Data[1+i/8]&(0x80>>(i%8)) != 0
}

// Clone returns v with a copy of its memory.
func (v Value) Clone() Value {
	v.Data = slices.Clone(v.Data)
	return v
}

// Append appends v with its application tag.
func (v Value) Append(dst []byte) []byte {
	if v.Kind == Boolean {
		return append(dst, byte(Boolean)<<4|byte(v.Bits&1))
	}
	dst = appendTag(dst, byte(v.Kind), 0, v.size())
	return v.appendContent(dst)
}

func (v Value) size() int {
	switch v.Kind {
	case Null:
		return 0
	case Unsigned, Enumerated:
		return unsignedSize(v.Bits)
	case Signed:
		return signedSize(int64(v.Bits))
	case Double:
		return 8
	case OctetString, CharacterString, BitString:
		return len(v.Data)
	case Boolean:
		return 1
	default:
		return 4
	}
}

func (v Value) appendContent(dst []byte) []byte {
	switch v.Kind {
	case Null:
		return dst
	case Boolean:
		return append(dst, byte(v.Bits&1))
	case Unsigned, Enumerated, Signed:
		return appendInteger(dst, v.Bits, v.size())
	case Double:
		return binary.BigEndian.AppendUint64(dst, v.Bits)
	case OctetString, CharacterString, BitString:
		return append(dst, v.Data...)
	default:
		return binary.BigEndian.AppendUint32(dst, uint32(v.Bits))
	}
}

func appendInteger(dst []byte, n uint64, size int) []byte {
	for i := size - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}

func unsignedSize(n uint64) int {
	size := 1
	for n > 0xFF {
		n >>= 8
		size++
	}
	return size
}

func signedSize(n int64) int {
	size := 1
	for n < -128 || n > 127 {
		n >>= 8
		size++
	}
	return size
}

// parseValue returns the value of content with the given kind.
func parseValue(kind Kind, content []byte) (Value, bool) {
	v := Value{Kind: kind}
	n := len(content)
	switch kind {
	case Null:
		return v, n == 0
	case Unsigned, Enumerated:
		v.Bits = integer(content)
		return v, n >= 1 && n <= 8
	case Signed:
		if n < 1 || n > 8 {
			return v, false
		}
		v.Bits = uint64(int64(integer(content)<<(64-8*n)) >> (64 - 8*n))
		return v, true
	case Double:
		v.Bits = integer(content)
		return v, n == 8
	case Real, DateKind, TimeKind, ObjectIDKind:
		v.Bits = integer(content)
		return v, n == 4
	case OctetString:
		v.Data = content
		return v, true
	case CharacterString:
		v.Data = content
		return v, n >= 1
	case BitString:
		v.Data = content
		return v, n >= 1 && content[0] <= 7 && (n > 1 || content[0] == 0)
	default:
		return v, false
	}
}

func integer(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
