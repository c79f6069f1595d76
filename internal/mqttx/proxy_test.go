package mqttx_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
)

// A relay is a proxy with one user, "u", whose password is "p:w".
type relay struct {
	addr string
	used atomic.Int64 // tunnels that were opened
}

// serveProxy accepts connections and lets open find out their destination.
func serveProxy(t *testing.T, ln net.Listener, open func(net.Conn) (to string, ok bool)) *relay {
	t.Helper()
	r := &relay{addr: ln.Addr().String()}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if to, ok := open(conn); ok {
					r.used.Add(1)
					forward(conn, to)
				}
			}()
		}
	}()
	return r
}

// forward copies both ways until either side ends.
func forward(conn net.Conn, to string) {
	out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	over := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(out, conn); over <- struct{}{} }()
	go func() { _, _ = io.Copy(conn, out); over <- struct{}{} }()
	<-over
}

// openHTTP is the proxy's side of CONNECT.
func openHTTP(conn net.Conn) (to string, ok bool) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return "", false
	}
	const credentials = "Basic dTpwOnc="
	if req.Method != http.MethodConnect || req.Header.Get("Proxy-Authorization") != credentials {
		_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nbody")
		return "", false
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
	return req.Host, true
}

// openSOCKS is the server's side of SOCKS5 (RFC 1928, RFC 1929).
func openSOCKS(conn net.Conn) (to string, ok bool) {
	buf := make([]byte, 512)
	read := func(n int) []byte { _, _ = io.ReadFull(conn, buf[:n]); return buf[:n] }
	methods := int(read(2)[1])
	if !strings.ContainsRune(string(read(methods)), 2) {
		_, _ = conn.Write([]byte{5, 0xff})
		return "", false
	}
	_, _ = conn.Write([]byte{5, 2})
	user := string(read(int(read(2)[1])))
	password := string(read(int(read(1)[0])))
	if user != "u" || password != "p:w" {
		_, _ = conn.Write([]byte{1, 1})
		return "", false
	}
	_, _ = conn.Write([]byte{1, 0})
	var host string
	switch read(4)[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	default:
		return "", false
	}
	port := binary.BigEndian.Uint16(read(2))
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return net.JoinHostPort(host, fmt.Sprint(port)), true
}

func TestPeerMosquittoThroughProxies(t *testing.T) {
	certs := peer.NewCerts(t)
	both := &tls.Config{RootCAs: certs.Roots, Certificates: []tls.Certificate{certs.Client}, MinVersion: tls.VersionTLS12}
	brokers := map[string]*peer.Broker{
		"tcp": peer.Mosquitto{}.Start(t),
		"tls": peer.Mosquitto{Certs: &certs}.Start(t),
		"ws":  peer.Mosquitto{Websocket: true}.Start(t),
		"wss": peer.Mosquitto{Websocket: true, Certs: &certs}.Start(t),
	}
	plain := listen(t)
	encrypted := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{certs.Server}, MinVersion: tls.VersionTLS12})
	for proxy, relay := range map[string]*relay{
		"http":   serveProxy(t, plain, openHTTP),
		"https":  serveProxy(t, encrypted, openHTTP),
		"socks5": serveProxy(t, listen(t), openSOCKS),
	} {
		for scheme, b := range brokers {
			if proxy == "https" && (scheme == "tcp" || scheme == "ws") {
				continue // its roots are those of the broker, which has none here
			}
			t.Run(proxy+" "+scheme, func(t *testing.T) {
				eachVersion(t, func(t *testing.T, version byte) {
					o := mqttx.Options{
						Version: version, Broker: scheme + "://" + b.Addr() + "/mqtt",
						Proxy: proxy + "://u:p%3Aw@" + relay.addr,
					}
					if scheme == "tls" || scheme == "wss" {
						o.TLS = both
					}
					before := relay.used.Load()
					roundTrip(t, o)
					require.Equal(t, before+1, relay.used.Load())
				})
			})
		}
	}
}

func TestProxiesThatRefuseSayWhy(t *testing.T) {
	broker := listen(t).Addr().String()
	for name, test := range map[string]struct {
		open func(net.Conn) (string, bool)
		want string
	}{
		"http":   {openHTTP, `refuses to connect: "HTTP/1.1 407 Proxy Authentication Required"`},
		"socks5": {openSOCKS, "authentication failed"},
	} {
		relay := serveProxy(t, listen(t), test.open)
		_, err := mqttx.Dial(within(t, patience), mqttx.Options{Broker: broker, Proxy: name + "://u:wrong-secret@" + relay.addr})
		require.ErrorContains(t, err, test.want)
		require.ErrorContains(t, err, relay.addr)
		require.NotContains(t, err.Error(), "wrong-secret")
	}
	closed := listen(t)
	require.NoError(t, closed.Close())
	for _, scheme := range []string{"http", "https", "socks5"} {
		proxy := scheme + "://u:secret@" + closed.Addr().String()
		_, err := mqttx.Dial(within(t, patience), mqttx.Options{Broker: broker, Proxy: proxy})
		require.ErrorContains(t, err, "proxy "+closed.Addr().String())
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestHTTPSProxiesAreVerified(t *testing.T) {
	certs := peer.NewCerts(t)
	ln := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{certs.Server}, MinVersion: tls.VersionTLS12})
	relay := serveProxy(t, ln, openHTTP)
	_, err := mqttx.Dial(within(t, patience), mqttx.Options{Broker: "127.0.0.1:1", Proxy: "https://u:p%3Aw@" + relay.addr})
	var unknown *tls.CertificateVerificationError
	require.ErrorAs(t, err, &unknown)
	require.Zero(t, relay.used.Load())
}

// TestProxiesThatHangAreGivenUp guards the connect timeout and the context.
func TestProxiesThatHangAreGivenUp(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		o := mqttx.Options{Broker: "tcp://127.0.0.1:1", Proxy: scheme + "://" + listen(t).Addr().String()}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := mqttx.Dial(ctx, o)
		require.ErrorIs(t, err, context.Canceled, scheme)
		o.ConnectTimeout = 50 * time.Millisecond
		_, err = mqttx.Dial(within(t, patience), o)
		require.ErrorContains(t, err, "not established within 50ms", scheme)
	}
}

func TestProxyAddressesThatMakeNoSense(t *testing.T) {
	for _, proxy := range []string{"ftp://h:1", "http://", "socks5://u:secret@h:x", "%zz", "127.0.0.1:8080"} {
		_, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "127.0.0.1:1", Proxy: proxy})
		require.ErrorContains(t, err, "proxy address", proxy)
		require.NotContains(t, err.Error(), "secret")
	}
}
