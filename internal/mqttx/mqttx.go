// Package mqttx is one MQTT 3.1.1 connection, made with Eclipse Paho in the one
// way in which that library neither loses nor reorders nor hangs: no
// reconnection of its own (a [Conn] lives once; whoever owns it dials again), a
// deadline on every write, an ordered store, manual acknowledgement, and every
// wait bounded by the life of the connection and by a context.
package mqttx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// ErrClosed is what publications and subscriptions under way end with after
// Close.
var ErrClosed = errors.New("mqtt: connection closed")

// Options describe a connection. Broker is required.
type Options struct {
	// Broker is scheme://host[:port] with scheme tcp, tls, ws or wss (or mqtt,
	// mqtts, ssl); without a scheme it means tcp. The port defaults to 1883,
	// 8883, 80 and 443. A user and password in it are used if Username is
	// empty; they never appear in errors.
	Broker   string
	ClientID string // empty: the broker chooses one, which needs a clean session
	Username string
	Password string

	// KeepSession asks the broker to keep subscriptions and unacknowledged
	// messages while the client is away.
	KeepSession bool

	KeepAlive      time.Duration // between pings, in whole seconds; zero: 60 s
	ConnectTimeout time.Duration // of dialling and of the handshake; zero: 15 s
	WriteTimeout   time.Duration // of one packet; zero: 10 s

	// TLS is for tls and wss; nil means the system's roots. Giving it makes a
	// connection encrypted even if the scheme is tcp or ws.
	TLS *tls.Config

	// Receive is called for each message, one at a time and in order, on the
	// goroutine that reads the connection. While it blocks, nothing is read:
	// not even the answer to a ping, so a long block ends the connection. It is
	// not called after Close has returned, except that a call which is already
	// under way goes on.
	Receive func(Message)
}

// A Message is a message that was received.
type Message struct {
	Topic    string
	Payload  []byte // not used again by the connection
	QoS      byte
	Retained bool

	msg paho.Message
}

// Ack acknowledges a QoS 1 message to the broker; for QoS 0 it does nothing. It
// blocks while the connection is being written to. After the connection has
// ended it has no effect: the broker delivers the message again.
func (m Message) Ack() {
	if m.msg != nil {
		m.msg.Ack()
	}
}

// A Conn is an established connection. Its methods may be called concurrently.
// A connection that has ended by itself must be closed all the same.
type Conn struct {
	client paho.Client
	wire   atomic.Pointer[wire]
	done   chan struct{}
	closed atomic.Bool

	mu  sync.Mutex
	err error // why the connection ended; valid once done is closed

	publishing sync.Mutex // one Publish at a time, so that out and sent pair up
	out        chan outgoing
	sent       chan paho.Token
}

// Dial connects. A refusal by the broker is reported with its reason; see
// [IsRefused].
func Dial(ctx context.Context, o Options) (*Conn, error) {
	addr, err := parseBroker(o.Broker, o.TLS != nil)
	if err != nil {
		return nil, err
	}
	if o.Username == "" && addr.User != nil {
		o.Username = addr.User.Username()
		o.Password, _ = addr.User.Password()
	}
	addr.User = nil
	c := &Conn{done: make(chan struct{}), out: make(chan outgoing), sent: make(chan paho.Token, 1)}
	d := &dialer{
		ctx: ctx, conn: c, addr: addr, tls: o.TLS,
		connect: orDefault(o.ConnectTimeout, 15*time.Second), write: orDefault(o.WriteTimeout, 10*time.Second),
	}
	c.client = paho.NewClient(c.options(o, d))
	token := c.client.Connect()
	<-token.Done() // the dialer ends it when ctx is done
	canceled := d.release()
	if err := token.Error(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("mqtt: connect to %s: %w", addr.Host, err)
	}
	if canceled {
		c.Close()
		return nil, ctx.Err()
	}
	go c.send()
	return c, nil
}

// IsRefused reports whether err says that the broker refused the user name,
// password or client identifier, which trying again does not cure.
func IsRefused(err error) bool {
	return errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) ||
		errors.Is(err, packets.ErrorRefusedNotAuthorised) ||
		errors.Is(err, packets.ErrorRefusedIDRejected)
}

func (c *Conn) options(o Options, d *dialer) *paho.ClientOptions {
	keepAlive := max(orDefault(o.KeepAlive, time.Minute), time.Second)
	p := paho.NewClientOptions().
		AddBroker(d.addr.String()).
		SetProtocolVersion(4).
		SetClientID(o.ClientID).
		SetUsername(o.Username).
		SetPassword(o.Password).
		SetCleanSession(!o.KeepSession).
		SetKeepAlive(keepAlive).
		SetPingTimeout(min(keepAlive, 10*time.Second)).
		SetConnectTimeout(d.connect).
		SetWriteTimeout(d.write + time.Second). // the wire's own deadline comes first
		SetCustomOpenConnectionFn(d.open).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetResumeSubs(false).
		SetOrderMatters(true).
		SetAutoAckDisabled(true).
		SetStore(paho.NewOrderedMemoryStore()).
		SetConnectionLostHandler(func(_ paho.Client, err error) { c.end(lost(err)) })
	receive := o.Receive
	p.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		if receive != nil && !c.closed.Load() {
			receive(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), msg: m})
		}
	})
	return p
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
}

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, or nil if it has not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Fail ends the connection at once, without a word to the broker, for the
// reason err. It is for an owner that finds that the broker does not answer.
func (c *Conn) Fail(err error) {
	c.end(err)
	c.cut()
}

// Close ends the connection. If it is still up, the broker is told, which
// discards a will; that takes at most a quarter of a second. What the
// connection runs in the background ends by itself within the write timeout.
func (c *Conn) Close() {
	c.closed.Store(true)
	c.end(ErrClosed)
	c.client.Disconnect(250)
	c.cut()
}

func (c *Conn) cut() {
	if w := c.wire.Load(); w != nil {
		_ = w.Conn.Close()
	}
}
