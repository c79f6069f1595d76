package mqttx

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"
)

// parseProxy returns the address of a proxy with a port, or nil for none. Its
// errors do not repeat the address, which may hold a password.
func parseProxy(address string) (*url.URL, error) {
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("mqtt: the proxy address is not of the form scheme://host:port")
	}
	var port string
	switch u.Scheme {
	case "http":
		port = "80"
	case "https":
		port = "443"
	case "socks5", "socks5h":
		port = "1080"
	default:
		return nil, fmt.Errorf("mqtt: unknown scheme %q of the proxy address: http, https and socks5 are known", u.Scheme)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// connectProxy connects to the broker through the proxy.
func (d *dialer) connectProxy(ctx context.Context, nd *net.Dialer) (link, error) {
	if d.proxy.Scheme == "http" || d.proxy.Scheme == "https" {
		return d.connectHTTP(ctx, nd)
	}
	var auth *proxy.Auth
	if d.proxy.User != nil {
		password, _ := d.proxy.User.Password()
		auth = &proxy.Auth{User: d.proxy.User.Username(), Password: password}
	}
	socks, err := proxy.SOCKS5("tcp", d.proxy.Host, auth, nd)
	if err != nil {
		return link{}, err
	}
	dialer, ok := socks.(proxy.ContextDialer)
	if !ok {
		return link{}, errors.New("the SOCKS dialer knows no context")
	}
	conn, err := dialer.DialContext(ctx, "tcp", d.addr.Host)
	return link{conn, conn}, err
}

// connectHTTP asks an HTTP proxy for a tunnel.
func (d *dialer) connectHTTP(ctx context.Context, nd *net.Dialer) (link, error) {
	raw, err := nd.DialContext(ctx, "tcp", d.proxy.Host)
	if err != nil {
		return link{}, err
	}
	l := link{raw, raw}
	stop := context.AfterFunc(ctx, l.cut)
	if d.proxy.Scheme == "https" {
		l.Conn, err = encrypt(ctx, raw, d.proxyTLS(), d.proxy.Hostname())
	}
	if err == nil {
		err = d.tunnel(l.Conn)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.cut()
		return link{}, err
	}
	return l, nil
}

// proxyTLS returns the configuration of an https proxy: the roots of the
// broker's, without the certificate of the client.
func (d *dialer) proxyTLS() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.tls != nil {
		cfg.RootCAs, cfg.InsecureSkipVerify = d.tls.RootCAs, d.tls.InsecureSkipVerify
	}
	return cfg
}

// tunnel asks for a tunnel to the broker.
func (d *dialer) tunnel(conn net.Conn) error {
	request := "CONNECT " + d.addr.Host + " HTTP/1.1\r\nHost: " + d.addr.Host + "\r\n"
	if d.proxy.User != nil {
		password, _ := d.proxy.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(d.proxy.User.Username() + ":" + password))
		request += "Proxy-Authorization: Basic " + credentials + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	return readConnectAnswer(conn)
}

// maxProxyAnswer bounds the head of a proxy's answer, in bytes.
const maxProxyAnswer = 16 << 10

// readConnectAnswer reads the head of the answer to CONNECT and nothing behind
// it: that belongs to the tunnel. The body of a refusal is not read.
func readConnectAnswer(r io.Reader) error {
	var head []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, one); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("closed the connection in place of an answer to CONNECT")
			}
			return err
		}
		head = append(head, one[0])
		if one[0] == '\n' && endsHead(head) {
			return checkStatus(head)
		}
		if len(head) >= maxProxyAnswer {
			return fmt.Errorf("the answer to CONNECT is longer than %d bytes", maxProxyAnswer)
		}
	}
}

// endsHead reports whether a line that has just ended is empty.
func endsHead(head []byte) bool {
	text := strings.TrimSuffix(string(head[max(0, len(head)-4):]), "\n")
	text = strings.TrimSuffix(text, "\r")
	return text == "" || strings.HasSuffix(text, "\n")
}

// checkStatus returns nil if the answer grants the tunnel, and otherwise its
// first line.
func checkStatus(head []byte) error {
	line, _, _ := strings.Cut(string(head), "\n")
	line = strings.TrimRight(line, "\r")
	version, status, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(status, " ")
	if strings.HasPrefix(version, "HTTP/1.") && len(code) == 3 && code[0] == '2' {
		return nil
	}
	const enough = 200
	return fmt.Errorf("refuses to connect: %q", line[:min(len(line), enough)])
}

var _ proxy.ContextDialer = (*net.Dialer)(nil)
