package mqttx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
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

	// Version is 4 for MQTT 3.1.1, which zero means too, or 5 for MQTT 5.
	Version byte

	// KeepSession asks the broker to keep subscriptions and unacknowledged
	// messages while the client is away.
	KeepSession bool

	// SessionExpiry is how long a broker of version 5 keeps the session after
	// the connection has ended, in whole seconds; zero: for ever. It counts
	// only with KeepSession. Brokers of version 3.1.1 decide for themselves.
	SessionExpiry time.Duration

	KeepAlive      time.Duration // between pings, in whole seconds; zero: 60 s; a broker of version 5 may decide otherwise
	ConnectTimeout time.Duration // of the whole way to a connection, the handshakes included; zero: 15 s
	WriteTimeout   time.Duration // of one packet; zero: 10 s

	// ReceiveMaximum is how many messages of QoS 1 and 2 a broker of version 5
	// may send ahead of their acknowledgements; zero: 100; at most 65,535.
	ReceiveMaximum int

	// MaximumPacketSize is the size in bytes of the largest packet that a
	// broker of version 5 may send; zero: 16 MiB. The broker drops messages
	// that are larger.
	MaximumPacketSize int

	// TLS is for tls and wss; nil means the system's roots. Giving it makes a
	// connection encrypted even if the scheme is tcp or ws.
	TLS *tls.Config

	// TLSSource, if not nil, is called by Dial in place of reading TLS, so that
	// certificates can change between connections.
	TLSSource func() (*tls.Config, error)

	// Proxy is the URL of a proxy to connect through: http://host[:port] or
	// https://host[:port], which is asked to CONNECT, or socks5://host[:port].
	// The port defaults to 80, 443 and 1080. The proxy resolves the broker's
	// name. A user and password in the URL are used and never appear in errors.
	// An https proxy is verified as the broker is, and sees no certificate of
	// the client. The environment is not asked for a proxy.
	Proxy string

	// Receive is called for each message, one at a time and in order, on the
	// goroutine that reads the connection. While it blocks, nothing is read:
	// not even the answer to a ping, so a long block ends the connection. It
	// must not wait for what the broker has to answer, which includes room for
	// another [Conn.Publish] with version 5. It is not called after Close has
	// returned, except that a call which is already under way goes on.
	Receive func(Message)
}

// ServerLimits are what a broker of version 5 told about itself in its CONNACK
// packet. What it did not tell is zero, as is all of it with version 3.1.1,
// except where a comment says otherwise.
type ServerLimits struct {
	ReceiveMaximum    int           // publications of QoS 1 and 2 under way at once; Publish keeps to it
	MaximumPacketSize int           // in bytes; larger publications fail without being sent
	MaximumQoS        byte          // 2 if not told; publications of a higher QoS fail without being sent
	KeepAlive         time.Duration // in place of Options.KeepAlive, and in use
	NoKeepAlive       bool          // the broker told a keep-alive time of zero: no pings
	SessionExpiry     time.Duration // in place of Options.SessionExpiry, if told and not for ever
	AssignedClientID  string        // if Options.ClientID was empty
	TopicAliasMaximum int
	NoRetain          bool // retained publications fail without being sent
	NoWildcards       bool // in subscriptions
	NoShared          bool // subscriptions ($share)
}

// A protocol is one version of MQTT, spoken on a link whose handshake is done.
type protocol interface {
	// publish sends m after what was published before. It returns nil if the
	// connection ended first.
	publish(m outgoing) token

	subscribe(ctx context.Context, o SubscribeOptions, subs []Subscription) error
	unsubscribe(ctx context.Context, filters []string) error
	limits() ServerLimits

	// disconnect tells the broker, if the link is still up, for at most farewell.
	disconnect()
}

const farewell = 250 * time.Millisecond

// A token is something under way. Error is valid once Done is closed, which may
// never happen if the connection ends.
type token interface {
	Done() <-chan struct{}
	Error() error
}

// A Conn is an established connection. Its methods may be called concurrently.
// A connection that has ended by itself must be closed all the same.
type Conn struct {
	proto   protocol
	link    link
	receive func(Message) // nil: messages are acknowledged by nobody
	done    chan struct{}
	closed  atomic.Bool

	mu  sync.Mutex
	err error // why the connection ended; valid once done is closed
}

// Dial connects. A refusal by the broker is reported with its reason; see
// [IsRefused].
func Dial(ctx context.Context, o Options) (*Conn, error) {
	d, err := newDialer(&o)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := d.open(within, o)
	if err == nil {
		return c, nil
	}
	if over := expired(ctx); over != nil {
		err = over
	} else if expired(within) != nil {
		err = fmt.Errorf("not established within %v: %w", d.timeout, err)
	}
	return nil, fmt.Errorf("mqtt: connect to %s: %w", d.addr.Host, err)
}

// expired returns the error of ctx, even if a socket was quicker to notice that
// its time is over.
func expired(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// open opens the link and shakes hands. Its errors are about the cause only.
func (d *dialer) open(ctx context.Context, o Options) (*Conn, error) {
	l, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &Conn{link: l, receive: o.Receive, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, l.cut)
	if err = d.layer(ctx, &c.link); err == nil {
		err = c.greet(o, d)
	}
	if !stop() && err == nil { // the link was cut after the handshake
		c.Close()
		return nil, ctx.Err()
	}
	if err != nil {
		c.Fail(err)
		return nil, err
	}
	return c, nil
}

func (c *Conn) greet(o Options, d *dialer) error {
	if o.Version == 5 {
		return c.greet5(o)
	}
	return c.greet3(o, d)
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Server returns what the broker told about itself.
func (c *Conn) Server() ServerLimits { return c.proto.limits() }

// end makes err the reason why the connection ended, unless it has already.
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

// Err returns why the connection ended, or nil if it has not. See
// [IsRemoteClose] and [ReasonError].
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Fail ends the connection at once, without a word to the broker, for the
// reason err. It is for an owner that finds that the broker does not answer.
func (c *Conn) Fail(err error) {
	c.end(err)
	c.link.cut()
}

// Close ends the connection. If it is still up, the broker is told, which
// discards a will; that takes at most a quarter of a second. What the
// connection runs in the background ends by itself: within the write timeout,
// and when Receive has returned.
func (c *Conn) Close() {
	c.closed.Store(true)
	c.end(ErrClosed)
	c.proto.disconnect()
	c.link.cut()
}

// deliver hands a message to the owner of the connection.
func (c *Conn) deliver(m Message) {
	if c.receive != nil && !c.closed.Load() {
		c.receive(m)
	}
}
