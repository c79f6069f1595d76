// Package framing finds the messages in a stream of bytes: a serial line, or a TCP
// connection. What a peer writes at once may arrive in pieces, and what it writes
// one after the other at once; only the bytes themselves, or the silence between
// them, say where a message ends.
package framing

import (
	"errors"
	"fmt"
	"time"
)

// Format says where a message ends. At most one of Delimiter, Length and Fixed is
// set. If none is, a message ends with the silence of Gap; and if there is no Gap
// either, each read is taken for a message, which is what there is left to do.
type Format struct {
	// Delimiter ends a message, and is no part of it unless Keep is set.
	Delimiter []byte
	Keep      bool

	// Length is the place of the length in each message.
	Length *Length

	// Fixed is the size of every message in bytes.
	Fixed int

	// Gap is a silence that ends a message. With Delimiter, what came before it is
	// a message that lacks its delimiter. With Length and Fixed it is a fragment,
	// and dropped: so a stream that has lost a byte finds back into step.
	Gap time.Duration

	// Max is the size that a message can have in bytes. Zero means DefaultMax.
	Max int
}

// DefaultMax is the size in bytes that a message can have unless a Format says
// otherwise.
const DefaultMax = 64 << 10

// Length is a field with the length of a message.
type Length struct {
	Offset int  // of the field in the message, in bytes
	Size   int  // of the field: 1 to 4 bytes
	Little bool // the lowest byte comes first
	Adjust int  // what is added to its value to get the size of the whole message, field included
	Strip  bool // the message begins after the field
}

// ErrTooLong is returned for a message that is longer than Format.Max. It is
// skipped, as far as the format tells where it ends.
var ErrTooLong = errors.New("message is too long")

// Check returns what is wrong with f.
func (f Format) Check() error {
	set := 0
	for _, is := range []bool{len(f.Delimiter) > 0, f.Length != nil, f.Fixed != 0} {
		if is {
			set++
		}
	}
	switch {
	case f.Max < 0 || f.Max > 1<<30:
		return fmt.Errorf("largest size %d is not between 1 and 1 GiB", f.Max)
	case set > 1:
		return errors.New("delimiter, length and fixed size exclude each other")
	case f.Fixed < 0 || f.Fixed > f.max():
		return fmt.Errorf("fixed size %d is not between 1 and %d", f.Fixed, f.max())
	case f.Gap < 0:
		return fmt.Errorf("gap %v is negative", f.Gap)
	case len(f.Delimiter) > f.max():
		return errors.New("the delimiter is longer than the largest message")
	}
	if l := f.Length; l != nil && (l.Size < 1 || l.Size > 4 || l.Offset < 0 || l.Offset+l.Size > f.max()) {
		return fmt.Errorf("a length of %d bytes at %d: it has 1 to 4 bytes within the message", l.Size, l.Offset)
	}
	return nil
}

func (f Format) max() int {
	if f.Max == 0 {
		return DefaultMax
	}
	return f.Max
}

// end returns the size of the head of l's message.
func (l *Length) end() int { return l.Offset + l.Size }

// total returns the size of the message that b begins with, of which b has the
// head.
func (l *Length) total(b []byte) int64 {
	field := b[l.Offset:l.end()]
	n := int64(0)
	for i := range field {
		if l.Little {
			n = n<<8 | int64(field[len(field)-1-i])
		} else {
			n = n<<8 | int64(field[i])
		}
	}
	return n + int64(l.Adjust)
}
