package mqtt_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

// A testBroker passes messages on, with QoS 0 and 1, by MQTT 3.1.1 and 5. It keeps
// no session and no retained message, and takes a shared subscription for one of a
// group of one. To each client a message is delivered once, however many of its
// filters match.
type testBroker struct {
	mu      sync.Mutex
	clients map[*brokerClient]bool
	work    sync.WaitGroup
}

// newBroker starts a broker, which ends with the test, and returns its address.
func newBroker(tb testing.TB) string {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	b := &testBroker{clients: make(map[*brokerClient]bool)}
	b.work.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			b.work.Go(func() { b.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		b.mu.Lock()
		for c := range b.clients {
			_ = c.conn.Close()
		}
		b.mu.Unlock()
		b.work.Wait()
	})
	return ln.Addr().String()
}

// A brokerClient is a connection.
type brokerClient struct {
	conn    net.Conn
	in      *bufio.Reader
	version byte
	window  int // messages of QoS 1 that may be under way

	writing sync.Mutex

	mu      sync.Mutex
	changed sync.Cond
	filters map[string]byte // guarded by mu, as all that follows
	queue   []packets.Packet
	pending int
	lastID  uint16
	gone    bool
}

func (b *testBroker) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	c := &brokerClient{conn: conn, in: bufio.NewReader(conn), version: 4, window: 20, filters: make(map[string]byte)}
	c.changed.L = &c.mu
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	p, err := c.read()
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil || p.FixedHeader.Type != packets.Connect {
		return
	}
	c.version = p.ProtocolVersion
	if n := p.Properties.ReceiveMaximum; n > 0 {
		c.window = int(n)
	}
	b.mu.Lock()
	b.clients[c] = true
	b.mu.Unlock()
	if c.write(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}}) != nil {
		return
	}
	var sending sync.WaitGroup
	sending.Go(c.sendQueue)
	for err == nil {
		if p, err = c.read(); err == nil {
			err = b.handle(c, p)
		}
	}
	b.mu.Lock()
	delete(b.clients, c)
	b.mu.Unlock()
	c.update(func() { c.gone = true })
	_ = conn.Close()
	sending.Wait()
}

// handle answers a packet.
func (b *testBroker) handle(c *brokerClient, p *packets.Packet) error {
	answer := packets.Packet{PacketID: p.PacketID}
	switch p.FixedHeader.Type {
	case packets.Publish:
		b.route(p)
		if p.FixedHeader.Qos == 0 {
			return nil
		}
		answer.FixedHeader.Type = packets.Puback
	case packets.Puback:
		c.update(func() { c.pending-- })
		return nil
	case packets.Subscribe:
		answer.FixedHeader.Type = packets.Suback
		for _, f := range p.Filters {
			qos := min(f.Qos, 1)
			c.update(func() { c.filters[f.Filter] = qos })
			answer.ReasonCodes = append(answer.ReasonCodes, qos)
		}
	case packets.Unsubscribe:
		answer.FixedHeader.Type = packets.Unsuback
		for _, f := range p.Filters {
			c.update(func() { delete(c.filters, f.Filter) })
			answer.ReasonCodes = append(answer.ReasonCodes, 0)
		}
	case packets.Pingreq:
		answer.FixedHeader.Type = packets.Pingresp
	default:
		return io.EOF
	}
	return c.write(answer)
}

// route queues a message for every client that has asked for it.
func (b *testBroker) route(p *packets.Packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.clients {
		c.update(func() {
			qos, match := byte(0), false
			for filter, granted := range c.filters {
				if mqtt.Match(filter, p.TopicName) {
					qos, match = max(qos, min(granted, p.FixedHeader.Qos)), true
				}
			}
			if match {
				c.queue = append(c.queue, packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, TopicName: p.TopicName, Payload: p.Payload,
				})
			}
		})
	}
}

func (c *brokerClient) update(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	c.changed.Broadcast()
}

// sendQueue sends what is queued, as far as the client's window allows.
func (c *brokerClient) sendQueue() {
	for {
		c.mu.Lock()
		for !c.gone && (len(c.queue) == 0 || c.queue[0].FixedHeader.Qos > 0 && c.pending >= c.window) {
			c.changed.Wait()
		}
		if c.gone {
			c.mu.Unlock()
			return
		}
		p := c.queue[0]
		c.queue = c.queue[1:]
		if p.FixedHeader.Qos > 0 {
			c.pending++
			if c.lastID++; c.lastID == 0 {
				c.lastID = 1
			}
			p.PacketID = c.lastID
		}
		c.mu.Unlock()
		if c.write(p) != nil {
			_ = c.conn.Close()
		}
	}
}

func (c *brokerClient) write(p packets.Packet) (err error) {
	p.ProtocolVersion = c.version
	var b bytes.Buffer
	switch p.FixedHeader.Type {
	case packets.Connack:
		err = p.ConnackEncode(&b)
	case packets.Publish:
		err = p.PublishEncode(&b)
	case packets.Puback:
		err = p.PubackEncode(&b)
	case packets.Suback:
		err = p.SubackEncode(&b)
	case packets.Unsuback:
		err = p.UnsubackEncode(&b)
	case packets.Pingresp:
		err = p.PingrespEncode(&b)
	default:
		err = fmt.Errorf("packet of type %d", p.FixedHeader.Type)
	}
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
	_, err = c.conn.Write(b.Bytes())
	return err
}

func (c *brokerClient) read() (*packets.Packet, error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return nil, err
	}
	p := &packets.Packet{ProtocolVersion: c.version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, err
	}
	n, _, err := packets.DecodeLength(c.in)
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return nil, err
	}
	p.FixedHeader.Remaining = n
	switch p.FixedHeader.Type {
	case packets.Connect:
		return p, p.ConnectDecode(body)
	case packets.Publish:
		return p, p.PublishDecode(body)
	case packets.Puback:
		return p, p.PubackDecode(body)
	case packets.Subscribe:
		return p, p.SubscribeDecode(body)
	case packets.Unsubscribe:
		return p, p.UnsubscribeDecode(body)
	case packets.Pingreq:
		return p, nil
	default:
		return nil, errors.New("the client says goodbye")
	}
}

func TestDeliveryOverABroker(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			addr := newBroker(t)
			c := mqtt.New(mqtt.Config{Broker: "tcp://" + addr, Version: version, Mappings: []mqtt.Mapping{
				{Filter: "dev/#", QoS: 1, Converter: idConverter(t)}, {Filter: "dev/+", QoS: 1, Converter: idConverter(t)}, {Filter: "+/2", QoS: 0, Converter: idConverter(t)},
			}})
			r := run(t, c)
			r.eventually("it is ready", r.IsReady)
			pub, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "tcp://" + addr, Version: version})
			require.NoError(t, err)
			t.Cleanup(pub.Close)
			const n = 1000
			for id := range n {
				require.NoError(t, pub.Publish("dev/1", 1, false, fmt.Appendf(nil, `{"id":%d}`, id)).Wait(t.Context()))
			}
			r.eventually("all arrive", func() bool { return c.Stats().Acknowledged == n })
			ids := r.values("id")
			require.Len(t, ids, 2*n, "once for each mapping")
			for i, id := range ids {
				require.Equal(t, int64(i/2), id)
			}
		})
	}
}
