package table

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxPacket bounds the packets that are read, in bytes.
const maxPacket = 16 << 20

// A conn is a bare MQTT connection, which shows each packet that comes.
type conn struct {
	net     net.Conn
	version byte
	lastID  uint16
	events  chan string // closed after "closed"
	reading sync.WaitGroup

	writing sync.Mutex
	timeout time.Duration // of one packet
}

// dial opens a connection to tcp://host[:port] or tls://host[:port], and starts
// to read. Nothing has been sent yet.
func dial(ctx context.Context, broker string, conf *tls.Config, version byte, timeout time.Duration) (*conn, error) {
	host, encrypted, err := address(broker)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	var nc net.Conn
	if encrypted {
		nc, err = (&tls.Dialer{NetDialer: &d, Config: conf}).DialContext(ctx, "tcp", host)
	} else {
		nc, err = d.DialContext(ctx, "tcp", host)
	}
	if err != nil {
		return nil, err
	}
	c := &conn{net: nc, version: version, events: make(chan string, 64), timeout: timeout}
	c.reading.Go(c.read)
	return c, nil
}

// address returns host:port of a broker's URL.
func address(broker string) (host string, encrypted bool, err error) {
	if !strings.Contains(broker, "://") {
		broker = "tcp://" + broker
	}
	u, err := url.Parse(broker)
	if err != nil || u.Hostname() == "" {
		return "", false, fmt.Errorf("broker %q is not tcp://host:port or tls://host:port", broker)
	}
	port := "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
	case "tls", "ssl", "mqtts":
		encrypted, port = true, "8883"
	default:
		return "", false, fmt.Errorf("broker %q: unknown scheme %q", broker, u.Scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), encrypted, nil
}

// close ends the connection and waits until nothing reads it any more.
func (c *conn) close() {
	_ = c.net.Close()
	for range c.events {
		continue // what still comes is of no interest
	}
	c.reading.Wait()
}

func (c *conn) id() uint16 {
	c.lastID++
	return c.lastID
}

// send writes a packet.
func (c *conn) send(p *packets.Packet) error {
	p.ProtocolVersion = c.version
	var b bytes.Buffer
	if err := encode(&b, p); err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.net.SetWriteDeadline(time.Now().Add(c.timeout))
	_, err := c.net.Write(b.Bytes())
	return err
}

func encode(b *bytes.Buffer, p *packets.Packet) error {
	switch p.FixedHeader.Type {
	case packets.Connect:
		return p.ConnectEncode(b)
	case packets.Publish:
		return p.PublishEncode(b)
	case packets.Puback:
		return p.PubackEncode(b)
	case packets.Subscribe:
		return p.SubscribeEncode(b)
	case packets.Unsubscribe:
		return p.UnsubscribeEncode(b)
	case packets.Pingreq:
		return p.PingreqEncode(b)
	default:
		return fmt.Errorf("cannot send a packet of type %d", p.FixedHeader.Type)
	}
}

// read turns packets into events until the connection ends.
func (c *conn) read() {
	defer close(c.events)
	in := bufio.NewReader(c.net)
	for {
		p, err := readPacket(in, c.version)
		if err != nil {
			end := "closed"
			if bad := (*malformedError)(nil); errors.As(err, &bad) {
				end = "MALFORMED " + err.Error()
				_ = c.net.Close()
			}
			c.events <- end
			return
		}
		c.events <- event(p)
		if p.FixedHeader.Type == packets.Publish && p.FixedHeader.Qos > 0 {
			ack := &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: p.PacketID}
			_ = c.send(ack)
		}
	}
}

// malformedError is about a packet that is not MQTT.
type malformedError struct{ cause any }

// Error implements error.
func (e *malformedError) Error() string { return fmt.Sprint(e.cause) }

func readPacket(in *bufio.Reader, version byte) (p *packets.Packet, err error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	p = &packets.Packet{ProtocolVersion: version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, &malformedError{err}
	}
	n, _, err := packets.DecodeLength(in)
	if err != nil {
		return nil, err
	}
	if n > maxPacket {
		return nil, &malformedError{"packet of " + strconv.Itoa(n) + " bytes"}
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, err
	}
	p.FixedHeader.Remaining = n
	return p, decode(p, body)
}

// decode decodes what servers send. The decoder may panic on a bad packet.
func decode(p *packets.Packet, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &malformedError{r}
		} else if err != nil {
			err = &malformedError{err}
		}
	}()
	switch p.FixedHeader.Type {
	case packets.Connack:
		return p.ConnackDecode(body)
	case packets.Publish:
		return p.PublishDecode(body)
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		return p.PubackDecode(body)
	case packets.Suback:
		return p.SubackDecode(body)
	case packets.Unsuback:
		return p.UnsubackDecode(body)
	case packets.Disconnect:
		return p.DisconnectDecode(body)
	case packets.Pingresp:
		return nil
	default:
		return fmt.Errorf("packet of type %d", p.FixedHeader.Type)
	}
}

// event describes a packet in the words of Step.Want.
func event(p *packets.Packet) string {
	name := strings.ToUpper(packets.PacketNames[p.FixedHeader.Type])
	switch p.FixedHeader.Type {
	case packets.Connack:
		name += " " + strconv.Itoa(int(p.ReasonCode))
		if p.SessionPresent {
			name += " session"
		}
	case packets.Puback, packets.Pubrec:
		if p.ReasonCode >= 0x80 { // less is success
			name += " " + strconv.Itoa(int(p.ReasonCode))
		}
	case packets.Suback:
		codes := make([]string, len(p.ReasonCodes))
		for i, code := range p.ReasonCodes {
			codes[i] = strconv.Itoa(int(code))
		}
		name += " " + strings.Join(codes, " ")
	case packets.Disconnect:
		name += " " + strconv.Itoa(int(p.ReasonCode))
	case packets.Publish:
		name += " " + p.TopicName + " " + text(p.Payload)
	}
	return name
}

// text returns a payload as it is, or quoted if it is not text.
func text(payload []byte) string {
	if utf8.Valid(payload) {
		return string(payload)
	}
	return strconv.Quote(string(payload))
}
