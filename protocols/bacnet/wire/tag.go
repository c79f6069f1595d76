package wire

import "encoding/binary"

const (
	tagContext = 0x08
	tagOpen    = 0x06
	tagClose   = 0x07
)

// appendTag appends a tag: its number, its class (0 or tagContext) and the length of
// its content.
func appendTag(dst []byte, number, class byte, length int) []byte {
	first := class
	if number < 15 {
		first |= number << 4
	} else {
		first |= 0xF0
	}
	if length < 5 {
		first |= byte(length)
	} else {
		first |= 5
	}
	dst = append(dst, first)
	if number >= 15 {
		dst = append(dst, number)
	}
	switch {
	case length < 5:
		return dst
	case length < 254:
		return append(dst, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 254), uint16(length))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 255), uint32(length))
	}
}

// AppendOpen appends the tag that opens a constructed value; number is below 15.
func AppendOpen(dst []byte, number byte) []byte { return append(dst, number<<4|tagContext|tagOpen) }

// AppendClose appends the tag that closes a constructed value.
func AppendClose(dst []byte, number byte) []byte { return append(dst, number<<4|tagContext|tagClose) }

// AppendContext appends v with a context tag, whose number tells its type.
func AppendContext(dst []byte, number byte, v Value) []byte {
	return v.appendContent(appendTag(dst, number, tagContext, v.size()))
}

// A tag is a decoded tag. Its content are the next length bytes, unless it opens or
// closes a constructed value.
type tag struct {
	number      uint8
	context     bool
	open, close bool
	length      uint32
	boolean     bool // an application tag that is the value itself
}

// parseTag returns the tag that b starts with and the number of its bytes, or zero.
func parseTag(b []byte) (t tag, n int) {
	if len(b) == 0 {
		return tag{}, 0
	}
	first := b[0]
	t.number, t.context = first>>4, first&tagContext != 0
	n = 1
	if t.number == 15 {
		if len(b) < 2 {
			return tag{}, 0
		}
		t.number, n = b[1], 2
	}
	length := first & 7
	switch {
	case t.context && length == tagOpen:
		t.open = true
		return t, n
	case t.context && length == tagClose:
		t.close = true
		return t, n
	case !t.context && t.number == uint8(Boolean):
		t.boolean = length == 1
		return t, check(n, length <= 1)
	case length < 5:
		t.length = uint32(length)
		return t, n
	case length > 5:
		return tag{}, 0
	}
	return t.parseLength(b, n)
}

func check(n int, ok bool) int {
	if ok {
		return n
	}
	return 0
}

// parseLength parses the length of a tag in the bytes behind it.
func (t tag) parseLength(b []byte, n int) (tag, int) {
	if len(b) <= n {
		return tag{}, 0
	}
	switch b[n] {
	case 254:
		if len(b) < n+3 {
			return tag{}, 0
		}
		t.length = uint32(binary.BigEndian.Uint16(b[n+1:]))
		return t, n + 3
	case 255:
		if len(b) < n+5 {
			return tag{}, 0
		}
		t.length = binary.BigEndian.Uint32(b[n+1:])
		return t, n + 5
	default:
		t.length = uint32(b[n])
		return t, n + 1
	}
}
