package mqttx

import "time"

// A Message is a message that was received.
type Message struct {
	Topic      string
	Payload    []byte // not used again by the connection
	QoS        byte
	Retained   bool
	Properties *Properties // nil if there are none, as with version 3.1.1

	acks acker // nil: nothing to acknowledge
	seq  uint64
}

// Properties are what a publisher of version 5 adds to a message.
type Properties struct {
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	MessageExpiry   time.Duration // what is left of the message's life; zero: not told
	User            []UserProperty
}

// A UserProperty is a name and a value that the publisher chose. A name may
// occur more than once.
type UserProperty struct{ Key, Value string }

// An acker acknowledges the message that it gave the number seq.
type acker interface{ ack(seq uint64) }

// Ack acknowledges a message of QoS 1 or 2 to the broker; for QoS 0, and when
// called again, it does nothing. It blocks while the connection is being
// written to. After the connection has ended it has no effect: the broker
// delivers the message again. With version 5 acknowledgements reach the broker
// in the order of the messages, as that version demands: one that is given
// early waits for those before it.
//
// A message of QoS 2 is delivered at least once, as one of QoS 1 is: a
// connection does not know what was delivered on the one before it.
func (m Message) Ack() {
	if m.acks != nil {
		m.acks.ack(m.seq)
	}
}
