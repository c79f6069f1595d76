package modbus

import (
	"bytes"
	"encoding/hex"
)

// maxASCIIFrame is the length of the longest frame: a colon, 255 bytes in two
// characters each, and the end of the line (MODBUS over Serial Line V1.02, section
// 2.5.2.1).
const maxASCIIFrame = 513

// asciiFraming is the framing in printable characters: a colon, the unit, the PDU
// and a check sum in hexadecimal digits, and CR LF.
type asciiFraming struct{ decoded []byte }

var _ framing = (*asciiFraming)(nil)

func newASCIIFraming() *asciiFraming { return &asciiFraming{decoded: make([]byte, maxASCIIFrame/2)} }

func (*asciiFraming) length(pdu int) int { return 1 + 2*(pdu+2) + 2 }
func (*asciiFraming) longest() int       { return maxASCIIFrame }

func (*asciiFraming) append(dst []byte, unit uint8, pdu []byte) []byte {
	dst = append(dst, ':')
	dst = appendHex(dst, unit)
	for _, b := range pdu {
		dst = appendHex(dst, b)
	}
	return append(appendHex(dst, lrc(unit, pdu)), '\r', '\n')
}

func appendHex(dst []byte, b byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, digits[b>>4], digits[b&0xF])
}

// lrc returns the check sum of a frame: what makes the sum of its bytes zero
// (section 6.2.1).
func lrc(unit uint8, pdu []byte) uint8 {
	sum := unit
	for _, b := range pdu {
		sum += b
	}
	return -sum
}

func (f *asciiFraming) parse(b []byte) (unit uint8, pdu []byte, n int) {
	if len(b) == 0 || b[0] != ':' {
		return 0, nil, 0
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 || end >= maxASCIIFrame {
		return 0, nil, 0
	}
	text := bytes.TrimSuffix(b[1:end], []byte{'\r'})
	if len(text) < 6 || len(text)%2 != 0 || len(text)/2 > maxPDU+2 {
		return 0, nil, 0
	}
	size, err := hex.Decode(f.decoded, text)
	if err != nil {
		return 0, nil, 0
	}
	frame := f.decoded[:size]
	unit, pdu = frame[0], frame[1:size-1:size-1]
	if lrc(unit, pdu) != frame[size-1] {
		return 0, nil, 0
	}
	return unit, pdu, end + 1
}

func (f *asciiFraming) parseRequest(b []byte) (uint8, []byte, int) { return f.parse(b) }
