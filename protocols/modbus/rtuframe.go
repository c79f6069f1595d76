package modbus

import "encoding/binary"

const (
	rtuOverhead  = 3 // unit, CRC
	maxRTUFrame  = 256
	rtuException = 5 // length of the frame of an exception
)

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

// responseLength returns the length of the frame that answers request.
func responseLength(request []byte) int {
	if len(request) >= 5 && request[0] <= readInputRegisters {
		return rtuOverhead + 2 + readLength(request[0], binary.BigEndian.Uint16(request[3:]))
	}
	return rtuOverhead + 5
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

// parseRTU returns the whole and undamaged answer that b starts with, if any.
func parseRTU(b []byte) (unit uint8, pdu []byte, n int) {
	n = frameLength(b)
	if n <= 0 || n > len(b) || n > maxRTUFrame {
		return 0, nil, 0
	}
	if crc16(b[:n-2]) != binary.LittleEndian.Uint16(b[n-2:]) {
		return 0, nil, 0
	}
	return b[0], b[1 : n-2 : n-2], n
}

// findRTU looks for the answer of unit to request in b, skipping the noise and the
// answers of others that may come before it.
func findRTU(b []byte, unit uint8, request []byte) (pdu []byte, found bool) {
	for i := range b {
		u, p, n := parseRTU(b[i:])
		if n > 0 && u == unit && fits(request, p, n) {
			return p, true
		}
	}
	return nil, false
}

// fits reports whether the answer pdu, in a frame of n bytes, can be one to
// request.
func fits(request, pdu []byte, n int) bool {
	if pdu[0] == request[0]|exceptionBit {
		return true
	}
	return pdu[0] == request[0] && n == responseLength(request)
}
