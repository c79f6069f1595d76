package mqttx_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

// A broker is one end of a connection of version 5 in a test, which reads with
// the codec of paho.golang and writes what the test wants.
type broker struct {
	t    *testing.T
	conn net.Conn
}

// dial5 connects to a broker that answers connack. The CONNECT packet is
// returned too.
func dial5(t *testing.T, o mqttx.Options, connack *packets.Connack) (*mqttx.Conn, *broker, *packets.Connect) {
	t.Helper()
	ln := listen(t)
	type accepted struct {
		conn    net.Conn
		connect *packets.Connect
	}
	ch := make(chan accepted, 1)
	go func() {
		defer close(ch)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		cp, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		connect, _ := cp.Content.(*packets.Connect)
		_, _ = connack.WriteTo(conn)
		ch <- accepted{conn, connect}
	}()
	o.Broker, o.Version = ln.Addr().String(), 5
	c := connect(t, o)
	a := <-ch
	require.NotNil(t, a.connect)
	t.Cleanup(func() { _ = a.conn.Close() })
	return c, &broker{t, a.conn}, a.connect
}

// welcome is a CONNACK packet with properties.
func welcome(p *packets.Properties) *packets.Connack {
	if p == nil {
		p = &packets.Properties{}
	}
	return &packets.Connack{Properties: p}
}

// next reads a packet.
func (b *broker) next() packets.Packet {
	b.t.Helper()
	require.NoError(b.t, b.conn.SetReadDeadline(time.Now().Add(patience)))
	cp, err := packets.ReadPacket(b.conn)
	require.NoError(b.t, err)
	return cp.Content
}

// silent expects no packet for a while.
func (b *broker) silent(d time.Duration) {
	b.t.Helper()
	require.NoError(b.t, b.conn.SetReadDeadline(time.Now().Add(d)))
	n, err := b.conn.Read(make([]byte, 1))
	require.Zero(b.t, n, "something was sent")
	var timeout net.Error
	require.ErrorAs(b.t, err, &timeout)
	require.True(b.t, timeout.Timeout(), "%v", err)
}

// publication reads a PUBLISH packet.
func (b *broker) publication() *packets.Publish {
	b.t.Helper()
	p, ok := b.next().(*packets.Publish)
	require.True(b.t, ok)
	return p
}

func (b *broker) send(p packets.Packet) {
	b.t.Helper()
	_, err := p.WriteTo(b.conn)
	require.NoError(b.t, err)
}

func (b *broker) raw(data ...byte) {
	b.t.Helper()
	_, err := b.conn.Write(data)
	require.NoError(b.t, err)
}

// message sends a message of QoS 1.
func (b *broker) message(id uint16, payload string) {
	b.t.Helper()
	b.send(&packets.Publish{Topic: "t", QoS: 1, PacketID: id, Payload: []byte(payload), Properties: &packets.Properties{}})
}

// puback accepts a publication.
func (b *broker) puback(id uint16) {
	b.t.Helper()
	b.send(&packets.Puback{PacketID: id, Properties: &packets.Properties{}})
}

// encode returns the bytes of a packet.
func encode(t *testing.T, p packets.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := p.WriteTo(&b)
	require.NoError(t, err)
	return b.Bytes()
}

func ptr[T any](v T) *T { return &v }

// reasonOf returns the reason code in an error.
func reasonOf(t *testing.T, err error) byte {
	t.Helper()
	var reason *mqttx.ReasonError
	require.ErrorAs(t, err, &reason)
	return reason.Code
}
