package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A Function is what a frame of the virtual link layer does.
type Function uint8

// The functions (Annex J.2).
const (
	Result                Function = 0x00
	ForwardedNPDU         Function = 0x04
	RegisterForeignDevice Function = 0x05
	DistributeBroadcast   Function = 0x09
	OriginalUnicast       Function = 0x0A
	OriginalBroadcast     Function = 0x0B
)

const (
	frameType   = 0x81
	frameHeader = 4
)

// MaxDatagram is the length of the longest frame: an APDU of 1476 bytes, the longest
// network header and a forwarded frame's header.
const MaxDatagram = 1476 + 32 + 10

// ErrMalformed is what all errors of decoding are.
var ErrMalformed = errors.New("wire: malformed")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// A Frame is a frame of the virtual link layer.
type Frame struct {
	Function Function
	Origin   netip.AddrPort // of ForwardedNPDU: who sent it first
	Code     uint16         // of Result; zero: success
	NPDU     []byte         // of those that carry one
}

// Begin appends the start of a frame. What the frame carries is appended next, and
// then Finish is called.
func Begin(dst []byte, f Function) []byte { return append(dst, frameType, byte(f), 0, 0) }

// Finish completes a frame that starts at the beginning of b.
func Finish(b []byte) []byte {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// AppendRegistration appends the frame by which a foreign device registers with a
// BBMD for a time of whole seconds, 1 to 65535.
func AppendRegistration(dst []byte, ttl time.Duration) []byte {
	seconds := max(1, min(ttl/time.Second, 0xFFFF))
	return append(dst, frameType, byte(RegisterForeignDevice), 0, 6, byte(seconds>>8), byte(seconds))
}

// AppendResult appends a result frame.
func AppendResult(dst []byte, code uint16) []byte {
	return append(dst, frameType, byte(Result), 0, 6, byte(code>>8), byte(code))
}

// AppendForwarded appends the start of a forwarded frame.
func AppendForwarded(dst []byte, origin netip.AddrPort) []byte {
	ip := origin.Addr().As4()
	dst = append(Begin(dst, ForwardedNPDU), ip[:]...)
	return append(dst, byte(origin.Port()>>8), byte(origin.Port()))
}

// ParseFrame takes a datagram apart.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < frameHeader || b[0] != frameType {
		return Frame{}, malformed("not a BACnet/IP frame")
	}
	if int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return Frame{}, malformed("length of the frame")
	}
	f, body := Frame{Function: Function(b[1])}, b[frameHeader:]
	switch f.Function {
	case OriginalUnicast, OriginalBroadcast, DistributeBroadcast:
		f.NPDU = body
	case ForwardedNPDU:
		if len(body) < 6 {
			return Frame{}, malformed("forwarded frame is too short")
		}
		f.Origin = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[4:]))
		f.NPDU = body[6:]
	case Result, RegisterForeignDevice:
		if len(body) < 2 {
			return Frame{}, malformed("result or registration is too short")
		}
		f.Code = binary.BigEndian.Uint16(body)
	}
	return f, nil
}
