package mqttx

import "time"

// The identifiers of properties (MQTT 5.0, 2.2.2.2).
const (
	propPayloadFormat     = 0x01
	propMessageExpiry     = 0x02
	propContentType       = 0x03
	propResponseTopic     = 0x08
	propCorrelationData   = 0x09
	propSubscriptionID    = 0x0B
	propSessionExpiry     = 0x11
	propAssignedClientID  = 0x12
	propServerKeepAlive   = 0x13
	propAuthMethod        = 0x15
	propAuthData          = 0x16
	propProblemInfo       = 0x17
	propWillDelay         = 0x18
	propResponseInfoAsked = 0x19
	propResponseInfo      = 0x1A
	propServerReference   = 0x1C
	propReason            = 0x1F
	propReceiveMaximum    = 0x21
	propTopicAliasMaximum = 0x22
	propTopicAlias        = 0x23
	propMaximumQoS        = 0x24
	propRetainAvailable   = 0x25
	propUser              = 0x26
	propMaximumPacketSize = 0x27
	propWildcards         = 0x28
	propSubscriptionIDs   = 0x29
	propShared            = 0x2A
)

const neverExpires = 1<<32 - 1

// A property is one property of a packet. Of its values that are set which its
// identifier calls for.
type property struct {
	id         byte
	number     uint32
	text       []byte // part of the packet
	key, value []byte // of a user property; part of the packet
}

// properties takes the properties of a packet and calls each for every one. It
// allocates nothing. What a packet should not have is not an error; what no
// packet may have is, because its length is not known.
func (c *cursor) properties(each func(property)) {
	in := cursor{b: c.take(c.varint())}
	for !c.bad && len(in.b) > 0 {
		p := in.property()
		if in.bad {
			c.bad = true
			return
		}
		each(p)
	}
}

func (c *cursor) property() property {
	p := property{id: c.uint8()}
	switch p.id {
	case propPayloadFormat, propProblemInfo, propResponseInfoAsked, propMaximumQoS, propRetainAvailable,
		propWildcards, propSubscriptionIDs, propShared:
		p.number = uint32(c.uint8())
	case propServerKeepAlive, propReceiveMaximum, propTopicAliasMaximum, propTopicAlias:
		p.number = uint32(c.uint16())
	case propMessageExpiry, propSessionExpiry, propWillDelay, propMaximumPacketSize:
		p.number = c.uint32()
	case propSubscriptionID:
		p.number = uint32(c.varint())
	case propContentType, propResponseTopic, propCorrelationData, propAssignedClientID, propAuthMethod, propAuthData,
		propResponseInfo, propServerReference, propReason:
		p.text = c.bytes()
	case propUser:
		p.key, p.value = c.bytes(), c.bytes()
	default:
		c.bad = true
	}
	return p
}

// add adds a property of a PUBLISH packet, and returns m, or new Properties if m
// is nil. A property that is not for the receiver of messages adds nothing.
func (m *Properties) add(p property) *Properties {
	switch p.id {
	case propMessageExpiry, propContentType, propResponseTopic, propCorrelationData, propUser:
	default:
		return m
	}
	if m == nil {
		m = new(Properties)
	}
	switch p.id {
	case propMessageExpiry:
		m.MessageExpiry = time.Duration(p.number) * time.Second
	case propContentType:
		m.ContentType = string(p.text)
	case propResponseTopic:
		m.ResponseTopic = string(p.text)
	case propCorrelationData:
		m.CorrelationData = p.text // of the body, which belongs to the message
	case propUser:
		m.User = append(m.User, UserProperty{string(p.key), string(p.value)})
	}
	return m
}

// learn adds a property of a CONNACK packet.
func (s *ServerLimits) learn(p property) {
	seconds := time.Duration(p.number) * time.Second
	switch p.id {
	case propReceiveMaximum:
		s.ReceiveMaximum = int(p.number)
	case propMaximumPacketSize:
		s.MaximumPacketSize = int(min(p.number, maxPacketSize))
	case propMaximumQoS:
		s.MaximumQoS = byte(min(p.number, 2))
	case propServerKeepAlive:
		s.KeepAlive, s.NoKeepAlive = seconds, seconds == 0
	case propSessionExpiry:
		if p.number != neverExpires {
			s.SessionExpiry = seconds
		}
	case propAssignedClientID:
		s.AssignedClientID = string(p.text)
	case propTopicAliasMaximum:
		s.TopicAliasMaximum = int(p.number)
	case propRetainAvailable:
		s.NoRetain = p.number == 0
	case propWildcards:
		s.NoWildcards = p.number == 0
	case propShared:
		s.NoShared = p.number == 0
	}
}
