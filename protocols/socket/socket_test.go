package socket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/protocols/socket"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// start runs a connector until the test ends.
func start(t *testing.T, cfg socket.Config) (*socket.Connector, *connectortest.Host) {
	t.Helper()
	host := connectortest.NewHost(t)
	c := socket.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	if !cfg.Dial {
		host.Eventually(t, "it listens", func() bool { return c.Addr() != "" })
	}
	return c, host
}

// listen configures a connector that listens on a free port for lines.
func listen(devices ...socket.Device) socket.Config {
	return socket.Config{Port: -1, Framing: socket.Framing{Delimiter: []byte("\n")}, Devices: devices}
}

// station is a device that sends its name in the first byte and a number after it.
func station(address string) socket.Device {
	return socket.Device{
		Name: "S", Address: address,
		Timeseries: []socket.Datapoint{{Key: "v", From: 1, Type: "int"}},
		Requests:   []socket.AttributeRequest{{Match: "${[0:1]==?}", Names: "[1:]"}},
		Updates:    []string{"set"},
		RPCs: []socket.RPC{
			{Method: "ask", WithReply: true, ReplyMatch: "${[0:1]==!}"},
			{Method: "next", WithReply: true},
			{Method: "tell"},
		},
	}
}

func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), network, addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
}

func read(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	buf := make([]byte, len(want))
	_, err := io.ReadFull(conn, buf)
	require.NoError(t, err)
	assert.Equal(t, want, string(buf))
}

func values(host *connectortest.Host, key string) (list []string) {
	for _, r := range host.Readings(false) {
		if r.Key == key {
			list = append(list, r.Value.String())
		}
	}
	return list
}

func TestMessagesOfAStreamAreFramed(t *testing.T) {
	c, host := start(t, listen(station("")))
	conn := dial(t, "tcp", c.Addr())
	for _, s := range []string{"a1\na2\na", "3", "3\n"} {
		write(t, conn, s)
	}
	host.Eventually(t, "all readings", func() bool { return len(values(host, "v")) == 3 })
	assert.Equal(t, []string{"1", "2", "33"}, values(host, "v"))
	assert.EqualValues(t, 3, c.Stats().Messages)
}

func TestDatagramsAreMessages(t *testing.T) {
	cfg := listen(station("127.0.0.1"), socket.Device{Name: "elsewhere", Address: "10.*:*", Timeseries: []socket.Datapoint{{Key: "never"}}})
	cfg.UDP = true
	c, host := start(t, cfg)
	conn := dial(t, "udp", c.Addr())
	write(t, conn, "a1")
	write(t, conn, "a2")
	host.Eventually(t, "both readings", func() bool { return len(values(host, "v")) == 2 })
	assert.Empty(t, values(host, "never"))
}

func TestEachDeviceGetsTheMessagesOfItsAddresses(t *testing.T) {
	for _, c := range []struct {
		pattern, addr string
		want          bool
	}{
		{"", "10.0.0.1:5", true},
		{"*:*", "10.0.0.1:5", true},
		{"10.0.0.*:*", "10.0.0.1:5", true},
		{"10.0.0.*:*", "10.0.1.1:5", false},
		{"10.0.0.1:5", "10.0.0.1:5", true},
		{"10.0.0.1:5", "10.0.0.1:55", false},
		{"10.0.0.1", "10.0.0.1:55", true},
		{"10.0.0.1", "10.0.0.11:55", false},
		{"::1", "[::1]:55", true},
		{"[::1]:5", "[::1]:5", true},
		{`10\.0\.0\.(1|2):\d+`, "10.0.0.2:5", true},
		{`10\.0\.0\.(1|2):\d+`, "10.0.0.3:5", false},
		{`10.0.0.[0-9]+:5`, "10.0.0.77:5", true},
	} {
		got, err := socket.Matches(c.pattern, c.addr)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, "%s of %s", c.pattern, c.addr)
	}
	_, err := socket.Matches("10.0.0.(1", "")
	require.ErrorContains(t, err, "neither an address with stars nor a regular expression")
}

