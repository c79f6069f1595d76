package tbtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// grace is how long the platform waits for the last packet of a connection to
// be written, before it closes it.
const grace = time.Second

// errTooLarge is a packet of more bytes than the server takes.
var errTooLarge = errors.New("tbtest: packet is too large")

// readPacket reads a packet of a connection that speaks a version of MQTT. The
// body is at most limit bytes long.
func readPacket(r *bufio.Reader, version byte, limit int) (*packets.Packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	p := &packets.Packet{ProtocolVersion: version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, err
	}
	n, _, err := packets.DecodeLength(r)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: %d bytes", errTooLarge, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	p.FixedHeader.Remaining = n
	return p, decode(p, body)
}

// decode decodes the body of a packet. The decoder of SUBSCRIBE reads past the
// end of a packet of MQTT 5 that is cut off, so a panic means a bad packet.
func decode(p *packets.Packet, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("tbtest: malformed packet of type %d: %v", p.FixedHeader.Type, r)
		}
	}()
	switch p.FixedHeader.Type {
	case packets.Connect:
		return p.ConnectDecode(body)
	case packets.Publish:
		return p.PublishDecode(body)
	case packets.Puback:
		return p.PubackDecode(body)
	case packets.Subscribe:
		return p.SubscribeDecode(body)
	case packets.Unsubscribe:
		return p.UnsubscribeDecode(body)
	case packets.Pingreq:
		return nil
	case packets.Disconnect:
		return p.DisconnectDecode(body)
	case packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		return nil // the platform does not handle them
	default:
		return fmt.Errorf("tbtest: packet of type %d", p.FixedHeader.Type)
	}
}

// encode appends a packet to b.
func encode(b *bytes.Buffer, p *packets.Packet) error {
	switch p.FixedHeader.Type {
	case packets.Connack:
		return p.ConnackEncode(b)
	case packets.Publish:
		return p.PublishEncode(b)
	case packets.Puback:
		return p.PubackEncode(b)
	case packets.Suback:
		return p.SubackEncode(b)
	case packets.Unsuback:
		return p.UnsubackEncode(b)
	case packets.Pingresp:
		return p.PingrespEncode(b)
	case packets.Disconnect:
		return p.DisconnectEncode(b)
	default:
		return fmt.Errorf("tbtest: cannot send a packet of type %d", p.FixedHeader.Type)
	}
}

// waitThaw blocks while the server is frozen.
func (se *session) waitThaw() {
	for {
		thaw := se.srv.faults.thaw()
		if thaw == nil {
			return
		}
		select {
		case <-thaw:
		case <-se.ended:
			return
		}
	}
}

// read reads a packet. One that is larger than the server takes is an error.
func (se *session) read() (*packets.Packet, error) {
	se.waitThaw()
	if _, err := se.in.Peek(1); err != nil {
		return nil, err
	}
	se.waitThaw()
	p, err := readPacket(se.in, se.version, se.srv.cfg.MaxPayload)
	if errors.Is(err, errTooLarge) {
		se.srv.event(func() { se.srv.stats.TooLarge++ })
	}
	return p, err
}

// write sends a packet.
func (se *session) write(p *packets.Packet) error {
	se.waitThaw()
	p.ProtocolVersion = se.version
	se.writing.Lock()
	defer se.writing.Unlock()
	return se.writeLocked(p, 10*time.Second)
}

// writeLocked sends a packet; se.writing is held.
func (se *session) writeLocked(p *packets.Packet, timeout time.Duration) error {
	se.out.Reset()
	if err := encode(&se.out, p); err != nil {
		return err
	}
	_ = se.conn.SetWriteDeadline(time.Now().Add(timeout))
	_, err := se.conn.Write(se.out.Bytes())
	return err
}

// header returns a packet of a type.
func header(kind byte) *packets.Packet {
	return &packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}}
}

// disconnect tells a client of MQTT 5 why its connection ends.
func (se *session) disconnect(reason byte) {
	if se.version != 5 {
		return
	}
	se.waitThaw()
	p := header(packets.Disconnect)
	p.ProtocolVersion, p.ReasonCode = 5, reason
	se.writing.Lock()
	defer se.writing.Unlock()
	_ = se.writeLocked(p, grace)
}

// send publishes a message to the client, with the QoS that its subscription
// was granted, or 1 if it has none.
func (se *session) send(topic string, payload []byte) error {
	se.waitThaw()
	p := header(packets.Publish)
	p.ProtocolVersion, p.TopicName, p.Payload = se.version, topic, payload
	p.FixedHeader.Qos = se.subscriptions.qos(topic)
	se.srv.event(func() { se.srv.stats.Pushed++ })
	se.writing.Lock()
	defer se.writing.Unlock()
	if se.lastID++; se.lastID == 0 {
		se.lastID = 1
	}
	p.PacketID = se.lastID
	return se.writeLocked(p, 10*time.Second)
}
