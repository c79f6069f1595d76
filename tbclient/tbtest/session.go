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
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A session is one MQTT connection. Its fields up to ended are set before its
// first packet is handled.
type session struct {
	srv       *Server
	conn      net.Conn
	number    uint64
	in        *bufio.Reader
	version   byte
	gateway   bool // of a device that is a gateway
	provision bool // may only ask to be provisioned

	ended chan struct{}
	once  sync.Once

	writing sync.Mutex
	out     bytes.Buffer
	lastID  uint16 // of messages to the client

	acks          *acks
	subscriptions subscriptions
	chunks        map[string]int // size of chunks by request; of the goroutine that reads

	established bool // guarded by Server.mu
}

var errEndSession = errors.New("tbtest: end of the session")

func newSession(s *Server, conn net.Conn, number uint64) *session {
	return &session{
		srv: s, conn: conn, number: number, in: bufio.NewReader(conn), version: 4,
		ended: make(chan struct{}), acks: newAcks(),
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
	var wg sync.WaitGroup
	defer wg.Wait()
	defer se.cut()
	_ = se.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	keepAlive, err := se.connect()
	if err != nil {
		se.srv.log.Debug("connection refused", "session", se.number, "error", err)
		return
	}
	wg.Go(se.acknowledge)
	if se.provision {
		t := time.AfterFunc(se.srv.cfg.Provision.lifetime(), se.cut)
		defer t.Stop()
	}
	err = se.serve(keepAlive)
	se.srv.log.Debug("session ends", "session", se.number, "error", err)
	var r *refusal
	var malformed packets.Code
	switch {
	case errors.As(err, &r):
		se.disconnect(r.reason)
		se.hangUp()
	case errors.As(err, &malformed), errors.Is(err, errTooLarge):
		se.disconnect(reasonMalformed)
		se.hangUp()
	}
}

// hangUp ends the connection so that the client receives what was sent to it:
// closing with unread input would discard it.
func (se *session) hangUp() {
	c, ok := se.conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		return
	}
	_ = se.conn.SetReadDeadline(time.Now().Add(grace))
	_, _ = io.Copy(io.Discard, se.conn)
}

// serve handles packets until the session ends.
func (se *session) serve(keepAlive time.Duration) error {
	for {
		var deadline time.Time
		if keepAlive > 0 {
			deadline = time.Now().Add(keepAlive * 3 / 2)
		}
		_ = se.conn.SetReadDeadline(deadline)
		p, err := se.read()
		if err != nil {
			return err
		}
		if m := se.srv.cfg.MaximumPacketSize; m > 0 && se.version == 5 && p.FixedHeader.Remaining > int(m)-2 {
			return ending(reasonPacketSize, "packet is larger than the maximum packet size")
		}
		if err := se.handle(p); err != nil {
			return err
		}
	}
}

// connect carries out the handshake.
func (se *session) connect() (keepAlive time.Duration, err error) {
	var cert []byte
	if t, ok := se.conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(context.Background()); err != nil {
			return 0, err
		}
		if chain := t.ConnectionState().PeerCertificates; len(chain) > 0 {
			cert = chain[0].Raw
		}
	}
	p, err := se.read()
	if err != nil {
		return 0, err
	}
	if p.FixedHeader.Type != packets.Connect {
		return 0, errors.New("tbtest: the first packet is not CONNECT")
	}
	code := se.admit(p, cert)
	if code != 0 {
		se.srv.event(func() { se.srv.stats.Refused++ })
	}
	if err := se.write(se.connack(p, code)); err != nil {
		return 0, err
	}
	if code != 0 {
		return 0, fmt.Errorf("tbtest: connection refused with code %d", code)
	}
	se.srv.event(func() {
		se.established = true
		se.srv.stats.Connects++
	})
	return time.Duration(p.Connect.Keepalive) * time.Second, nil
}

// admit decides on CONNECT, and returns the code of CONNACK.
func (se *session) admit(p *packets.Packet, cert []byte) byte {
	const badVersion = 1
	switch p.ProtocolVersion {
	case 3, 4:
	case 5:
		se.version = 5
	default:
		return badVersion
	}
	c := p.Connect
	if string(c.Username) == provisionName || c.ClientIdentifier == provisionName {
		se.provision = true
		return 0
	}
	who, code := se.srv.identify(login{
		username: string(c.Username), hasUsername: c.UsernameFlag,
		password: string(c.Password), hasPassword: c.PasswordFlag,
		clientID: c.ClientIdentifier, certificate: cert, verified: se.verified(),
	}, se.version)
	se.gateway = who.gateway
	return code
}

// connack answers CONNECT. The platform reports a session whenever the client
// does not ask for a clean one; it keeps none.
func (se *session) connack(connect *packets.Packet, code byte) *packets.Packet {
	p := header(packets.Connack)
	p.ReasonCode, p.SessionPresent = code, code == 0 && !connect.Connect.Clean
	p.Properties.ReceiveMaximum = se.srv.cfg.ReceiveMaximum
	p.Properties.MaximumPacketSize = se.srv.cfg.MaximumPacketSize
	if se.version == 5 && connect.Connect.ClientIdentifier == "" {
		p.Properties.AssignedClientID = fmt.Sprintf("tbtest-%d", se.number)
	}
	return p
}

// verified reports whether the client has shown a certificate that TLS verified.
func (se *session) verified() bool {
	t, ok := se.conn.(*tls.Conn)
	return ok && len(t.ConnectionState().VerifiedChains) > 0
}

func (se *session) handle(p *packets.Packet) error {
	if se.provision {
		return se.handleProvision(p)
	}
	switch p.FixedHeader.Type {
	case packets.Publish:
		return se.published(p)
	case packets.Subscribe:
		return se.subscribe(p, granted)
	case packets.Unsubscribe:
		return se.unsubscribe(p)
	case packets.Pingreq:
		return se.write(header(packets.Pingresp))
	case packets.Puback:
		se.srv.event(func() { se.srv.stats.Confirmed++ })
		return nil
	case packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		return nil
	case packets.Disconnect:
		return errEndSession
	default:
		return fmt.Errorf("tbtest: unexpected packet of type %d", p.FixedHeader.Type)
	}
}

// message returns what a PUBLISH packet carries.
func (se *session) message(p *packets.Packet) Message {
	return Message{se.number, p.TopicName, p.Payload, p.FixedHeader.Qos, p.FixedHeader.Dup}
}