func TestExpressionsOfRequests(t *testing.T) {
	for _, c := range []struct {
		expression, message string
		want                bool
	}{
		{"${[0:3]==atr}", "atrname", true},
		{"${[0:3]==atr}", "attname", false},
		{"${[3:]==x}", "abcx", true},
		{"[0]==a", "a", true},
		{"[5]==a", "a", false},
		{"ask", "asking", true},
		{"ask", "basking", false},
	} {
		got, err := socket.Asks(c.expression, c.message)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, "%s of %q", c.expression, c.message)
	}
	for _, bad := range []string{"", "${}", "name==x", "[0:1:2]==x"} {
		_, err := socket.Asks(bad, "")
		require.Error(t, err, bad)
	}
}

func TestTextsInAllEncodings(t *testing.T) {
	for _, c := range []struct{ name, bytes, text string }{
		{"utf-8", "caf\xc3\xa9", "café"},
		{"UTF8-SIG", "caf\xc3\xa9", "café"},
		{"latin_1", "caf\xe9", "café"},
		{"iso-8859-1", "caf\xe9", "café"},
		{"cp1252", "\x80 caf\xe9", "€ café"},
		{"ascii", "cafe", "cafe"},
		{"utf-16-le", "A\x00\x3d\xd8\x00\xde", "A😀"},
		{"utf-16-be", "\x00A", "A"},
		{"utf-16", "\xff\xfeA\x00", "A"},
		{"HEX", "\x00\xff", "00ff"},
	} {
		decode, encode, err := socket.Code(c.name)
		require.NoError(t, err, c.name)
		text, err := decode(c.bytes)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.text, text, c.name)
		b, err := encode(c.text)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.bytes, string(b), c.name)
	}
	for name, bad := range map[string]string{"utf-8": "\xff", "ascii": "\x80", "cp1252": "\x81", "utf-16": "abc", "utf-16-le": "\x00\xd8", "utf-16-be": "\xd8\x00\x00a"} {
		decode, _, err := socket.Code(name)
		require.NoError(t, err)
		_, err = decode(bad)
		require.Error(t, err, name)
	}
	for name, bad := range map[string]string{"ascii": "é", "latin-1": "€", "cp1252": "\u0081", "hex": "xyz"} {
		_, encode, err := socket.Code(name)
		require.NoError(t, err)
		_, err = encode(bad)
		require.Error(t, err, name)
	}
	_, _, err := socket.Code("klingon")
	require.ErrorContains(t, err, `"klingon" is not one of`)
}

func TestNumbersAreDecoded(t *testing.T) {
	two := 2
	c, host := start(t, socket.Config{Port: -1, Framing: socket.Framing{Fixed: 6}, Devices: []socket.Device{{Name: "N", Timeseries: []socket.Datapoint{
		{Key: "i", To: &two, Decode: "int"}, {Key: "u", To: &two, Decode: "uint", LittleEndian: true}, {Key: "f", From: 2, Decode: "float"}, {Key: "odd", From: 3, Decode: "float"},
	}}}})
	write(t, dial(t, "tcp", c.Addr()), "\xff\xfe\x3f\xc0\x00\x00")
	host.Eventually(t, "the reading", func() bool { return len(values(host, "f")) == 1 })
	assert.Equal(t, []string{"-2"}, values(host, "i"))
	assert.Equal(t, []string{"65279"}, values(host, "u"))
	assert.Equal(t, []string{"1.5"}, values(host, "f"))
	assert.Empty(t, values(host, "odd"))
	assert.EqualValues(t, 1, c.Stats().Malformed)
}

