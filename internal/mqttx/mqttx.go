// Package mqttx is one MQTT 3.1.1 connection, made with Eclipse Paho in the one
// way in which that library neither loses nor reorders nor hangs: no
// reconnection of its own (a [Conn] lives once; whoever owns it dials again), a
// write timeout, an ordered store, manual acknowledgement, and every wait
// bounded by the life of the connection and by a context.
package mqttx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// ErrClosed is what publications and subscriptions under way end with after
// Close.
var ErrClosed = errors.New("mqtt: connection closed")

// Options describe a connection. Broker is required.
type Options struct {
	Broker   string // scheme://host:port with scheme tcp, tls, ws or wss (or mqtt, mqtts, ssl)
	ClientID string // empty: the broker chooses one, which needs a clean session
	Username string
	Password string

	// KeepSession asks the broker to keep subscriptions and unacknowledged
	// messages while the client is away.
	KeepSession bool

	KeepAlive      time.Duration // between pings; zero: 60 s
	ConnectTimeout time.Duration // of dialling and of the handshake; zero: 15 s
	WriteTimeout   time.Duration // of one packet; zero: 10 s
	TLS            *tls.Config   // for tls and wss; nil: the system's roots

	// Receive is called for each message, one at a time and in order, on the
	// goroutine that reads the connection. While it blocks, nothing is read:
	// not even the answer to a ping, so a long block ends the connection.
	Receive func(Message)
}

// A Message is a message that was received.
type Message struct {
	Topic    string
	Payload  []byte
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
type Conn struct {
	client paho.Client
	done   chan struct{}

	mu  sync.Mutex
	err error // why the connection ended; valid once done is closed
}

// Dial connects. A refusal by the broker is reported with its reason.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	c := &Conn{done: make(chan struct{})}
	c.client = paho.NewClient(c.options(o))
	token := c.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		go c.client.Disconnect(0)
		return nil, ctx.Err()
	}
	if err := token.Error(); err != nil {
		return nil, fmt.Errorf("mqtt: connect to %s: %w", o.Broker, err)
	}
	return c, nil
}

func (c *Conn) options(o Options) *paho.ClientOptions {
	connect := orDefault(o.ConnectTimeout, 15*time.Second)
	keepAlive := orDefault(o.KeepAlive, time.Minute)
	p := paho.NewClientOptions().
		AddBroker(o.Broker).
		SetProtocolVersion(4).
		SetClientID(o.ClientID).
		SetUsername(o.Username).
		SetPassword(o.Password).
		SetCleanSession(!o.KeepSession).
		SetKeepAlive(keepAlive).
		SetPingTimeout(min(keepAlive, 10*time.Second)).
		SetConnectTimeout(connect).
		SetWriteTimeout(orDefault(o.WriteTimeout, 10*time.Second)).
		SetDialer(&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetResumeSubs(false).
		SetOrderMatters(true).
		SetAutoAckDisabled(true).
		SetStore(paho.NewOrderedMemoryStore()).
		SetConnectionLostHandler(func(_ paho.Client, err error) { c.end(err) })
	if o.TLS != nil {
		p.SetTLSConfig(o.TLS)
	}
	receive := o.Receive
	p.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		if receive != nil {
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

// Close ends the connection. If it is still up, the broker is told, which
// discards a will; that takes at most a quarter of a second.
func (c *Conn) Close() {
	c.end(ErrClosed)
	c.client.Disconnect(250)
}

// A Subscription is a topic filter and the highest QoS wanted for it.
type Subscription struct {
	Filter string
	QoS    byte
}

// Subscribe subscribes to all of subs and waits for the broker's answer. An
// error names the filters that the broker refused; the others are then
// subscribed all the same.
func (c *Conn) Subscribe(ctx context.Context, subs ...Subscription) error {
	if len(subs) == 0 {
		return nil
	}
	filters := make(map[string]byte, len(subs))
	for _, s := range subs {
		filters[s.Filter] = max(filters[s.Filter], s.QoS)
	}
	token := c.client.SubscribeMultiple(filters, nil)
	if err := c.wait(ctx, token); err != nil {
		return fmt.Errorf("mqtt: subscribe: %w", err)
	}
	var refused []error
	if st, ok := token.(*paho.SubscribeToken); ok {
		for filter, granted := range st.Result() {
			if granted > 2 {
				refused = append(refused, fmt.Errorf("mqtt: subscription to %q was refused", filter))
			}
		}
	}
	return errors.Join(refused...)
}

// Unsubscribe ends subscriptions and waits for the broker's answer.
func (c *Conn) Unsubscribe(ctx context.Context, filters ...string) error {
	return c.wait(ctx, c.client.Unsubscribe(filters...))
}

// A Publication is a message under way to the broker.
type Publication struct {
	conn  *Conn
	token paho.Token
}

// Publish sends a message. It keeps payload until the publication is complete,
// so payload must not be changed before then. It blocks while the connection is
// being written to, at most for the write timeout. Messages are sent in the
// order of the calls. There is no bound on publications under way other than
// the 65,535 packet identifiers: the caller keeps a window.
func (c *Conn) Publish(topic string, qos byte, retain bool, payload []byte) Publication {
	return Publication{c, c.client.Publish(topic, qos, retain, payload)}
}

// Wait returns nil once the broker has acknowledged the message (QoS 1), or
// once it was written (QoS 0). Any error means that it is not known whether the
// broker has it.
func (p Publication) Wait(ctx context.Context) error { return p.conn.wait(ctx, p.token) }

// Done returns a channel that is closed when the publication is complete. It
// may stay open when the connection ends: see [Conn.Done].
func (p Publication) Done() <-chan struct{} { return p.token.Done() }

func (c *Conn) wait(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
	}
	select {
	case <-token.Done():
		return token.Error()
	default:
		return c.Err()
	}
}
