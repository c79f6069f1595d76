package mqttx

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// maxPacketSize is the size of the largest packet that MQTT can frame.
	maxPacketSize = 1 + 4 + 1<<28 - 1

	defaultReceiveMaximum    = 100
	defaultMaximumPacketSize = 16 << 20
)

// appendFrame appends the fixed header of a packet and its body.
func appendFrame(b []byte, head byte, body []byte) []byte {
	b = appendVarint(append(b, head), len(body))
	return append(b, body...)
}

// appendConnect appends a CONNECT packet (MQTT 5.0, 3.1).
func appendConnect(b []byte, o Options) []byte {
	const cleanStart, password, username = 1 << 1, 1 << 6, 1 << 7
	var flags byte
	if !o.KeepSession {
		flags |= cleanStart
	}
	if o.Password != "" {
		flags |= password
	}
	if o.Username != "" {
		flags |= username
	}
	body := appendString(nil, "MQTT")
	body = append(body, 5, flags)
	body = binary.BigEndian.AppendUint16(body, keepAliveSeconds(o.KeepAlive))
	props := make([]byte, 0, 16)
	if o.KeepSession {
		props = binary.BigEndian.AppendUint32(append(props, propSessionExpiry), expirySeconds(o.SessionExpiry))
	}
	receive := min(orDefault(o.ReceiveMaximum, defaultReceiveMaximum), maxString)
	props = binary.BigEndian.AppendUint16(append(props, propReceiveMaximum), uint16(receive))
	props = binary.BigEndian.AppendUint32(append(props, propMaximumPacketSize), uint32(o.maximumPacketSize()))
	body = append(appendVarint(body, len(props)), props...)
	body = appendString(body, o.ClientID)
	if o.Username != "" {
		body = appendString(body, o.Username)
	}
	if o.Password != "" {
		body = appendString(body, o.Password)
	}
	return appendFrame(b, packetConnect<<4, body)
}

func (o *Options) maximumPacketSize() int {
	return min(orDefault(o.MaximumPacketSize, defaultMaximumPacketSize), maxPacketSize)
}

// keepAliveSeconds returns d in whole seconds, at least one.
func keepAliveSeconds(d time.Duration) uint16 {
	return uint16(min(max(orDefault(d, defaultKeepAlive)/time.Second, 1), maxString))
}

// expirySeconds returns d in whole seconds, rounded up; zero means for ever.
func expirySeconds(d time.Duration) uint32 {
	if d <= 0 {
		return neverExpires
	}
	return uint32(min((d-1)/time.Second+1, neverExpires-1))
}

// publishSize returns the size of a PUBLISH packet behind its length.
func publishSize(m outgoing) int {
	size := 2 + len(m.topic) + 1 + len(m.payload)
	if m.qos > 0 {
		size += 2
	}
	return size
}

// appendPublishHeader appends a PUBLISH packet up to its payload (MQTT 5.0, 3.3).
func appendPublishHeader(b []byte, m outgoing, id uint16) []byte {
	head := byte(packetPublish<<4) | m.qos<<1
	if m.retain {
		head |= 1
	}
	b = appendVarint(append(b, head), publishSize(m))
	b = appendString(b, m.topic)
	if m.qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, 0) // no properties
}

// appendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP packet that says success.
func appendAck(b []byte, kind byte, id uint16) []byte {
	head := kind << 4
	if kind == packetPubrel {
		head |= 2
	}
	return binary.BigEndian.AppendUint16(append(b, head, 2), id)
}

// appendSubscribe appends a SUBSCRIBE packet (MQTT 5.0, 3.8).
func appendSubscribe(b []byte, id uint16, o SubscribeOptions, subs []Subscription) []byte {
	options := byte(o.RetainHandling) << 4
	if o.NoLocal {
		options |= 1 << 2
	}
	if o.RetainAsPublished {
		options |= 1 << 3
	}
	body := append(binary.BigEndian.AppendUint16(nil, id), 0)
	for _, s := range subs {
		body = append(appendString(body, s.Filter), options|s.QoS)
	}
	return appendFrame(b, packetSubscribe<<4|2, body)
}

// appendUnsubscribe appends an UNSUBSCRIBE packet (MQTT 5.0, 3.10).
func appendUnsubscribe(b []byte, id uint16, filters []string) []byte {
	body := append(binary.BigEndian.AppendUint16(nil, id), 0)
	for _, filter := range filters {
		body = appendString(body, filter)
	}
	return appendFrame(b, packetUnsubscribe<<4|2, body)
}

// parseConnack reads a CONNACK packet (MQTT 5.0, 3.2). An error that is a
// ReasonError is the broker's.
func parseConnack(fr frame) (ServerLimits, error) {
	s := ServerLimits{MaximumQoS: 2}
	if fr.kind != packetConnack {
		return s, fmt.Errorf("the broker answered with a packet of type %d in place of CONNACK", fr.kind)
	}
	c := cursor{b: fr.body}
	_ = c.uint8() // whether there was a session: those who subscribe do it again
	reason := ReasonError{Code: c.uint8(), packet: packetConnack}
	if c.bad {
		return s, errMalformed
	}
	if len(c.b) > 0 {
		c.properties(func(p property) {
			s.learn(p)
			if p.id == propReason {
				reason.Text = string(p.text)
			}
		})
	} else if reason.Code == 1 { // "unacceptable protocol version", of a broker that knows 3.1.1 only
		reason.Code = codeVersion
	}
	if reason.Code != 0 {
		return s, &reason
	}
	if c.bad {
		return s, errMalformed
	}
	return s, nil
}

// parsePublish reads a PUBLISH packet (MQTT 5.0, 3.3).
func parsePublish(fr frame) (m Message, id uint16, code byte) {
	m = Message{QoS: fr.flags >> 1 & 3, Retained: fr.flags&1 != 0}
	c := cursor{b: fr.body}
	m.Topic = c.string()
	if m.QoS > 0 {
		id = c.uint16()
	}
	aliased := false
	if c.bad || len(c.b) == 0 || c.b[0] != 0 {
		c.properties(func(p property) {
			m.Properties = m.Properties.add(p)
			aliased = aliased || p.id == propTopicAlias
		})
	} else {
		c.take(1) // no properties, as most messages
	}
	m.Payload = c.b
	switch {
	case c.bad || m.QoS > 2:
		return m, 0, codeMalformed
	case aliased:
		return m, 0, codeTopicAlias // none was allowed
	case m.Topic == "" || m.QoS > 0 && id == 0:
		return m, 0, codeProtocolError
	}
	return m, id, 0
}

// An answer is what PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK and
// DISCONNECT packets say.
type answer struct {
	id    uint16
	code  byte   // except of SUBACK and UNSUBACK
	codes []byte // of these, one for each filter; part of the packet
	text  string // reason string
}

// parseAnswer reads an answer (MQTT 5.0, 3.4 to 3.7, 3.9, 3.11 and 3.14).
func parseAnswer(fr frame) (answer, bool) {
	c := cursor{b: fr.body}
	var a answer
	text := func(p property) {
		if p.id == propReason {
			a.text = string(p.text)
		}
	}
	if fr.kind != packetDisconnect {
		a.id = c.uint16()
	}
	if fr.kind == packetSuback || fr.kind == packetUnsuback {
		c.properties(text)
		a.codes = c.b
		return a, !c.bad
	}
	if len(c.b) > 0 {
		a.code = c.uint8()
	}
	if len(c.b) > 0 {
		c.properties(text)
	}
	return a, !c.bad
}