func TestDevicesAskForAttributes(t *testing.T) {
	c, host := start(t, listen(station("")))
	host.SetAttributes(telemetry.Point{Key: "a", Value: telemetry.Int(7)}, telemetry.Point{Key: "b", Value: telemetry.String("x")})
	conn := dial(t, "tcp", c.Addr())
	write(t, conn, "?a\n")
	read(t, conn, "7")
	write(t, conn, "?a, b\n")
	read(t, conn, `{"a":7,"b":"x"}`)
	write(t, conn, "?\na5\n")
	host.Eventually(t, "data goes on", func() bool { return len(values(host, "v")) == 1 })
	assert.Zero(t, c.Stats().Malformed, "a request is no data")
	assert.Equal(t, "S", host.Queries()[0].Device)
	assert.True(t, host.Queries()[0].Shared)
}

func TestAttributesAndCallsReachThePeerThatSpokeLast(t *testing.T) {
	c, host := start(t, listen(station("")))
	first, last := dial(t, "tcp", c.Addr()), dial(t, "tcp", c.Addr())
	write(t, first, "a1\n")
	host.Eventually(t, "a reading", func() bool { return len(values(host, "v")) == 1 })
	write(t, last, "a2\n")
	host.Eventually(t, "the other", func() bool { return len(values(host, "v")) == 2 })

	require.NoError(t, c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "S", Attributes: []telemetry.Point{
		{Key: "other", Value: telemetry.Int(1)}, {Key: "set", Value: telemetry.Float(1.5)},
	}}))
	read(t, last, "1.5")
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "tell", Params: json.RawMessage(`{"x": 1}`)})
	require.NoError(t, err)
	read(t, last, `{"x": 1}`)

	answered := make(chan string, 1)
	ask := func(method string) {
		v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: method, Params: json.RawMessage(`"q"`)})
		assert.NoError(t, err)
		answered <- v.String()
	}
	go ask("ask")
	read(t, last, "q")
	write(t, last, "a3\n!yes\n")
	assert.Equal(t, "!yes", <-answered)
	go ask("next")
	read(t, last, "q")
	write(t, last, "a4\n")
	assert.Equal(t, "a4", <-answered)
	host.Eventually(t, "what is not recognised as an answer is data", func() bool { return len(values(host, "v")) == 4 })
	assert.Equal(t, []string{"1", "2", "3", "4"}, values(host, "v"))

	require.NoError(t, last.Close())
	host.Eventually(t, "it is gone", func() bool { return c.Stats().Connections == 1 })
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "tell", Params: json.RawMessage(`"z"`)})
	require.NoError(t, err)
	read(t, first, "z")
}

func TestTheReservedMethodWritesToAnAddress(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer far.Close()
	c, _ := start(t, listen(station("")))
	host, port, _ := net.SplitHostPort(far.Addr().String())
	for _, params := range []string{
		fmt.Sprintf(`"address=%s;port=%s;value=on;"`, host, port), fmt.Sprintf(`{"address": %q, "port": %s, "value": "on"}`, host, port),
	} {
		v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "set", Params: json.RawMessage(params)})
		require.NoError(t, err)
		assert.JSONEq(t, `{"result":"ok"}`, v.String())
		conn, err := far.Accept()
		require.NoError(t, err)
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, "on", string(got))
	}
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "set", Params: json.RawMessage(`"port=1;"`)})
	require.ErrorContains(t, err, "there is no address")
}

func TestCommandsThatFailSayWhy(t *testing.T) {
	c, _ := start(t, listen(station("")))
	for want, r := range map[string]connector.RPCRequest{
		"no peer of the device": {Device: "S", Method: "tell"},
		`method "dance"`:        {Device: "S", Method: "dance"},
		`device "Z"`:            {Device: "Z", Method: "set"},
		"not JSON":              {Device: "S", Method: "tell", Params: json.RawMessage(`{`)},
	} {
		_, err := c.HandleRPC(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
	_, err := socket.New(listen(station(""))).HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "tell"})
	require.ErrorContains(t, err, "not running")
}

