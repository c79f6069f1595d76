package wire

import "fmt"

// An Error is the answer of a device that does not do what it was asked for.
type Error struct {
	Class, Code uint32
}

// The classes of errors that this module gives.
const (
	ClassDevice   uint32 = 0
	ClassObject   uint32 = 1
	ClassProperty uint32 = 2
	ClassServices uint32 = 5
)

// The codes of errors that this module gives or treats in a special way.
const (
	CodeInvalidDataType      uint32 = 9
	CodeServiceRequestDenied uint32 = 29
	CodeUnknownObject        uint32 = 31
	CodeUnknownProperty      uint32 = 32
	CodeValueOutOfRange      uint32 = 37
	CodeWriteAccessDenied    uint32 = 40
	CodeInvalidArrayIndex    uint32 = 42
	CodeNotCOVProperty       uint32 = 44
	CodePropertyIsNotArray   uint32 = 50
	CodeUnknownSubscription  uint32 = 79
)

// Error returns the class and the code, as in "property: unknown-property".
func (e *Error) Error() string {
	return errorClasses.text(e.Class) + ": " + errorCodes.text(e.Code)
}

// Append appends the contents of an Error PDU.
func (e *Error) Append(dst []byte) []byte {
	return EnumeratedValue(e.Code).Append(EnumeratedValue(e.Class).Append(dst))
}

// ParseError reads the contents of an Error PDU, whatever the service. Those of some
// services wrap class and code in a constructed value.
func ParseError(b []byte) (*Error, error) {
	d := NewDecoder(b)
	d.Opens(0)
	e := &Error{Class: uint32(d.ApplicationOf(Enumerated).Bits), Code: uint32(d.ApplicationOf(Enumerated).Bits)}
	return e, d.Err()
}

// A Reject is the answer of a device that does not understand a request.
type Reject uint8

// The reasons of rejects that this module gives or treats in a special way.
const (
	RejectBufferOverflow      Reject = 1
	RejectMissingParameter    Reject = 5
	RejectTooManyArguments    Reject = 7
	RejectUnrecognizedService Reject = 9
)

// Error returns the reason.
func (r Reject) Error() string { return "rejected: " + rejectReasons.text(uint32(r)) }

// An Abort is the answer of a device that gives up on a request.
type Abort uint8

// The reasons of aborts that this module gives or treats in a special way.
const (
	AbortOther                    Abort = 0
	AbortBufferOverflow           Abort = 1
	AbortInvalidState             Abort = 2
	AbortSegmentationNotSupported Abort = 4
	AbortWindowSize               Abort = 7
	AbortOutOfResources           Abort = 9
	AbortTSMTimeout               Abort = 10
	AbortTooLong                  Abort = 11
)

// Error returns the reason.
func (a Abort) Error() string { return "aborted: " + abortReasons.text(uint32(a)) }

// A ResultCode is a BBMD's answer that is not a success.
type ResultCode uint16

// Error returns what the code stands for.
func (c ResultCode) Error() string {
	const codes = names(" 16:write-broadcast-table-refused 32:read-broadcast-table-refused 48:foreign-device-registration-refused" +
		" 64:read-foreign-device-table-refused 80:delete-foreign-device-refused 96:broadcast-distribution-refused\n")
	return fmt.Sprintf("refused: %s", codes.text(uint32(c)))
}
