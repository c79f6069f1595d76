package socket

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An encoding is how a device writes text.
type encoding struct {
	decode func(dst, b []byte) ([]byte, error) // appends UTF-8 to dst
	encode func(text string) ([]byte, error)
	zeros  bool // zero bytes are a part of it, not what a field is filled up with
}

// Encodings returns the names of the encodings of texts. Case, hyphens and
// underscores do not matter in them, as in Python, which has the same ones.
func Encodings() []string {
	return []string{"ascii", "cp1252", "hex", "iso-8859-1", "latin-1", "utf-16", "utf-16-be", "utf-16-le", "utf-8", "utf-8-sig", "windows-1252"}
}

func lookupEncoding(name string) (encoding, error) {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	switch plain {
	case "", "utf8", "u8":
		return encoding{decode: decodeUTF8, encode: encodeUTF8}, nil
	case "utf8sig":
		return encoding{decode: func(dst, b []byte) ([]byte, error) {
			return decodeUTF8(dst, []byte(strings.TrimPrefix(string(b), "\ufeff")))
		}, encode: encodeUTF8}, nil
	case "ascii", "usascii", "646":
		return charset(nil, 0x80), nil
	case "latin1", "iso88591", "8859", "cp819", "l1":
		return charset(nil, 0x100), nil
	case "cp1252", "windows1252", "1252":
		return charset(windows1252(), 0x100), nil
	case "utf16", "u16":
		return wide(nil), nil
	case "utf16le":
		return wide(binary.LittleEndian), nil
	case "utf16be":
		return wide(binary.BigEndian), nil
	case "hex", "hexcodec":
		return encoding{
			decode: func(dst, b []byte) ([]byte, error) { return hex.AppendEncode(dst, b), nil },
			encode: hex.DecodeString, zeros: true,
		}, nil
	default:
		return encoding{}, fmt.Errorf("%q is not one of %s", name, strings.Join(Encodings(), ", "))
	}
}

var errNotUTF8 = errors.New("the bytes are not UTF-8")

func decodeUTF8(dst, b []byte) ([]byte, error) {
	if !utf8.Valid(b) {
		return dst, errNotUTF8
	}
	return append(dst, b...), nil
}

func encodeUTF8(text string) ([]byte, error) { return []byte(text), nil }

// windows1252 returns the characters of the bytes from 0x80 to 0x9f; zero where
// there is none (Unicode consortium, CP1252.TXT).
func windows1252() []rune {
	return []rune{
		'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
		0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
	}
}

// charset returns an encoding of one byte a character, which is that of the same
// number below end, except for the bytes from 0x80 on that have one in upper.
func charset(upper []rune, end int) encoding {
	return encoding{
		decode: func(dst, b []byte) ([]byte, error) {
			for _, c := range b {
				r := rune(c)
				if i := int(c) - 0x80; i >= 0 && i < len(upper) {
					r = upper[i]
				}
				if int(c) >= end || r == 0 && c != 0 {
					return dst, fmt.Errorf("byte 0x%02x is no character", c)
				}
				dst = utf8.AppendRune(dst, r)
			}
			return dst, nil
		},
		encode: func(text string) ([]byte, error) {
			var b []byte
			for _, r := range text {
				i := slices.Index(upper, r)
				switch {
				case i >= 0 && r != 0:
					b = append(b, byte(0x80+i))
				case int(r) < end && (r < 0x80 || int(r) >= 0x80+len(upper)):
					b = append(b, byte(r))
				default:
					return nil, fmt.Errorf("%q has no byte in the encoding", r)
				}
			}
			return b, nil
		},
	}
}

// wide returns UTF-16 in the given order; nil: the one that a mark at the start
// says, or else with the lower byte first.
func wide(order binary.ByteOrder) encoding {
	return encoding{
		zeros: true,
		decode: func(dst, b []byte) ([]byte, error) {
			o := order
			if o == nil {
				o, b = byteOrder(b)
			}
			if len(b)%2 != 0 {
				return dst, fmt.Errorf("%d bytes are no whole number of characters in UTF-16", len(b))
			}
			for len(b) > 0 {
				r, size := rune(o.Uint16(b)), 2
				if utf16.IsSurrogate(r) {
					if len(b) < 4 {
						return dst, errors.New("half a character in UTF-16")
					}
					if r, size = utf16.DecodeRune(r, rune(o.Uint16(b[2:]))), 4; r == utf8.RuneError {
						return dst, errors.New("half a character in UTF-16")
					}
				}
				dst, b = utf8.AppendRune(dst, r), b[size:]
			}
			return dst, nil
		},
		encode: func(text string) ([]byte, error) {
			var b []byte
			o := order
			if o == nil {
				o, b = binary.LittleEndian, []byte{0xff, 0xfe}
			}
			for _, u := range utf16.Encode([]rune(text)) {
				pair := make([]byte, 2)
				o.PutUint16(pair, u)
				b = append(b, pair...)
			}
			return b, nil
		},
	}
}

// byteOrder returns the order that the mark at the start of b says, and the rest.
func byteOrder(b []byte) (binary.ByteOrder, []byte) {
	switch {
	case len(b) >= 2 && b[0] == 0xfe && b[1] == 0xff:
		return binary.BigEndian, b[2:]
	case len(b) >= 2 && b[0] == 0xff && b[1] == 0xfe:
		return binary.LittleEndian, b[2:]
	default:
		return binary.LittleEndian, b
	}
}
