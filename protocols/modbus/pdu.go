package modbus

import (
	"encoding/binary"
	"fmt"
)

// The function codes that the package uses.
const (
	readCoils              = 1
	readDiscreteInputs     = 2
	readHoldingRegisters   = 3
	readInputRegisters     = 4
	writeSingleCoil        = 5
	writeSingleRegister    = 6
	writeMultipleCoils     = 15
	writeMultipleRegisters = 16
	encapsulated           = 43 // with type 14: read device identification
)

// The limits of one request, from the MODBUS Application Protocol Specification
// V1.1b3, section 6.
const (
	maxReadRegisters  = 125
	maxReadBits       = 2000
	maxWriteRegisters = 123
	maxWriteBits      = 1968
	maxPDU            = 253
)

const (
	exceptionBit = 0x80
	coilOn       = 0xFF00
)

// appendRead appends the PDU that reads count registers or bits from addr.
func appendRead(dst []byte, function uint8, addr, count uint16) []byte {
	dst = append(dst, function)
	dst = binary.BigEndian.AppendUint16(dst, addr)
	return binary.BigEndian.AppendUint16(dst, count)
}

// appendWriteOne appends the PDU that writes one register or coil.
func appendWriteOne(dst []byte, function uint8, addr, value uint16) []byte {
	return appendRead(dst, function, addr, value)
}

// appendWriteMany appends the PDU that writes count registers or coils, whose
// contents are packed in data.
func appendWriteMany(dst []byte, function uint8, addr, count uint16, data []byte) []byte {
	dst = appendRead(dst, function, addr, count)
	dst = append(dst, byte(len(data)))
	return append(dst, data...)
}

// readLength returns the number of data bytes that answer a read.
func readLength(function uint8, count uint16) int {
	if function == readCoils || function == readDiscreteInputs {
		return (int(count) + 7) / 8
	}
	return 2 * int(count)
}

// checkResponse returns what response says: the data of a read, or nothing for a
// write. An answer that refuses is an *Exception; one that does not fit request
// is an ErrProtocol.
func checkResponse(request, response []byte) ([]byte, error) {
	if len(request) < 5 {
		return nil, fmt.Errorf("request of %d bytes", len(request))
	}
	if len(response) < 2 {
		return nil, fmt.Errorf("%w: %d bytes", ErrProtocol, len(response))
	}
	function := request[0]
	switch response[0] {
	case function:
	case function | exceptionBit:
		return nil, &Exception{Function: function, Code: response[1]}
	default:
		return nil, fmt.Errorf("%w: function %d in answer to function %d", ErrProtocol, response[0], function)
	}
	if function > readInputRegisters {
		if len(response) != 5 || string(response[:5]) != string(request[:5]) {
			return nil, fmt.Errorf("%w: the answer to a write does not repeat it", ErrProtocol)
		}
		return nil, nil
	}
	want := readLength(function, binary.BigEndian.Uint16(request[3:]))
	if int(response[1]) != want || len(response) != 2+want {
		return nil, fmt.Errorf("%w: %d bytes of data (of %d announced), not %d", ErrProtocol, len(response)-2, response[1], want)
	}
	return response[2:], nil
}
