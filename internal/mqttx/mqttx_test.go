package mqttx_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

const patience = 20 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eachVersion runs a test for the two versions of MQTT.
func eachVersion(t *testing.T, test func(t *testing.T, version byte)) {
	t.Helper()
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprintf("version=%d", version), func(t *testing.T) { test(t, version) })
	}
}

// connect connects, and closes the connection when the test ends.
func connect(t *testing.T, o mqttx.Options) *mqttx.Conn {
	t.Helper()
	c, err := mqttx.Dial(within(t, patience), o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// ends waits until the connection has ended and returns why.
func ends(t *testing.T, c *mqttx.Conn) error {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the end of the connection was not noticed")
	}
	return c.Err()
}

// roundTrip publishes messages to a subscription of the same connection and
// expects them in order.
func roundTrip(t *testing.T, o mqttx.Options) *mqttx.Conn {
	t.Helper()
	const n = 200
	got := make(chan mqttx.Message, n)
	o.Receive = func(m mqttx.Message) {
		m.Ack()
		got <- m
	}
	ctx := within(t, patience)
	c := connect(t, o)
	require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "a/#", QoS: 1}))
	var last mqttx.Publication
	for i := range n {
		last = c.Publish(fmt.Sprintf("a/%d", i), 1, false, []byte{byte(i)})
	}
	require.NoError(t, last.Wait(ctx))
	for i := range n {
		select {
		case m := <-got:
			require.Equal(t, fmt.Sprintf("a/%d", i), m.Topic)
			require.Equal(t, byte(1), m.QoS)
			require.Equal(t, []byte{byte(i)}, m.Payload)
		case <-ctx.Done():
			t.Fatalf("message %d did not arrive", i)
		}
	}
	return c
}

func TestPeerMosquittoRoundTrip(t *testing.T) {
	eachVersion(t, testPeerMosquittoRoundTrip)
}

func testPeerMosquittoRoundTrip(t *testing.T, version byte) {
	b := peer.Mosquitto{}.Start(t)
	c := roundTrip(t, mqttx.Options{Version: version, Broker: b.Addr()})
	require.NoError(t, c.Err())
	require.NoError(t, c.Unsubscribe(within(t, patience), "a/#"))
	c.Close()
	require.ErrorIs(t, c.Err(), mqttx.ErrClosed)
	require.ErrorIs(t, c.Publish("x", 1, false, nil).Wait(t.Context()), mqttx.ErrClosed)
}

func TestPeerMosquittoWebsocket(t *testing.T) {
	eachVersion(t, testPeerMosquittoWebsocket)
}

func testPeerMosquittoWebsocket(t *testing.T, version byte) {
	b := peer.Mosquitto{Websocket: true}.Start(t)
	roundTrip(t, mqttx.Options{Version: version, Broker: "ws://" + b.Addr() + "/mqtt"})
}

func TestPeerMosquittoMutualTLS(t *testing.T) {
	eachVersion(t, testPeerMosquittoMutualTLS)
}

func testPeerMosquittoMutualTLS(t *testing.T, version byte) {
	certs := peer.NewCerts(t)
	b := peer.Mosquitto{Certs: &certs}.Start(t)
	both := &tls.Config{RootCAs: certs.Roots, Certificates: []tls.Certificate{certs.Client}, MinVersion: tls.VersionTLS12}
	roundTrip(t, mqttx.Options{Version: version, Broker: "tls://" + b.Addr(), TLS: both})
	t.Run("TLS is not given up for the scheme tcp", func(t *testing.T) {
		roundTrip(t, mqttx.Options{Version: version, Broker: "tcp://" + b.Addr(), TLS: both})
	})
	for name, cfg := range map[string]*tls.Config{
		"no client certificate": {RootCAs: certs.Roots, MinVersion: tls.VersionTLS12},
		"unknown authority":     {Certificates: []tls.Certificate{certs.Client}, MinVersion: tls.VersionTLS12},
		"system's roots":        nil,
		"wrong name":            {RootCAs: certs.Roots, ServerName: "other", MinVersion: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := mqttx.Dial(within(t, patience), mqttx.Options{Version: version, Broker: "tls://" + b.Addr(), TLS: cfg})
			if err == nil {
				c.Close()
			}
			require.Error(t, err)
		})
	}
}

