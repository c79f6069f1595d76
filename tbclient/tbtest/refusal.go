package tbtest

import "fmt"

// The reason codes that the platform uses (OASIS MQTT 5.0, section 2.4).
const (
	reasonUnspecified    byte = 128
	reasonMalformed      byte = 129
	reasonImplementation byte = 131
	reasonClientID       byte = 133
	reasonCredentials    byte = 134
	reasonNotAuthorised  byte = 135
	reasonUnavailable    byte = 136
	reasonFilter         byte = 143
	reasonTopic          byte = 144
	reasonReceiveMaximum byte = 147
	reasonPacketSize     byte = 149
	reasonRate           byte = 150
	reasonQuota          byte = 151
	reasonPayload        byte = 153
	reasonQoS            byte = 155
	reasonConnectRate    byte = 159
)

// A refusal is what the platform does with a message that it does not carry
// out. A client of MQTT 3.1.1 sees no reasons: to it a message that is
// acknowledged looks accepted.
type refusal struct {
	reason byte
	acked  bool   // acknowledged, with the reason
	ends   bool   // the connection ends
	device string // that MQTT 5 is told about before the end
	cause  string
}

var _ error = (*refusal)(nil)

// Error implements error.
func (r *refusal) Error() string {
	return fmt.Sprintf("tbtest: refused with reason %d: %s", r.reason, r.cause)
}

// silence is what a device that is no gateway gets on the gateway's topics.
func silence() *refusal { return &refusal{cause: "the device is not a gateway"} }

// acknowledged refuses a message and leaves the connection open.
func acknowledged(reason byte, cause string) *refusal {
	return &refusal{reason: reason, acked: true, cause: cause}
}

// failed is what a failure inside of the platform does to a gateway's message.
func failed(reason byte, cause string) *refusal {
	return &refusal{reason: reason, acked: true, ends: true, cause: cause}
}

// ending ends the connection without an acknowledgement.
func ending(reason byte, cause string) *refusal {
	return &refusal{reason: reason, ends: true, cause: cause}
}

// badText refuses a payload that is not of the expected format.
func (se *session) badText(err error) *refusal {
	if se.version == 5 || se.srv.cfg.AckInvalid {
		return acknowledged(reasonPayload, err.Error())
	}
	return ending(reasonPayload, err.Error())
}

// badElement refuses a message with an element that cannot be converted.
func (se *session) badElement(err error) *refusal {
	if se.version == 5 {
		return acknowledged(reasonPayload, err.Error())
	}
	return ending(reasonPayload, err.Error())
}
