package mqttx

import (
	"strings"
	"unicode/utf8"
)

// publish implements protocol.
func (v *v5) publish(m outgoing) token {
	if code := v.refusal(m); code != 0 {
		return completed(&ReasonError{Code: code})
	}
	v.publishing.Lock()
	defer v.publishing.Unlock()
	if m.qos == 0 {
		if !v.send(m, 0) {
			return nil
		}
		return v.written
	}
	select {
	case v.room <- struct{}{}:
	case <-v.conn.done:
		return nil
	}
	p := newPending(packetPuback)
	if m.qos == 2 {
		p.expect = packetPubrec
	}
	id, ok := v.inflight.add(p)
	if !ok {
		<-v.room
		return completed(errNoIdentifier)
	}
	if !v.send(m, id) {
		return nil
	}
	return p
}

func (v *v5) send(m outgoing, id uint16) bool {
	v.head = appendPublishHeader(v.head[:0], m, id)
	return v.write(v.head, m.payload)
}

// refusal returns why the broker would not take m, and end the connection if it
// were sent, or zero.
func (v *v5) refusal(m outgoing) byte {
	limit := maxPacketSize
	if v.told.MaximumPacketSize > 0 {
		limit = v.told.MaximumPacketSize
	}
	size := publishSize(m)
	switch {
	case m.topic == "", len(m.topic) > maxString, strings.ContainsAny(m.topic, "+#\x00"), !utf8.ValidString(m.topic):
		return codeTopicNameInvalid
	case m.qos > v.told.MaximumQoS:
		return codeQoS
	case m.retain && v.told.NoRetain:
		return codeNoRetain
	case 1+varintSize(size)+size > limit:
		return codeTooLarge
	}
	return 0
}
