package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An Encoding is how registers hold text.
type Encoding uint8

// The encodings. ASCII is a part of UTF8.
const (
	UTF8    Encoding = iota
	Latin1           // ISO 8859-1: a byte is a character
	UTF16BE          // a register is a character, the high byte first
	UTF16LE          // a register is a character, the low byte first
)

// parseEncoding returns the encoding that files call name.
func parseEncoding(name string) (Encoding, error) {
	switch strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name)) {
	case "", "utf8", "ascii", "usascii":
		return UTF8, nil
	case "latin1", "iso88591":
		return Latin1, nil
	case "utf16", "utf16be":
		return UTF16BE, nil
	case "utf16le":
		return UTF16LE, nil
	default:
		return 0, fmt.Errorf("%q is not utf-8, ascii, latin-1, utf-16be or utf-16le", name)
	}
}

// byteOrder is an order that can read and append.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func (e Encoding) order() byteOrder {
	if e == UTF16LE {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// decode returns the text in raw. What is no text in the encoding comes as
// hexadecimal digits.
func (e Encoding) decode(raw []byte) string {
	switch e {
	case Latin1:
		runes := make([]rune, len(raw))
		for i, b := range raw {
			runes[i] = rune(b)
		}
		return string(runes)
	case UTF16BE, UTF16LE:
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = e.order().Uint16(raw[2*i:])
		}
		return string(utf16.Decode(units))
	}
	if !utf8.Valid(raw) {
		return hex.EncodeToString(raw)
	}
	return string(raw)
}

// encode is the inverse of decode.
func (e Encoding) encode(text string) ([]byte, error) {
	switch e {
	case Latin1:
		var b []byte
		for _, r := range text {
			if r > 0xFF {
				return nil, fmt.Errorf("value has the character %q, which latin-1 has not", r)
			}
			b = append(b, byte(r))
		}
		return b, nil
	case UTF16BE, UTF16LE:
		if !utf8.ValidString(text) {
			return nil, errors.New("value is not text")
		}
		b := make([]byte, 0, 2*len(text))
		for _, u := range utf16.Encode([]rune(text)) {
			b = e.order().AppendUint16(b, u)
		}
		return b, nil
	}
	return []byte(text), nil
}