// TestPeerMosquittoRenewedCertificate guards that a connection uses the
// certificate that is in the files when it is made.
func TestPeerMosquittoRenewedCertificate(t *testing.T) {
	certs, others := peer.NewCerts(t), peer.NewCerts(t)
	b := peer.Mosquitto{Certs: &certs}.Start(t)
	dir := t.TempDir()
	install := func(certFile, keyFile string) {
		for to, from := range map[string]string{"own.crt": certFile, "own.key": keyFile} {
			data, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, to), data, 0o600))
		}
	}
	files := tlsconf.Files{Dir: dir, CA: certs.CA, Cert: "own.crt", Key: "own.key"}
	eachVersion(t, func(t *testing.T, version byte) {
		install(certs.ClientCert, certs.ClientKey)
		o := mqttx.Options{Version: version, Broker: b.Addr(), TLSSource: files.Source(nil)}
		roundTrip(t, o)
		install(others.ClientCert, others.ClientKey)
		_, err := mqttx.Dial(within(t, patience), o)
		require.Error(t, err, "of another authority")
		install(certs.ClientCert, certs.ClientKey)
		roundTrip(t, o)
	})
}

func TestPeerMosquittoRefusesCredentials(t *testing.T) {
	eachVersion(t, testPeerMosquittoRefusesCredentials)
}

func testPeerMosquittoRefusesCredentials(t *testing.T, version byte) {
	b := peer.Mosquitto{User: "gw", Password: "right"}.Start(t)
	roundTrip(t, mqttx.Options{Version: version, Broker: "tcp://" + b.Addr(), Username: "gw", Password: "right"})
	roundTrip(t, mqttx.Options{Version: version, Broker: "tcp://gw:right@" + b.Addr()})
	ws := peer.Mosquitto{Websocket: true, User: "gw", Password: "right"}.Start(t)
	roundTrip(t, mqttx.Options{Version: version, Broker: "ws://gw:right@" + ws.Addr() + "/mqtt"})
	_, err := mqttx.Dial(within(t, patience), mqttx.Options{Version: version, Broker: "tcp://" + b.Addr(), Username: "gw", Password: "wrong-secret"})
	require.True(t, mqttx.IsRefused(err), "%v", err)
	require.NotContains(t, err.Error(), "wrong-secret")
	b.Kill()
	_, err = mqttx.Dial(within(t, patience), mqttx.Options{Version: version, Broker: "tcp://gw:wrong-secret@" + b.Addr()})
	require.Error(t, err)
	require.False(t, mqttx.IsRefused(err), "%v", err)
	require.NotContains(t, err.Error(), "wrong-secret")
}

func TestPeerMosquittoKilled(t *testing.T) {
	eachVersion(t, testPeerMosquittoKilled)
}

func testPeerMosquittoKilled(t *testing.T, version byte) {
	b := peer.Mosquitto{}.Start(t)
	c := roundTrip(t, mqttx.Options{Version: version, Broker: b.Addr()})
	b.Kill()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the loss was not noticed")
	}
	began := time.Now()
	require.Error(t, c.Publish("x", 1, false, nil).Wait(within(t, patience)))
	require.Less(t, time.Since(began), time.Second)
}

func TestPeerMosquittoFrozen(t *testing.T) {
	eachVersion(t, testPeerMosquittoFrozen)
}

func testPeerMosquittoFrozen(t *testing.T, version byte) {
	const writeTimeout = time.Second
	b := peer.Mosquitto{}.Start(t)
	for _, what := range []string{"while publishing", "while idle"} {
		t.Run(what, func(t *testing.T) {
			o := mqttx.Options{Version: version, Broker: b.Addr(), WriteTimeout: writeTimeout, KeepAlive: time.Second}
			if what == "while publishing" {
				o.KeepAlive = time.Hour
			}
			c := roundTrip(t, o)
			b.Freeze(true)
			defer b.Freeze(false)
			began := time.Now()
			if what == "while publishing" {
				payload := make([]byte, 1<<20)
				for c.Err() == nil && time.Since(began) < patience {
					c.Publish("x", 1, false, payload)
				}
				require.Less(t, time.Since(began), 3*writeTimeout+time.Second)
			}
			select {
			case <-c.Done():
			case <-time.After(patience):
				t.Fatal("the broker's silence was not noticed")
			}
		})
	}
}

// TestPeerMosquittoLossIsNoticedWhileReceiveBlocks guards that a receiver that
// blocks does not hide the end of the connection for longer than a ping.
func TestPeerMosquittoLossIsNoticedWhileReceiveBlocks(t *testing.T) {
	eachVersion(t, testPeerMosquittoLossIsNoticedWhileReceiveBlocks)
}

func testPeerMosquittoLossIsNoticedWhileReceiveBlocks(t *testing.T, version byte) {
	b := peer.Mosquitto{}.Start(t)
	release := make(chan struct{})
	entered := make(chan struct{}, 100)
	ctx := within(t, patience)
	c, err := mqttx.Dial(ctx, mqttx.Options{Version: version, Broker: b.Addr(), KeepAlive: time.Second, Receive: func(mqttx.Message) {
		entered <- struct{}{}
		<-release
	}})
	require.NoError(t, err)
	defer c.Close()
	defer close(release)
	require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "a", QoS: 0}))
	for range 10 {
		c.Publish("a", 0, false, []byte("x"))
	}
	<-entered
	b.Kill()
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("the loss was not noticed")
	}
}