func TestTooManyConnectionsAreRefusedAndOthersGoOn(t *testing.T) {
	cfg := listen(station(""))
	cfg.MaxConnections = 2
	c, host := start(t, cfg)
	kept := []net.Conn{dial(t, "tcp", c.Addr()), dial(t, "tcp", c.Addr())}
	host.Eventually(t, "both are there", func() bool { return c.Stats().Connections == 2 })
	extra := dial(t, "tcp", c.Addr())
	require.NoError(t, extra.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := extra.Read(make([]byte, 1))
	require.Error(t, err)
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
	write(t, kept[0], "a1\n")
	host.Eventually(t, "a reading", func() bool { return len(values(host, "v")) == 1 })
	assert.EqualValues(t, 1, c.Stats().Refused)
	require.NoError(t, kept[1].Close())
	host.Eventually(t, "there is room", func() bool { return c.Stats().Connections == 1 })
	write(t, dial(t, "tcp", c.Addr()), "a2\n")
	host.Eventually(t, "the next one is served", func() bool { return len(values(host, "v")) == 2 })
}

func TestSilentConnectionsAreClosed(t *testing.T) {
	cfg := listen(station(""))
	cfg.IdleTimeout = 50 * time.Millisecond
	c, _ := start(t, cfg)
	conn := dial(t, "tcp", c.Addr())
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// A message without an end costs its connection nothing but itself, and a stream
// that is out of step its connection.
func TestOversizeMessages(t *testing.T) {
	cfg := listen(station(""))
	cfg.MaxBytes = 100
	c, host := start(t, cfg)
	write(t, dial(t, "tcp", c.Addr()), strings.Repeat("x", 5000)+"\na7\n")
	host.Eventually(t, "the next message", func() bool { return len(values(host, "v")) == 1 })
	assert.EqualValues(t, 1, c.Stats().Malformed)

	cfg.Framing = socket.Framing{Length: &socket.Length{Size: 4}}
	c, _ = start(t, cfg)
	conn := dial(t, "tcp", c.Addr())
	write(t, conn, "\xff\xff\xff\xffabc")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
}

// What the store does not take is not lost: the peer has to wait.
func TestNothingIsLostWhileTheStoreFails(t *testing.T) {
	c, host := start(t, listen(station("")))
	host.Fail(func() error { return errors.New("full") }, nil)
	write(t, dial(t, "tcp", c.Addr()), "a1\na2\n")
	host.Eventually(t, "it has come", func() bool { return c.Stats().Messages > 0 })
	host.Fail(nil, nil)
	host.Eventually(t, "both readings", func() bool { return len(values(host, "v")) == 2 })
}

func TestItConnectsToPeersAgainAndAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	cfg := listen(station(""))
	cfg.Dial = true
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	cfg.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	_, host := start(t, cfg)
	for round := 1; round <= 2; round++ {
		conn, err := ln.Accept()
		require.NoError(t, err)
		write(t, conn, "a1\n")
		host.Eventually(t, "a reading", func() bool { return len(values(host, "v")) == round })
		require.NoError(t, conn.Close())
	}
}

func TestTLS(t *testing.T) {
	certs := peer.NewCerts(t)
	cfg := listen(station(""))
	server := tlsconf.Files{CA: certs.CA, Cert: certs.ServerCert, Key: certs.ServerKey}
	cfg.TLS = func() (*tls.Config, error) { return server.Server(nil) }
	c, host := start(t, cfg)

	client := cfg
	client.Dial = true
	client.Devices = nil
	_, port, _ := net.SplitHostPort(c.Addr())
	client.Port, _ = strconv.Atoi(port)
	client.TLS = tlsconf.Files{CA: certs.CA, Cert: certs.ClientCert, Key: certs.ClientKey}.Source(nil)
	conf, err := client.TLS()
	require.NoError(t, err)
	d := tls.Dialer{Config: conf}
	conn, err := d.DialContext(t.Context(), "tcp", c.Addr())
	require.NoError(t, err)
	defer conn.Close()
	write(t, conn, "a1\n")
	host.Eventually(t, "a reading", func() bool { return len(values(host, "v")) == 1 })

	_, other := start(t, client)
	other.Eventually(t, "the connector connects as well", other.IsReady)

	plain := dial(t, "tcp", c.Addr())
	write(t, plain, "a2\n")
	_, err = bufio.NewReader(plain).ReadByte()
	_ = err // an alert, or the end
	assert.Len(t, values(host, "v"), 1, "what is not encrypted is refused")
}

func TestFaultsAreLoggedOnce(t *testing.T) {
	var log lockedBuffer
	host := logHost{connectortest.NewHost(t), slog.New(slog.NewTextHandler(&log, nil))}
	c := socket.New(listen(station("")))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	host.Eventually(t, "it listens", func() bool { return c.Addr() != "" })
	write(t, dial(t, "tcp", c.Addr()), strings.Repeat("ax\n", 50)+"a1\na2\n")
	host.Eventually(t, "all readings", func() bool { return len(values(host.Host, "v")) == 2 })
	cancel()
	<-done
	assert.Equal(t, 1, strings.Count(log.String(), `\"x\" is no int`))
	assert.Equal(t, 1, strings.Count(log.String(), "messages convert again"))
}

type logHost struct {
	*connectortest.Host
	log *slog.Logger
}

func (h logHost) Logger() *slog.Logger { return h.log }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		NoAck: true,
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			t.Helper()
			d := socket.Device{Name: "S", Timeseries: []socket.Datapoint{{Key: "id", Type: "int"}}, RPCs: []socket.RPC{{Method: "tell"}}}
			c := socket.New(listen(d))
			s := &source{c: c, done: make(chan struct{})}
			var wg sync.WaitGroup
			wg.Go(s.run)
			t.Cleanup(func() {
				close(s.done)
				wg.Wait()
			})
			return c, s
		},
		RPC: []connector.RPCRequest{{Device: "S", Method: "tell", Params: json.RawMessage(`"x"`)}},
	})
}

