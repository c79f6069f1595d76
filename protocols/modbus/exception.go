package modbus

import (
	"errors"
	"fmt"
)

// The errors of a [Transport], to be found with errors.Is.
var (
	// ErrTimeout means that a unit did not answer in time. The connection is
	// still good, and an answer that comes late is not taken for another.
	ErrTimeout = errors.New("no answer in time")

	// ErrProtocol means that an answer came that is not one to the request:
	// damaged, cut short, of another length or function.
	ErrProtocol = errors.New("malformed answer")

	// ErrLost means that the connection or line is gone. The transport is of no
	// further use.
	ErrLost = errors.New("connection lost")
)

// An Exception is a unit's refusal of a request.
type Exception struct {
	Function uint8 // of the request
	Code     uint8
}

// The exception codes, with their numbers and names from the MODBUS Application
// Protocol Specification V1.1b3, section 7.
const (
	IllegalFunction     = 1
	IllegalDataAddress  = 2
	IllegalDataValue    = 3
	ServerDeviceFailure = 4
	Acknowledge         = 5
	ServerDeviceBusy    = 6
	MemoryParityError   = 8
	GatewayPath         = 10
	GatewayTarget       = 11
)

// Error names the code and the function.
func (e *Exception) Error() string {
	return fmt.Sprintf("exception %d (%s) to function %d", e.Code, exceptionName(e.Code), e.Function)
}

func exceptionName(code uint8) string {
	switch code {
	case IllegalFunction:
		return "illegal function"
	case IllegalDataAddress:
		return "illegal data address"
	case IllegalDataValue:
		return "illegal data value"
	case ServerDeviceFailure:
		return "server device failure"
	case Acknowledge:
		return "acknowledge"
	case ServerDeviceBusy:
		return "server device busy"
	case MemoryParityError:
		return "memory parity error"
	case GatewayPath:
		return "gateway path unavailable"
	case GatewayTarget:
		return "gateway target device failed to respond"
	default:
		return "unknown code"
	}
}

func isException(err error) bool {
	var e *Exception
	return errors.As(err, &e)
}

// refused reports whether err says that what was asked for does not exist, rather
// than that the unit cannot serve it now.
func refused(err error) (code uint8, ok bool) {
	var e *Exception
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code, e.Code >= IllegalFunction && e.Code <= IllegalDataValue
}
