package mqttx

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A ReasonError is a reason code with which a broker of version 5 refused
// something or ended the connection. It is also what Publish fails with, without
// asking the broker, where the broker said that it would refuse.
type ReasonError struct {
	Code byte   // MQTT 5.0, 2.4
	Text string // the broker's own words; often empty

	packet byte // type of the packet that the code came in
}

// Error returns the standard name of the code, the code, and the broker's words.
func (e *ReasonError) Error() string {
	text := fmt.Sprintf("%s (0x%02X)", reasonName(e.Code), e.Code)
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.packet == packetDisconnect {
		return "mqtt: the broker ended the connection: " + text
	}
	return text
}

// The reason codes that this package itself uses.
const (
	codeMalformed        = 0x81
	codeProtocolError    = 0x82
	codeVersion          = 0x84
	codeClientID         = 0x85
	codeBadUserName      = 0x86
	codeNotAuthorized    = 0x87
	codeBadMethod        = 0x8C
	codeReceiveMaximum   = 0x93
	codeTopicAlias       = 0x94
	codeTooLarge         = 0x95
	codeTopicNameInvalid = 0x90
	codeNoRetain         = 0x9A
	codeQoS              = 0x9B
)

// reasonName returns the standard name of a code (MQTT 5.0, table 2-6).
func reasonName(code byte) string {
	names := [...]string{
		0x00: "success", 0x04: "disconnect with will message", 0x10: "no matching subscribers",
		0x11: "no subscription existed",
		0x80: "unspecified error", codeMalformed: "malformed packet",
		codeProtocolError: "protocol error", 0x83: "implementation specific error",
		codeVersion: "unsupported protocol version", codeClientID: "client identifier not valid",
		codeBadUserName: "bad user name or password", codeNotAuthorized: "not authorized",
		0x88: "server unavailable", 0x89: "server busy",
		0x8A: "banned", 0x8B: "server shutting down",
		codeBadMethod: "bad authentication method", 0x8D: "keep alive timeout",
		0x8E: "session taken over", 0x8F: "topic filter invalid",
		codeTopicNameInvalid: "topic name invalid", 0x91: "packet identifier in use",
		0x92: "packet identifier not found", codeReceiveMaximum: "receive maximum exceeded",
		codeTopicAlias: "topic alias invalid", codeTooLarge: "packet too large",
		0x96: "message rate too high", 0x97: "quota exceeded",
		0x98: "administrative action", 0x99: "payload format invalid",
		codeNoRetain: "retain not supported", codeQoS: "QoS not supported",
		0x9C: "use another server", 0x9D: "server moved",
		0x9E: "shared subscriptions not supported", 0x9F: "connection rate exceeded",
		0xA0: "maximum connect time", 0xA1: "subscription identifiers not supported",
		0xA2: "wildcard subscriptions not supported",
	}
	if int(code) >= len(names) || names[code] == "" {
		return "unknown reason"
	}
	return names[code]
}

// IsRefused reports whether err, of Dial, says that the broker refused the user
// name, password, client identifier or way of authentication, which trying again
// does not cure. That a broker is busy, unavailable or asked too often is no
// refusal.
func IsRefused(err error) bool {
	var reason *ReasonError
	if errors.As(err, &reason) && reason.packet == packetConnack {
		switch reason.Code {
		case codeClientID, codeBadUserName, codeNotAuthorized, codeBadMethod:
			return true
		}
	}
	return errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) ||
		errors.Is(err, packets.ErrorRefusedNotAuthorised) ||
		errors.Is(err, packets.ErrorRefusedIDRejected)
}

var errClosedByBroker = errors.New("closed by the broker")

// IsRemoteClose reports whether err, of [Conn.Err] or of something that was
// under way, says that the other side ended the connection: the broker sent a
// DISCONNECT packet (version 5), or it, or whatever is between, closed the
// stream (a TCP FIN or RST, a TLS alert, the end of a websocket). It does not
// matter whether the broker meant to: a broker that is killed closes its
// connections too.
//
// What this side decides does not count: Close, Fail, a write or a ping that
// timed out, a malformed packet. Nor does an operating system that gave up,
// such as for want of a route or of an answer.
func IsRemoteClose(err error) bool {
	var reason *ReasonError
	if errors.As(err, &reason) {
		return reason.packet == packetDisconnect
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
		return true // crypto/tls: an alert was received
	}
	const wsaAborted, wsaReset = syscall.Errno(10053), syscall.Errno(10054) // as Windows reports them
	for _, end := range []error{
		errClosedByBroker, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, wsaAborted, wsaReset,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// lost returns the reason why a connection ended whose stream failed.
func lost(err error) error { return fmt.Errorf("mqtt: connection lost: %w", closedByBroker(err)) }

// closedByBroker puts the end of a stream in words.
func closedByBroker(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errClosedByBroker
	}
	return err
}
