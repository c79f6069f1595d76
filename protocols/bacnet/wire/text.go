package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The character sets of strings (clause 20.2.9).
const (
	CharsetUTF8   = 0
	CharsetDBCS   = 1 // with a code page, in two bytes
	CharsetJIS    = 2
	CharsetUCS4   = 3
	CharsetUCS2   = 4
	CharsetLatin1 = 5 // ISO 8859-1
)

// ErrCharset is the error of Text for a character set that is not decoded.
var ErrCharset = errors.New("wire: character set is not supported")

// Text returns the text of a character string. Its character sets are UTF-8 (also
// what older devices called ANSI X3.4), UCS-2, UCS-4, ISO 8859-1 and the Microsoft
// code pages 850 and 1252 as far as they are ASCII. Characters that are none are
// replaced by U+FFFD, and NULs at the end are cut off.
func (v Value) Text() (string, error) {
	if v.Kind != CharacterString || len(v.Data) == 0 {
		return "", errors.New("wire: not a character string")
	}
	s, err := decodeText(v.Data[0], v.Data[1:])
	return strings.TrimRight(s, "\x00"), err
}

func decodeText(charset byte, b []byte) (string, error) {
	switch charset {
	case CharsetUTF8:
		if utf8.Valid(b) {
			return string(b), nil
		}
		return strings.ToValidUTF8(string(b), "\uFFFD"), nil
	case CharsetLatin1:
		return latin1(b), nil
	case CharsetUCS2:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units)), nil
	case CharsetUCS4:
		runes := make([]rune, len(b)/4)
		for i := range runes {
			runes[i] = rune(binary.BigEndian.Uint32(b[4*i:]))
		}
		return string(runes), nil
	case CharsetDBCS:
		if len(b) >= 2 && !strings.ContainsFunc(string(b[2:]), func(r rune) bool { return r >= utf8.RuneSelf }) {
			return string(b[2:]), nil
		}
		return "", fmt.Errorf("%w: DBCS", ErrCharset)
	default:
		return "", fmt.Errorf("%w: %d", ErrCharset, charset)
	}
}

func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// TextIn returns s as a character string in UTF-8, UCS-2 or ISO 8859-1. It reports
// false for another character set, and if s has characters that it lacks.
func TextIn(charset byte, s string) (Value, bool) {
	data := []byte{charset}
	switch charset {
	case CharsetUTF8:
		data = append(data, s...)
	case CharsetUCS2:
		for _, r := range s {
			if r > 0xFFFF {
				return Value{}, false
			}
			data = binary.BigEndian.AppendUint16(data, uint16(r))
		}
	case CharsetLatin1:
		for _, r := range s {
			if r > 0xFF {
				return Value{}, false
			}
			data = append(data, byte(r))
		}
	default:
		return Value{}, false
	}
	return Value{Kind: CharacterString, Data: data}, true
}
