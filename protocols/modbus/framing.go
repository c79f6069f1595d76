package modbus

import "encoding/binary"

// A framing is how PDUs travel on a medium that gives them no number.
type framing interface {
	// append appends the frame that carries pdu.
	append(dst []byte, unit uint8, pdu []byte) []byte

	// parse returns the whole and undamaged answer that b starts with and the
	// length of its frame, which is 0 if there is none. The PDU is valid until
	// the next call.
	parse(b []byte) (unit uint8, pdu []byte, n int)

	// parseRequest is parse for requests.
	parseRequest(b []byte) (unit uint8, pdu []byte, n int)

	// length returns the length of the frame of a PDU.
	length(pdu int) int

	// longest returns the length of the longest frame.
	longest() int
}

const (
	rtuOverhead  = 3 // unit, CRC
	maxRTUFrame  = 256
	rtuException = 5 // length of the frame of an exception
)

// rtuFraming is the binary framing of serial lines.
type rtuFraming struct{}

var _ framing = rtuFraming{}

func (rtuFraming) append(dst []byte, unit uint8, pdu []byte) []byte { return appendRTU(dst, unit, pdu) }

func (rtuFraming) parse(b []byte) (uint8, []byte, int) { return parseRTU(b, frameLength(b)) }

func (rtuFraming) parseRequest(b []byte) (uint8, []byte, int) { return parseRTU(b, requestLength(b)) }
func (rtuFraming) length(pdu int) int                         { return pdu + rtuOverhead }
func (rtuFraming) longest() int                               { return maxRTUFrame }

// crc16 returns the CRC of an RTU frame: polynomial 0xA001 (reflected), start
// 0xFFFF (MODBUS over Serial Line V1.02, section 6.2.2).
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xA001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// appendRTU appends the frame that carries pdu.
func appendRTU(dst []byte, unit uint8, pdu []byte) []byte {
	start := len(dst)
	dst = append(dst, unit)
	dst = append(dst, pdu...)
	return binary.LittleEndian.AppendUint16(dst, crc16(dst[start:]))
}

// responseLength returns the length of the PDU that answers request.
func responseLength(request []byte) int {
	if len(request) >= 5 && request[0] <= readInputRegisters {
		return 2 + readLength(request[0], binary.BigEndian.Uint16(request[3:]))
	}
	return 5
}

// frameLength returns the length that the frame at the start of b says it has; 0
// if b is too short to tell, -1 if it is not the start of an answer.
func frameLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch f := b[1]; {
	case f&exceptionBit != 0:
		return rtuException
	case f >= readCoils && f <= readInputRegisters:
		if len(b) < 3 {
			return 0
		}
		return rtuOverhead + 2 + int(b[2])
	case f == writeSingleCoil, f == writeSingleRegister, f == writeMultipleCoils, f == writeMultipleRegisters:
		return rtuOverhead + 5
	default:
		return -1
	}
}

// requestLength is frameLength for requests.
func requestLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch f := b[1]; f {
	case readCoils, readDiscreteInputs, readHoldingRegisters, readInputRegisters, writeSingleCoil, writeSingleRegister:
		return rtuOverhead + 5
	case writeMultipleCoils, writeMultipleRegisters:
		if len(b) < 7 {
			return 0
		}
		return rtuOverhead + 6 + int(b[6])
	case encapsulated:
		return rtuOverhead + 4
	default:
		return -1
	}
}

// parseRTU returns the contents of the frame of n bytes that b starts with, if it
// is whole and undamaged.
func parseRTU(b []byte, n int) (unit uint8, pdu []byte, length int) {
	if n <= 0 || n > len(b) || n > maxRTUFrame {
		return 0, nil, 0
	}
	if crc16(b[:n-2]) != binary.LittleEndian.Uint16(b[n-2:]) {
		return 0, nil, 0
	}
	return b[0], b[1 : n-2 : n-2], n
}

// find looks for the answer of unit to request in b, skipping the noise and the
// answers of others that may come before it.
func find(f framing, b []byte, unit uint8, request []byte) (pdu []byte, found bool) {
	for i := range b {
		u, p, n := f.parse(b[i:])
		if n > 0 && u == unit && fits(request, p) {
			return p, true
		}
	}
	return nil, false
}

// fits reports whether the answer pdu can be one to request.
func fits(request, pdu []byte) bool {
	if pdu[0] == request[0]|exceptionBit {
		return true
	}
	return pdu[0] == request[0] && len(pdu) == responseLength(request)
}
