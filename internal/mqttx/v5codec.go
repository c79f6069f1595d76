package mqttx

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// The types of control packets (MQTT 5.0, 2.1.2).
const (
	packetConnect     = 1
	packetConnack     = 2
	packetPublish     = 3
	packetPuback      = 4
	packetPubrec      = 5
	packetPubrel      = 6
	packetPubcomp     = 7
	packetSubscribe   = 8
	packetSuback      = 9
	packetUnsubscribe = 10
	packetUnsuback    = 11
	packetPingreq     = 12
	packetPingresp    = 13
	packetDisconnect  = 14
)

// maxString is the length of the longest string or binary field.
const maxString = 1<<16 - 1

var (
	errMalformed = errors.New("malformed packet")
	errTooLarge  = errors.New("packet too large")
)

// A frame is a control packet without its length.
type frame struct {
	kind  byte // type
	flags byte
	body  []byte // of a PUBLISH: not used again; of others: until the next read
}

// A frameReader reads control packets.
type frameReader struct {
	r    *bufio.Reader
	max  int // size of the largest packet
	body []byte
}

func newFrameReader(r io.Reader, maxSize int) *frameReader {
	return &frameReader{r: bufio.NewReader(r), max: maxSize}
}

// next reads a packet. It allocates no more than a packet may have.
func (f *frameReader) next() (frame, error) {
	head, err := f.r.ReadByte()
	if err != nil {
		return frame{}, err
	}
	size, err := readVarint(f.r)
	if err != nil {
		return frame{}, err
	}
	if 1+varintSize(size)+size > f.max {
		return frame{}, errTooLarge
	}
	fr := frame{kind: head >> 4, flags: head & 0xf}
	const keep = 1 << 10 // an acknowledgement with a long reason should not stay
	switch {
	case fr.kind == packetPublish || size > keep:
		fr.body = make([]byte, size)
	case size > len(f.body):
		f.body = make([]byte, keep)
		fallthrough
	default:
		fr.body = f.body[:size]
	}
	_, err = io.ReadFull(f.r, fr.body)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fr, err
}

// readVarint reads a variable byte integer (MQTT 5.0, 1.5.5).
func readVarint(r io.ByteReader) (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, errMalformed
}

func varintSize(n int) int {
	size := 1
	for n >>= 7; n > 0; n >>= 7 {
		size++
	}
	return size
}

func appendVarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendString[T string | []byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// A cursor takes fields from a packet. After the first one that is not there, it
// is bad and yields zeros.
type cursor struct {
	b   []byte
	bad bool
}

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.b, c.bad = nil, true
		return nil
	}
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) uint8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) varint() int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b := c.uint8()
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.bad = true
	return 0
}

func (c *cursor) bytes() []byte  { return c.take(int(c.uint16())) }
func (c *cursor) string() string { return string(c.bytes()) }
