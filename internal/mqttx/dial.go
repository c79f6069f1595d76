package mqttx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

const (
	defaultConnectTimeout = 15 * time.Second
	defaultWriteTimeout   = 10 * time.Second
	defaultKeepAlive      = time.Minute
	pingTimeout           = 10 * time.Second // or the keep-alive time, if that is shorter
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

// A dialer opens the link of one Conn.
type dialer struct {
	addr    *url.URL // of the broker
	proxy   *url.URL // nil: none
	tls     *tls.Config
	timeout time.Duration
}

// newDialer checks the options, and takes user and password from the address.
func newDialer(o *Options) (*dialer, error) {
	if o.Version != 0 && o.Version != 4 && o.Version != 5 {
		return nil, fmt.Errorf("mqtt: version %d is not known: 4 means MQTT 3.1.1 and 5 means MQTT 5", o.Version)
	}
	addr, err := parseBroker(o.Broker, o.TLS != nil || o.TLSSource != nil)
	if err != nil {
		return nil, err
	}
	if o.Username == "" && addr.User != nil {
		o.Username = addr.User.Username()
		o.Password, _ = addr.User.Password()
	}
	addr.User = nil
	d := &dialer{addr: addr, tls: o.TLS, timeout: orDefault(o.ConnectTimeout, defaultConnectTimeout)}
	if d.proxy, err = parseProxy(o.Proxy); err != nil {
		return nil, err
	}
	if o.TLSSource != nil {
		if d.tls, err = o.TLSSource(); err != nil {
			return nil, fmt.Errorf("mqtt: connect to %s: %w", addr.Host, err)
		}
	}
	return d, nil
}

// A link is the stream to the broker. Its raw connection is what all layers of
// the stream rest on.
type link struct {
	net.Conn
	raw net.Conn
}

// cut ends the link at once. Closing the layers above would wait for TLS to say
// goodbye.
func (l link) cut() { _ = l.raw.Close() }

// connect opens the base of the link: a TCP connection to the broker or, through
// the proxy if there is one, the like of it.
func (d *dialer) connect(ctx context.Context) (link, error) {
	nd := &net.Dialer{KeepAlive: 30 * time.Second}
	if d.proxy != nil {
		l, err := d.connectProxy(ctx, nd)
		if err != nil {
			return link{}, fmt.Errorf("proxy %s: %w", d.proxy.Host, err)
		}
		return l, nil
	}
	conn, err := nd.DialContext(ctx, "tcp", d.addr.Host)
	return link{conn, conn}, err
}

// layer puts TLS and a websocket on the link, as the broker's address demands.
func (d *dialer) layer(ctx context.Context, l *link) error {
	scheme := d.addr.Scheme
	if scheme == "tls" || scheme == "wss" {
		conn, err := encrypt(ctx, l.Conn, d.tls, d.addr.Hostname())
		if err != nil {
			return err
		}
		l.Conn = conn
	}
	if scheme == "ws" || scheme == "wss" {
		conn, err := openWebsocket(ctx, l.Conn, d.addr)
		if err != nil {
			return err
		}
		l.Conn = conn
	}
	return nil
}

// encrypt does a TLS handshake as the client.
func encrypt(ctx context.Context, conn net.Conn, cfg *tls.Config, host string) (net.Conn, error) {
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return t, nil
}