// A source sends all that it has to send on each connection that it gets.
type source struct {
	c    *socket.Connector
	done chan struct{}
	mu   sync.Mutex
	ids  []int64
}

func (s *source) run() {
	for {
		select {
		case <-s.done:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if addr := s.c.Addr(); addr != "" {
			s.session(addr)
		}
	}
}

func (s *source) session(addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	sent := 0
	for {
		s.mu.Lock()
		ids := s.ids[sent:]
		s.mu.Unlock()
		for _, id := range ids {
			_, _ = fmt.Fprintf(conn, "%d\n", id)
		}
		sent += len(ids)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 100)); err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
			return
		}
		select {
		case <-s.done:
			return
		default:
		}
	}
}

func (s *source) Send(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
}

func (s *source) Acked() []int64 { return nil }

// Whatever comes on a socket, there is no panic.
func FuzzConvert(f *testing.F) {
	f.Add([]byte("21.5,x"), uint8(0), "float", 0, -1)
	f.Fuzz(func(t *testing.T, m []byte, code uint8, typ string, from, to int) {
		names := socket.Encodings()
		d := socket.Device{Name: "a", Encoding: names[int(code)%len(names)], Timeseries: []socket.Datapoint{
			{Key: "t", From: from, To: &to, Type: typ}, {Key: "n", From: from, To: &to, Decode: "int"},
		}}
		for _, compatible := range []bool{false, true} {
			_, _ = socket.Convert(socket.New(socket.Config{Devices: []socket.Device{d}, Compatible: compatible}), m)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(`{"socket":{"port":5,"framing":{"length":{"size":2}}},"devices":[{"deviceName":"a","address":"1.*:*","attributeRequests":[{"requestExpression":"[0]==a","attributeNameExpression":"[1:]"}]}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		if cfg, err := socket.Load(doc); err == nil {
			assert.NotNil(t, socket.New(cfg))
		}
	})
}
