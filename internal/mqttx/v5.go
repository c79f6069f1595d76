package mqttx

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// v5 speaks MQTT 5. One goroutine reads, and one pings when nothing else is to
// be said; who publishes or acknowledges writes.
type v5 struct {
	conn    *Conn
	in      *frameReader
	told    ServerLimits
	reading chan struct{} // closed when the reader has returned

	publishing sync.Mutex    // keeps the order of publications
	head       []byte        // of the publication that is being written
	room       chan struct{} // as many as the broker takes at once
	inflight   inflight
	acks       acks
	written    *pending // a completed one, for QoS 0

	writing sync.Mutex
	timeout time.Duration // of a write
	buf     []byte

	began              time.Time
	keepAlive          time.Duration
	lastSent, lastRead atomic.Int64 // time.Duration since began
}

var _ protocol = (*v5)(nil)

// greet5 shakes hands.
func (c *Conn) greet5(o Options) error {
	v := &v5{
		conn:      c,
		in:        newFrameReader(c.link, o.maximumPacketSize()),
		reading:   make(chan struct{}),
		written:   completed(nil),
		timeout:   orDefault(o.WriteTimeout, defaultWriteTimeout),
		began:     time.Now(),
		keepAlive: time.Duration(keepAliveSeconds(o.KeepAlive)) * time.Second,
	}
	v.acks.limit = min(orDefault(o.ReceiveMaximum, defaultReceiveMaximum), maxString)
	v.acks.write = func(packets []byte) { v.write(packets, nil) }
	c.proto = v
	if max(len(o.ClientID), len(o.Username), len(o.Password)) > maxString {
		close(v.reading)
		return fmt.Errorf("client identifier, user name or password is longer than %d bytes", maxString)
	}
	if err := v.shakeHands(o); err != nil {
		close(v.reading)
		return err
	}
	if v.told.NoKeepAlive {
		v.keepAlive = 0
	} else if v.told.KeepAlive > 0 {
		v.keepAlive = v.told.KeepAlive
	}
	v.room = make(chan struct{}, orDefault(v.told.ReceiveMaximum, maxString))
	go v.read()
	if v.keepAlive > 0 {
		go v.ping()
	}
	return nil
}

func (v *v5) shakeHands(o Options) error {
	if !v.write(appendConnect(nil, o), nil) {
		return v.conn.Err()
	}
	fr, err := v.in.next()
	if err != nil {
		return fmt.Errorf("no answer to CONNECT: %w", closedByBroker(err))
	}
	v.told, err = parseConnack(fr)
	return err
}

func (v *v5) limits() ServerLimits { return v.told }

// write writes a packet, or its head and the payload that completes it. It
// reports whether it did; if not, the connection has ended.
func (v *v5) write(packet, payload []byte) bool {
	v.writing.Lock()
	defer v.writing.Unlock()
	err := v.conn.link.SetWriteDeadline(time.Now().Add(v.timeout))
	const small = 16 << 10 // what is cheaper to copy than to write by itself
	if err == nil && len(payload) > 0 && len(payload) <= small {
		v.buf = append(append(v.buf[:0], packet...), payload...)
		packet, payload = v.buf, nil
	}
	if err == nil {
		_, err = v.conn.link.Write(packet)
	}
	if err == nil && len(payload) > 0 {
		_, err = v.conn.link.Write(payload)
	}
	if err != nil {
		v.conn.Fail(lost(err))
		return false
	}
	v.lastSent.Store(int64(time.Since(v.began)))
	return true
}

// disconnect tells the broker and waits until it has closed the connection: to
// close it here at once could take from the broker what it has not read yet.
func (v *v5) disconnect() {
	cut := time.AfterFunc(farewell, v.conn.link.cut)
	defer cut.Stop()
	if v.write([]byte{packetDisconnect << 4, 0}, nil) {
		timer := time.NewTimer(farewell)
		defer timer.Stop()
		select {
		case <-v.reading:
		case <-timer.C:
		}
	}
}

// violation ends the connection because of what the broker sent.
func (v *v5) violation(code byte) error {
	cut := time.AfterFunc(farewell, v.conn.link.cut)
	defer cut.Stop()
	err := fmt.Errorf("mqtt: connection lost: the broker violates the protocol: %s (0x%02X)", reasonName(code), code)
	v.conn.end(err)
	v.write([]byte{packetDisconnect << 4, 1, code}, nil)
	return err
}

// read takes what the broker sends until the connection ends.
func (v *v5) read() {
	defer close(v.reading)
	for {
		fr, err := v.in.next()
		switch {
		case errors.Is(err, errTooLarge):
			err = v.violation(codeTooLarge)
		case errors.Is(err, errMalformed):
			err = v.violation(codeMalformed)
		case err != nil:
			err = lost(err)
		default:
			v.lastRead.Store(int64(time.Since(v.began)))
			err = v.handle(fr)
		}
		if err != nil {
			v.conn.Fail(err)
			return
		}
	}
}

// handle acts on a packet. An error ends the connection.
func (v *v5) handle(fr frame) error {
	switch fr.kind {
	case packetPublish:
		return v.message(fr)
	case packetPingresp:
		return nil
	case packetPuback, packetPubrec, packetPubrel, packetPubcomp, packetSuback, packetUnsuback, packetDisconnect:
	default:
		return v.violation(codeProtocolError)
	}
	a, ok := parseAnswer(fr)
	if !ok {
		return v.violation(codeMalformed)
	}
	switch fr.kind {
	case packetDisconnect:
		return &ReasonError{Code: a.code, Text: a.text, packet: packetDisconnect}
	case packetPubrec:
		if a.code < 0x80 { // released also if it was sent on an earlier connection
			v.inflight.advance(a.id, packetPubrec, packetPubcomp)
			v.write(appendAck(nil, packetPubrel, a.id), nil)
			return nil
		}
	case packetPubrel:
		v.write(appendAck(nil, packetPubcomp, a.id), nil)
		return nil
	}
	v.complete(fr.kind, a)
	return nil
}

// complete completes what a answers. What nobody waits for is ignored.
func (v *v5) complete(kind byte, a answer) {
	p := v.inflight.take(a.id, kind)
	if p == nil {
		return
	}
	if kind == packetSuback || kind == packetUnsuback {
		p.codes = append([]byte(nil), a.codes...)
	} else {
		<-v.room
	}
	var err error
	if a.code >= 0x80 {
		err = &ReasonError{Code: a.code, Text: a.text, packet: kind}
	}
	p.complete(err)
}

// message delivers a PUBLISH packet.
func (v *v5) message(fr frame) error {
	m, id, code := parsePublish(fr)
	if code != 0 {
		return v.violation(code)
	}
	if m.QoS > 0 {
		seq, ok := v.acks.received(id, m.QoS)
		if !ok {
			return v.violation(codeReceiveMaximum)
		}
		m.acks, m.seq = &v.acks, seq
	}
	v.conn.deliver(m)
	return nil
}
