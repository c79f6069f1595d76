package table

import (
	"cmp"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// connect returns the CONNECT packet of a login.
func (p *player) connect(l Login) *packets.Packet {
	token := p.target.Token
	if l.Device {
		token = p.target.DeviceToken
	}
	c := packets.ConnectParams{
		ProtocolName: []byte("MQTT"), Keepalive: 60, Clean: !l.KeepSession,
		ClientIdentifier: cmp.Or(p.fill(l.ClientID), p.names[0]),
		Username:         []byte(p.fill(l.Username)), Password: []byte(l.Password),
	}
	if l.Username == "" && l.Password == "" && l.ClientID == "" {
		c.Username = []byte(token)
	}
	c.UsernameFlag, c.PasswordFlag = len(c.Username) > 0, len(c.Password) > 0
	return &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, Connect: c}
}

// packet returns what a step sends.
func (p *player) packet(s Step) *packets.Packet {
	out := &packets.Packet{PacketID: p.conn.id()}
	switch {
	case s.Ping:
		out.FixedHeader.Type = packets.Pingreq
	case len(s.Subscribe) > 0:
		out.FixedHeader = packets.FixedHeader{Type: packets.Subscribe, Qos: 1}
		for _, f := range s.Subscribe {
			out.Filters = append(out.Filters, packets.Subscription{Filter: f, Qos: s.QoS})
		}
	case len(s.Leave) > 0:
		out.FixedHeader = packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}
		for _, f := range s.Leave {
			out.Filters = append(out.Filters, packets.Subscription{Filter: f})
		}
	default:
		out.FixedHeader = packets.FixedHeader{Type: packets.Publish, Qos: s.QoS}
		out.TopicName = strings.ReplaceAll(s.Publish, "$id", p.matcher.id)
		out.Payload = []byte(strings.ReplaceAll(p.fill(s.Payload), "$id", p.matcher.id))
		if s.Body != nil {
			out.Payload = s.Body(p.names[0])
		}
	}
	return out
}
