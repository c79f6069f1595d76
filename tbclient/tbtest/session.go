package tbtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A session is one MQTT connection.
type session struct {
	srv    *Server
	conn   net.Conn
	number uint64
	in     *bufio.Reader
	ended  chan struct{}
	once   sync.Once

	writing sync.Mutex
	lastID  uint16 // of messages to the client; guarded by writing

	acks    chan ack
	unacked atomic.Int64 // messages whose acknowledgement has not been sent
	unsent  atomic.Int64 // or not completely

	version byte
}

// An ack is an acknowledgement that is due.
type ack struct {
	id  uint16
	due time.Time
}

var errEndSession = errors.New("tbtest: end of the session")

func newSession(s *Server, conn net.Conn, number uint64) *session {
	return &session{
		srv: s, conn: conn, number: number, in: bufio.NewReader(conn),
		ended: make(chan struct{}), acks: make(chan ack, 1<<16), version: 4,
	}
}

// cut ends the session. It may be called at any time.
func (se *session) cut() {
	se.once.Do(func() {
		close(se.ended)
		_ = se.conn.Close()
	})
}

func (se *session) run() {
	defer se.cut()
	stopAcks := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stopAcks)
	defer se.cut()
	_ = se.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	keepAlive, err := se.connect()
	if err != nil {
		se.srv.log.Debug("connection refused", "session", se.number, "error", err)
		return
	}
	se.srv.event(func() { se.srv.stats.Connects++ })
	wg.Go(func() { se.acknowledge(stopAcks) })
	for {
		if keepAlive > 0 {
			_ = se.conn.SetReadDeadline(time.Now().Add(keepAlive * 3 / 2))
		} else {
			_ = se.conn.SetReadDeadline(time.Time{})
		}
		p, err := se.read()
		if err == nil {
			err = se.handle(p)
		}
		if err != nil {
			se.srv.log.Debug("session ends", "session", se.number, "error", err)
			return
		}
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
	first, err := se.in.ReadByte()
	if err != nil {
		return nil, err
	}
	se.waitThaw()
	p := &packets.Packet{ProtocolVersion: se.version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, err
	}
	n, _, err := packets.DecodeLength(se.in)
	if err != nil {
		return nil, err
	}
	if n > se.srv.cfg.MaxPayload {
		se.srv.event(func() { se.srv.stats.TooLarge++ })
		return nil, fmt.Errorf("tbtest: packet of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(se.in, body); err != nil {
		return nil, err
	}
	p.FixedHeader.Remaining = n
	return p, decode(p, body)
}

func decode(p *packets.Packet, body []byte) error {
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
	case packets.Pingreq, packets.Disconnect:
		return nil
	default:
		return fmt.Errorf("tbtest: packet of type %d", p.FixedHeader.Type)
	}
}

// connect carries out the handshake.
func (se *session) connect() (keepAlive time.Duration, err error) {
	if t, ok := se.conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(context.Background()); err != nil {
			return 0, err
		}
	}
	p, err := se.read()
	if err != nil {
		return 0, err
	}
	if p.FixedHeader.Type != packets.Connect {
		return 0, errors.New("tbtest: the first packet is not CONNECT")
	}
	const badVersion = 1
	code := byte(badVersion)
	if p.ProtocolVersion == 4 || p.ProtocolVersion == 3 {
		c := p.Connect
		code = se.srv.authorised(string(c.Username), string(c.Password), c.ClientIdentifier, se.certified())
	}
	if code != 0 {
		se.srv.event(func() { se.srv.stats.Refused++ })
	}
	// The platform reports a session whenever the client does not ask for a
	// clean one; it keeps none.
	reply := &packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: 4,
		ReasonCode: code, SessionPresent: code == 0 && !p.Connect.Clean,
	}
	if err := se.write(reply, (*packets.Packet).ConnackEncode); err != nil {
		return 0, err
	}
	if code != 0 {
		return 0, fmt.Errorf("tbtest: credentials refused with code %d", code)
	}
	return time.Duration(p.Connect.Keepalive) * time.Second, nil
}

