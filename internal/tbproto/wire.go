package tbproto

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A field is one field of a message. Which of its members holds the value
// depends on typ.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	num64 uint64 // of a varint or a fixed 64-bit value
	bytes []byte // of a string or message; aliases the message that is decoded
}

var errUTF8 = errors.New("a string is not UTF-8")

// fields calls f for each field of message b that is a varint, a fixed 64-bit
// value, a string or a message, in order. It skips others.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("field: %w", protowire.ParseError(n))
		}
		b = b[n:]
		fd := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			fd.num64, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			fd.num64, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			fd.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(fd); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
	}
	return nil
}

// The setters below store a field of the right wire type, and ignore one of
// another, as protobuf asks for.

func (f field) string(s *string) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	if !utf8.Valid(f.bytes) {
		return errUTF8
	}
	*s = string(f.bytes)
	return nil
}

func (f field) strings(list *[]string) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	var s string
	if err := f.string(&s); err != nil {
		return err
	}
	*list = append(*list, s)
	return nil
}

func (f field) message(decode func(field) error) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	return fields(f.bytes, decode)
}

func (f field) int32(v *int32) {
	if f.typ == protowire.VarintType {
		*v = int32(f.num64)
	}
}

func (f field) int64(v *int64) {
	if f.typ == protowire.VarintType {
		*v = int64(f.num64)
	}
}

func (f field) bool(v *bool) {
	if f.typ == protowire.VarintType {
		*v = f.num64 != 0
	}
}

func (f field) double(v *float64) {
	if f.typ == protowire.Fixed64Type {
		*v = math.Float64frombits(f.num64)
	}
}

// The encoders below leave out a field that has its default value, as protobuf
// does: sizes and bytes agree.

// sizeText returns the length of s as valid UTF-8.
func sizeText(s string) int {
	if utf8.ValidString(s) {
		return len(s)
	}
	n := 0
	for _, r := range s { // a byte that is not UTF-8 yields U+FFFD
		n += utf8.RuneLen(r)
	}
	return n
}

func appendText(b []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(b, s...)
	}
	for _, r := range s {
		b = utf8.AppendRune(b, r)
	}
	return b
}

// sizeBytes returns the size of a field with a string or message of n bytes.
func sizeBytes(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}

func sizeString(num protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return sizeBytes(num, sizeText(s))
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendElement(b, num, s)
}

// appendElement appends an element of a repeated string, which may be empty.
func appendElement(b []byte, num protowire.Number, s string) []byte {
	return appendText(appendHeader(b, num, sizeText(s)), s)
}

// appendHeader appends what comes before a string or message of n bytes.
func appendHeader(b []byte, num protowire.Number, n int) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(n))
}

func sizeVarint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	return appendVarint(b, num, protowire.EncodeBool(v))
}

// int32Varint is how protobuf sends an int32: sign-extended.
func int32Varint(v int32) uint64 { return uint64(int64(v)) }
