package mqttx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// parseBroker returns the address of a broker with its canonical scheme (tcp,
// tls, ws or wss) and a port.
func parseBroker(broker string, encrypt bool) (*url.URL, error) {
	if broker == "" {
		return nil, errors.New("mqtt: no broker address")
	}
	if !strings.Contains(broker, "://") {
		broker = "tcp://" + broker
	}
	u, err := url.Parse(broker)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("mqtt: the broker address is not of the form scheme://host:port")
	}
	var port string
	switch u.Scheme {
	case "tcp", "mqtt":
		u.Scheme, port = "tcp", "1883"
	case "tls", "ssl", "mqtts":
		u.Scheme, port = "tls", "8883"
	case "ws":
		port = "80"
	case "wss":
		port = "443"
	default:
		return nil, fmt.Errorf("mqtt: unknown scheme %q of the broker address", u.Scheme)
	}
	if encrypt && u.Scheme == "tcp" {
		u.Scheme, port = "tls", "8883"
	}
	if encrypt && u.Scheme == "ws" {
		u.Scheme, port = "wss", "443"
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// A dialer opens the network connection of one Conn.
type dialer struct {
	ctx            context.Context // of Dial, during which alone a dialer lives
	conn           *Conn
	addr           *url.URL
	tls            *tls.Config
	connect, write time.Duration

	stop func() bool // forgets ctx
}

// open is called back by Paho, on its own goroutine.
func (d *dialer) open(*url.URL, paho.ClientOptions) (net.Conn, error) {
	raw, err := d.dial()
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw, owner: d.conn, timeout: d.write}
	d.conn.wire.Store(w)
	d.stop = context.AfterFunc(d.ctx, func() { _ = raw.Close() })
	return w, nil
}

func (d *dialer) dial() (net.Conn, error) {
	nd := &net.Dialer{Timeout: d.connect, KeepAlive: 30 * time.Second}
	switch d.addr.Scheme {
	case "tcp":
		return nd.DialContext(d.ctx, "tcp", d.addr.Host)
	case "tls":
		ctx, cancel := context.WithTimeout(d.ctx, d.connect)
		defer cancel()
		return (&tls.Dialer{NetDialer: nd, Config: d.tls}).DialContext(ctx, "tcp", d.addr.Host)
	default:
		return d.websocket()
	}
}

// websocket dials with Paho's adapter, which knows no context. If ctx is done
// first, the attempt ends by itself within the connect timeout.
func (d *dialer) websocket() (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	ch := make(chan result, 1)
	go func() {
		conn, err := paho.NewWebsocket(d.addr.String(), d.tls, d.connect, nil, nil)
		if err == nil && d.ctx.Err() != nil {
			_ = conn.Close()
			err = d.ctx.Err()
		}
		ch <- result{conn, err}
	}()
	select {
	case r := <-ch:
		return r.conn, r.err
	case <-d.ctx.Done():
		return nil, d.ctx.Err()
	}
}

// release lets the connection outlive the context, and reports whether the
// context was done before.
func (d *dialer) release() (canceled bool) { return d.stop != nil && !d.stop() }

// A wire is the network connection under a Conn. Paho bounds the time of
// writing a publication, but not that of a ping or an acknowledgement, and
// reports the end of a connection only when all its goroutines have come to
// rest. A wire bounds every write, and ends its Conn when Paho closes it, by
// which time Paho has acted on all that was read before, or a second after an
// error if Paho does not come to that.
type wire struct {
	net.Conn
	owner   *Conn
	timeout time.Duration

	writing sync.Mutex // Paho pings from a goroutine of its own
	once    sync.Once
	reason  atomic.Pointer[error] // the first error
}

// fail remembers the first error.
func (w *wire) fail(err error) {
	w.once.Do(func() {
		err = lost(err)
		w.reason.Store(&err)
		time.AfterFunc(time.Second, func() { w.owner.end(err) })
	})
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.Conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.fail(err)
		_ = w.Conn.Close()
	}
	return n, err
}

// SetWriteDeadline does nothing: Write sets its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close is called by Paho, first of all if a ping was not answered or if what
// was read is not MQTT.
func (w *wire) Close() error {
	if reason := w.reason.Load(); reason != nil {
		w.owner.end(*reason)
	}
	w.owner.end(errors.New("mqtt: connection lost: no answer to a ping, or a malformed packet"))
	return w.Conn.Close()
}

func lost(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("mqtt: connection lost: closed by the broker")
	}
	return fmt.Errorf("mqtt: connection lost: %w", err)
}