// certified reports whether the client has shown a certificate that was
// verified.
func (se *session) certified() bool {
	t, ok := se.conn.(*tls.Conn)
	return ok && len(t.ConnectionState().VerifiedChains) > 0
}

func (se *session) handle(p *packets.Packet) error {
	switch p.FixedHeader.Type {
	case packets.Publish:
		return se.published(p)
	case packets.Subscribe:
		return se.subscribe(p)
	case packets.Unsubscribe:
		reply := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsuback}, PacketID: p.PacketID, ProtocolVersion: se.version}
		return se.write(reply, (*packets.Packet).UnsubackEncode)
	case packets.Pingreq:
		reply := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingresp}}
		return se.write(reply, (*packets.Packet).PingrespEncode)
	case packets.Puback:
		se.srv.event(func() { se.srv.stats.Confirmed++ })
		return nil
	case packets.Disconnect:
		return errEndSession
	default:
		return fmt.Errorf("tbtest: unexpected packet of type %d", p.FixedHeader.Type)
	}
}

// subscribe grants the literal filters of the API, with QoS 1 at most.
func (se *session) subscribe(p *packets.Packet) error {
	reply := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Suback}, PacketID: p.PacketID, ProtocolVersion: se.version}
	for _, f := range p.Filters {
		code := byte(0x80)
		if granted(f.Filter) {
			code = min(f.Qos, 1)
		}
		reply.ReasonCodes = append(reply.ReasonCodes, code)
	}
	return se.write(reply, (*packets.Packet).SubackEncode)
}

// write sends a packet.
func (se *session) write(p *packets.Packet, encode func(*packets.Packet, *bytes.Buffer) error) error {
	se.waitThaw()
	var b bytes.Buffer
	if err := encode(p, &b); err != nil {
		return err
	}
	se.writing.Lock()
	defer se.writing.Unlock()
	_ = se.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := se.conn.Write(b.Bytes())
	return err
}

// send publishes a message to the client with QoS 1.
func (se *session) send(topic string, payload []byte) error {
	se.writing.Lock()
	se.lastID++
	if se.lastID == 0 {
		se.lastID = 1
	}
	id := se.lastID
	se.writing.Unlock()
	p := &packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: se.version,
		TopicName: topic, Payload: payload, PacketID: id,
	}
	se.srv.event(func() { se.srv.stats.Pushed++ })
	return se.write(p, (*packets.Packet).PublishEncode)
}

// ack has a message acknowledged after the delay that is set.
func (se *session) ack(p *packets.Packet) error {
	if p.FixedHeader.Qos == 0 {
		return nil
	}
	se.unsent.Add(1)
	under := int(se.unacked.Add(1))
	se.srv.event(func() { se.srv.stats.MaxUnacked = max(se.srv.stats.MaxUnacked, under) })
	select {
	case se.acks <- ack{p.PacketID, time.Now().Add(se.srv.faults.ackDelay())}:
		return nil
	default:
		return errors.New("tbtest: too many messages without an acknowledgement")
	}
}

// acknowledge sends acknowledgements when they are due, until stop is closed.
func (se *session) acknowledge(stop <-chan struct{}) {
	for {
		select {
		case a := <-se.acks:
			if !se.sleepUntil(a.due) {
				return
			}
			p := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: a.id, ProtocolVersion: se.version}
			se.unacked.Add(-1)
			err := se.write(p, (*packets.Packet).PubackEncode)
			se.unsent.Add(-1)
			if err != nil {
				se.cut()
				return
			}
		case <-stop:
			return
		}
	}
}

func (se *session) sleepUntil(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-se.ended:
		return false
	}
}

// drainAcks waits until the acknowledgements under way are sent.
func (se *session) drainAcks() {
	for deadline := time.Now().Add(time.Second); se.unsent.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}
