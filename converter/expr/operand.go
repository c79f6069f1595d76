package expr

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// OperandKind is the kind of an [Operand].
type OperandKind uint8

// The kinds of operands. The zero Operand is Undefined: a name without a value.
const (
	Undefined OperandKind = iota
	None
	BoolOperand
	IntOperand
	FloatOperand
	TextOperand
	BytesOperand
	ListOperand
)

// An Operand is a value that an [Expression] computes with. It is immutable.
type Operand struct {
	kind OperandKind
	num  uint64    // a bool, an int that fits 64 bits, or the bits of a float
	str  string    // a text
	ref  *compound // a larger int, bytes, a list
}

type compound struct {
	big  *big.Int
	raw  []byte
	list []Operand
}

// NoneOperand returns Python's None.
func NoneOperand() Operand { return Operand{kind: None} }

// BoolOf returns an operand that is a bool.
func BoolOf(b bool) Operand {
	if b {
		return Operand{kind: BoolOperand, num: 1}
	}
	return Operand{kind: BoolOperand}
}

// IntOf returns an operand that is an int.
func IntOf(n int64) Operand { return Operand{kind: IntOperand, num: uint64(n)} }

// FloatOf returns an operand that is a float.
func FloatOf(f float64) Operand { return Operand{kind: FloatOperand, num: math.Float64bits(f)} }

// TextOf returns an operand that is a text.
func TextOf(s string) Operand { return Operand{kind: TextOperand, str: s} }

// BytesOf returns an operand that is a sequence of bytes, such as the data of a
// CAN frame. It keeps b.
func BytesOf(b []byte) Operand { return Operand{kind: BytesOperand, ref: &compound{raw: b}} }

// ListOf returns an operand that is a list. It keeps items.
func ListOf(items ...Operand) Operand {
	return Operand{kind: ListOperand, ref: &compound{list: items}}
}

// OperandOf returns v as an operand. A document is its text.
func OperandOf(v telemetry.Value) Operand {
	switch v.Kind() {
	case telemetry.KindNone:
		return NoneOperand()
	case telemetry.KindBool:
		return BoolOf(v.Bool())
	case telemetry.KindInt:
		return IntOf(v.Int())
	case telemetry.KindFloat, telemetry.KindFloat32:
		return FloatOf(v.Float())
	case telemetry.KindString, telemetry.KindJSON:
		return TextOf(v.String())
	default:
		n, ok := new(big.Int).SetString(v.String(), 10)
		if !ok {
			return TextOf(v.String())
		}
		return bigOf(n)
	}
}

// OperandOfJSON returns v as an operand: nil is undefined, and so is an object,
// which expressions have no use for. A [Scratch] does the same with its memory.
func OperandOfJSON(v *fastjson.Value) Operand {
	var s Scratch
	return s.OperandOfJSON(v)
}

// OperandOfJSON is [OperandOfJSON] without an allocation for what is no list.
func (s *Scratch) OperandOfJSON(v *fastjson.Value) Operand {
	if v == nil {
		return Operand{}
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return NoneOperand()
	case fastjson.TypeTrue:
		return BoolOf(true)
	case fastjson.TypeFalse:
		return BoolOf(false)
	case fastjson.TypeString:
		return TextOf(s.Strings.String(v.GetStringBytes()))
	case fastjson.TypeNumber:
		s.buf = v.MarshalTo(s.buf[:0])
		return numberOf(s.buf)
	case fastjson.TypeArray:
		items := make([]Operand, 0, len(v.GetArray()))
		for _, item := range v.GetArray() {
			items = append(items, s.OperandOfJSON(item))
		}
		return ListOf(items...)
	default:
		return Operand{}
	}
}

