package tbclient

import (
	"errors"
	"fmt"
)

// ErrClosedByPlatform says that the platform ended the connection, rather than
// the network or the client. A Session's Err wraps it, so that the client can
// tell data that the platform does not take from a bad line.
var ErrClosedByPlatform = errors.New("tbclient: the platform closed the connection")

// A ReasonError is a refusal with a reason code of MQTT 5: of a publication, or
// of a whole session.
type ReasonError struct {
	Code byte   // 0x80 or greater
	Text string // what the platform or the standard says about it
}

// Error implements error.
func (e *ReasonError) Error() string {
	return fmt.Sprintf("tbclient: refused by the platform with reason code 0x%02X: %s", e.Code, e.Text)
}

// The reason codes that mean something to the client.
const (
	reasonImplementation = 0x83
	reasonTopicName      = 0x90
	reasonTooLarge       = 0x95
	reasonRate           = 0x96
	reasonQuota          = 0x97
	reasonPayload        = 0x99
)

// limitReached reports whether err says that too much was sent.
func limitReached(err error) bool {
	var r *ReasonError
	return errors.As(err, &r) && (r.Code == reasonRate || r.Code == reasonQuota)
}

// contentRefused reports whether err says that a message itself is at fault.
func contentRefused(err error) bool {
	var r *ReasonError
	if !errors.As(err, &r) {
		return false
	}
	switch r.Code {
	case reasonImplementation, reasonTopicName, reasonTooLarge, reasonPayload:
		return true
	}
	return false
}

// refusedByPlatform reports whether err says that the platform does not take
// what was published: not that it is busy, shutting down or otherwise not
// concerned with the content.
func refusedByPlatform(err error) bool {
	var r *ReasonError
	if !errors.As(err, &r) {
		return errors.Is(err, ErrClosedByPlatform)
	}
	switch r.Code {
	case 0x88, 0x89, // server unavailable, busy
		0x8B, 0x8D, 0x8E, // server shutting down, keep alive timeout, session taken over
		reasonRate, reasonQuota,
		0x98, 0x9C, 0x9D, 0x9F, 0xA0: // administrative action, use another server, server moved, connection rate, maximum connect time
		return false
	}
	return true
}
