package wire

// A PDUType is the type of an APDU.
type PDUType uint8

// The types of APDUs (clause 20.1).
const (
	ConfirmedRequest PDUType = iota
	UnconfirmedRequest
	SimpleACK
	ComplexACK
	SegmentACK
	ErrorPDU
	RejectPDU
	AbortPDU
)

// The confirmed services of this package.
const (
	ServiceConfirmedCOVNotification uint8 = 1
	ServiceSubscribeCOV             uint8 = 5
	ServiceReadProperty             uint8 = 12
	ServiceReadPropertyMultiple     uint8 = 14
	ServiceWriteProperty            uint8 = 15
)

// The unconfirmed services of this package.
const (
	ServiceIAm                        uint8 = 0
	ServiceUnconfirmedCOVNotification uint8 = 2
	ServiceWhoIs                      uint8 = 8
)

// An APDU is a message of the application layer.
type APDU struct {
	Type PDUType

	Segmented bool // this is one of several segments
	More      bool // and not the last
	Accepts   bool // of a request: its answer may be segmented
	Negative  bool // of SegmentACK: repeat from Sequence on
	Server    bool // of SegmentACK and AbortPDU: sent by who answers

	// MaxSegments and MaxAPDU are what the sender of a request accepts, in the
	// form of the header: see SegmentsCode and LengthCode.
	MaxSegments, MaxAPDU uint8

	InvokeID uint8
	Sequence uint8 // of a segment
	Window   uint8 // of a segment
	Service  uint8
	Reason   uint8 // of RejectPDU and AbortPDU

	Payload []byte
}

// Append appends the header of a and its payload.
func (a *APDU) Append(dst []byte) []byte {
	first := byte(a.Type) << 4
	switch a.Type {
	case ConfirmedRequest:
		first |= flag(a.Segmented, 8) | flag(a.More, 4) | flag(a.Accepts, 2)
		dst = append(dst, first, a.MaxSegments<<4|a.MaxAPDU, a.InvokeID)
		dst = a.appendSegment(dst)
		dst = append(dst, a.Service)
	case ComplexACK:
		dst = append(dst, first|flag(a.Segmented, 8)|flag(a.More, 4), a.InvokeID)
		dst = a.appendSegment(dst)
		dst = append(dst, a.Service)
	case UnconfirmedRequest:
		dst = append(dst, first, a.Service)
	case SegmentACK:
		dst = append(dst, first|flag(a.Negative, 2)|flag(a.Server, 1), a.InvokeID, a.Sequence, a.Window)
	case RejectPDU:
		dst = append(dst, first, a.InvokeID, a.Reason)
	case AbortPDU:
		dst = append(dst, first|flag(a.Server, 1), a.InvokeID, a.Reason)
	default: // SimpleACK, ErrorPDU
		dst = append(dst, first, a.InvokeID, a.Service)
	}
	return append(dst, a.Payload...)
}

func (a *APDU) appendSegment(dst []byte) []byte {
	if a.Segmented {
		return append(dst, a.Sequence, a.Window)
	}
	return dst
}

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// ParseAPDU takes a message of the application layer apart.
func ParseAPDU(b []byte) (APDU, error) {
	if len(b) < 2 {
		return APDU{}, malformed("APDU is too short")
	}
	a := APDU{Type: PDUType(b[0] >> 4)}
	bit := func(mask byte) bool { return b[0]&mask != 0 }
	var at int // where the invoke identifier is
	switch a.Type {
	case ConfirmedRequest:
		a.Segmented, a.More, a.Accepts = bit(8), bit(4), bit(2)
		a.MaxSegments, a.MaxAPDU = b[1]>>4&7, b[1]&15
		at = 2
	case ComplexACK:
		a.Segmented, a.More = bit(8), bit(4)
		at = 1
	case UnconfirmedRequest:
		a.Service, a.Payload = b[1], b[2:]
		return a, nil
	case SegmentACK:
		if len(b) < 4 {
			return APDU{}, malformed("APDU is too short")
		}
		a.Negative, a.Server = bit(2), bit(1)
		a.InvokeID, a.Sequence, a.Window = b[1], b[2], b[3]
		return a, nil
	case SimpleACK, ErrorPDU, RejectPDU, AbortPDU:
		return a.parseEnd(b)
	default:
		return APDU{}, malformed("type of APDU")
	}
	return a.parseService(b, at)
}

// parseEnd parses one of the APDUs that end a transaction.
func (a APDU) parseEnd(b []byte) (APDU, error) {
	if len(b) < 3 {
		return APDU{}, malformed("APDU is too short")
	}
	a.InvokeID, a.Payload = b[1], b[3:]
	switch a.Type {
	case RejectPDU, AbortPDU:
		a.Reason, a.Server = b[2], a.Type == AbortPDU && b[0]&1 != 0
	default:
		a.Service = b[2]
	}
	return a, nil
}

func (a APDU) parseService(b []byte, at int) (APDU, error) {
	need := at + 2
	if a.Segmented {
		need += 2
	}
	if len(b) < need {
		return APDU{}, malformed("APDU is too short")
	}
	a.InvokeID = b[at]
	if a.Segmented {
		a.Sequence, a.Window = b[at+1], b[at+2]
	}
	a.Service, a.Payload = b[need-1], b[need:]
	return a, nil
}

// LengthCode returns the code of the longest APDU that one who accepts n bytes can
// be sent.
func LengthCode(n int) uint8 {
	switch {
	case n >= 1476:
		return 5
	case n >= 1024:
		return 4
	case n >= 480:
		return 3
	case n >= 206:
		return 2
	case n >= 128:
		return 1
	default:
		return 0
	}
}

// Length returns the bytes that a code of LengthCode stands for.
func Length(code uint8) int {
	switch code {
	case 0:
		return 50
	case 1:
		return 128
	case 2:
		return 206
	case 3:
		return 480
	case 4:
		return 1024
	default:
		return 1476
	}
}

// ManySegments is the code of a sender that accepts more than 64 segments.
const ManySegments = 7