func numberOf(raw []byte) Operand {
	if n, ok := integer(raw); ok {
		return IntOf(n)
	}
	if wholeText(raw) {
		if n, ok := new(big.Int).SetString(string(raw), 10); ok && n.BitLen() <= maxBits {
			return bigOf(n)
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !math.IsInf(f, 0) {
		return Operand{}
	}
	return FloatOf(f)
}

// bigOf returns n as an operand. It keeps n.
func bigOf(n *big.Int) Operand {
	if n.IsInt64() {
		return IntOf(n.Int64())
	}
	return Operand{kind: IntOperand, ref: &compound{big: n}}
}

// Kind returns the kind of o.
func (o Operand) Kind() OperandKind { return o.kind }

func (o Operand) int() int64 { return int64(o.num) }

func (o Operand) float() float64 { return math.Float64frombits(o.num) }

// isLarge reports whether o is an int that does not fit 64 bits.
func (o Operand) isLarge() bool { return o.kind == IntOperand && o.ref != nil }

// whole reports whether o is an int, or a bool, which is one too.
func (o Operand) whole() bool { return o.kind == IntOperand || o.kind == BoolOperand }

func (o Operand) number() bool { return o.whole() || o.kind == FloatOperand }

func (o Operand) bigInt() *big.Int {
	if o.isLarge() {
		return o.ref.big
	}
	return big.NewInt(o.int())
}

// Value returns o as a value: a list as a JSON document, bytes as lower-case
// hexadecimal digits, an int of more than 64 bits as text. It reports false for
// None and for an undefined operand.
func (o Operand) Value() (telemetry.Value, bool) {
	switch o.kind {
	case BoolOperand:
		return telemetry.Bool(o.num != 0), true
	case IntOperand:
		if o.isLarge() {
			return telemetry.String(o.ref.big.String()), true
		}
		return telemetry.Int(o.int()), true
	case FloatOperand:
		return telemetry.Float(o.float()), true
	case TextOperand:
		return telemetry.String(o.str), true
	case BytesOperand:
		return telemetry.String(hex.EncodeToString(o.ref.raw)), true
	case ListOperand:
		doc, err := telemetry.JSON(o.appendJSON(nil))
		return doc, err == nil
	default:
		return telemetry.Value{}, false
	}
}

func (o Operand) appendJSON(dst []byte) []byte {
	if o.kind == ListOperand {
		dst = append(dst, '[')
		for i, item := range o.ref.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst)
		}
		return append(dst, ']')
	}
	v, ok := o.Value()
	if !ok || o.kind == FloatOperand && (math.IsNaN(o.float()) || math.IsInf(o.float(), 0)) {
		return append(dst, "null"...)
	}
	return v.AppendJSON(dst)
}

// String returns o as Python's str does.
func (o Operand) String() string {
	if o.kind == TextOperand {
		return o.str
	}
	return string(o.appendRepr(nil))
}

// appendRepr appends what Python's repr makes of o.
func (o Operand) appendRepr(dst []byte) []byte {
	switch o.kind {
	case BoolOperand:
		if o.num != 0 {
			return append(dst, "True"...)
		}
		return append(dst, "False"...)
	case IntOperand:
		if o.isLarge() {
			return o.ref.big.Append(dst, 10)
		}
		return strconv.AppendInt(dst, o.int(), 10)
	case FloatOperand:
		return appendPythonFloat(dst, o.float())
	case TextOperand:
		return appendQuoted(dst, o.str)
	case BytesOperand:
		return append(hex.AppendEncode(append(dst, "bytes.fromhex('"...), o.ref.raw), "')"...)
	case ListOperand:
		dst = append(dst, '[')
		for i, item := range o.ref.list {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = item.appendRepr(dst)
		}
		return append(dst, ']')
	default:
		return append(dst, "None"...)
	}
}

func appendPythonFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	default:
		return appendFloat(dst, f)
	}
}

// appendQuoted appends s as a Python literal.
func appendQuoted(dst []byte, s string) []byte {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	dst = append(dst, quote)
	for _, r := range s {
		dst = appendEscaped(dst, r, quote)
	}
	return append(dst, quote)
}

func appendEscaped(dst []byte, r rune, quote byte) []byte {
	switch {
	case r == rune(quote) || r == '\\':
		return append(dst, '\\', byte(r))
	case r == '\n':
		return append(dst, '\\', 'n')
	case r == '\r':
		return append(dst, '\\', 'r')
	case r == '\t':
		return append(dst, '\\', 't')
	case unicode.IsPrint(r):
		return utf8.AppendRune(dst, r)
	case r < 0x100:
		return hex.AppendEncode(append(dst, '\\', 'x'), []byte{byte(r)})
	case r < 0x10000:
		return hex.AppendEncode(append(dst, '\\', 'u'), []byte{byte(r >> 8), byte(r)})
	default:
		return hex.AppendEncode(append(dst, '\\', 'U'), []byte{0, byte(r >> 16), byte(r >> 8), byte(r)})
	}
}