// TestPeerMosquittoKeepsTheSession guards that what was not acknowledged comes
// again on the next connection of a session that is kept.
func TestPeerMosquittoKeepsTheSession(t *testing.T) {
	eachVersion(t, testPeerMosquittoKeepsTheSession)
}

func testPeerMosquittoKeepsTheSession(t *testing.T, version byte) {
	b := peer.Mosquitto{}.Start(t)
	ctx := within(t, patience)
	got := make(chan mqttx.Message, 10)
	o := mqttx.Options{Version: version, Broker: b.Addr(), ClientID: "keeper", KeepSession: true, Receive: func(m mqttx.Message) { got <- m }}
	first, err := mqttx.Dial(ctx, o)
	require.NoError(t, err)
	require.NoError(t, first.Subscribe(ctx, mqttx.Subscription{Filter: "k", QoS: 1}))
	require.NoError(t, first.Publish("k", 1, false, []byte("1")).Wait(ctx))
	<-got // and not acknowledged
	first.Close()
	second, err := mqttx.Dial(ctx, o)
	require.NoError(t, err)
	defer second.Close()
	select {
	case m := <-got:
		require.Equal(t, "1", string(m.Payload))
		m.Ack()
	case <-ctx.Done():
		t.Fatal("it was not delivered again")
	}
}

func TestFailEndsWhatIsUnderWay(t *testing.T) {
	eachVersion(t, testFailEndsWhatIsUnderWay)
}

func testFailEndsWhatIsUnderWay(t *testing.T, version byte) {
	ln := listen(t)
	go func() { // a broker that accepts and then says nothing
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1000))
		_, _ = conn.Write([]byte{0x20, 2, 0, 0})
	}()
	c, err := mqttx.Dial(within(t, patience), mqttx.Options{Version: version, Broker: ln.Addr().String()})
	require.NoError(t, err)
	defer c.Close()
	p := c.Publish("x", 1, false, nil)
	c.Fail(fmt.Errorf("reason %d", 7))
	require.ErrorContains(t, p.Wait(within(t, patience)), "reason 7")
}

func TestDialEndsWithItsContext(t *testing.T) {
	eachVersion(t, testDialEndsWithItsContext)
}

func testDialEndsWithItsContext(t *testing.T, version byte) {
	for _, scheme := range []string{"tcp", "tls", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			ln := listen(t) // that never answers
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := mqttx.Dial(ctx, mqttx.Options{Version: version, Broker: scheme + "://" + ln.Addr().String(), ConnectTimeout: 8 * time.Second})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, time.Since(began), 4*time.Second)
		})
	}
}

func TestAddressesThatMakeNoSense(t *testing.T) {
	for _, broker := range []string{"", "ftp://h:1", "tcp://", "tcp://h:port", "http://%zz", "tcp://user:secret@h:x"} {
		_, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: broker})
		require.Error(t, err, broker)
		require.NotContains(t, err.Error(), "secret")
	}
}

// TestPublicationsFromManyGoroutines guards that each caller waits for its own
// message.
func TestPeerMosquittoManyPublishers(t *testing.T) {
	eachVersion(t, testPeerMosquittoManyPublishers)
}

func testPeerMosquittoManyPublishers(t *testing.T, version byte) {
	b := peer.Mosquitto{}.Start(t)
	ctx := within(t, patience)
	var mu sync.Mutex
	got := make(map[string]int)
	c, err := mqttx.Dial(ctx, mqttx.Options{Version: version, Broker: b.Addr(), Receive: func(m mqttx.Message) {
		m.Ack()
		mu.Lock()
		defer mu.Unlock()
		got[string(m.Payload)]++
	}})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "m", QoS: 1}))
	var publishers sync.WaitGroup
	for i := range 8 {
		publishers.Go(func() {
			for k := range 50 {
				if err := c.Publish("m", 1, false, fmt.Appendf(nil, "%d-%d", i, k)).Wait(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishers.Wait()
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 400 }, patience, 5*time.Millisecond)
}

func TestSubscribeOptionsNeedVersion5(t *testing.T) {
	stay := func(c *net.TCPConn) { t.Cleanup(func() { _ = c.Close() }) }
	c := connect(t, mqttx.Options{Broker: answer(t, accepted(4), stay)})
	err := c.SubscribeWith(within(t, patience), mqttx.SubscribeOptions{NoLocal: true}, mqttx.Subscription{Filter: "a"})
	require.ErrorContains(t, err, "3.1.1")
	require.Equal(t, mqttx.ServerLimits{MaximumQoS: 2}, c.Server())
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}
