package mqttx_test

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

// answer makes a broker that answers the first packet with data and then leaves
// the connection to do.
func answer(t *testing.T, data []byte, do func(*net.TCPConn)) (addr string) {
	t.Helper()
	ln := listen(t)
	over := make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-over })
	go func() {
		defer close(over)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1000))
		_, _ = conn.Write(data)
		if tcp, ok := conn.(*net.TCPConn); ok && do != nil {
			do(tcp)
		}
	}()
	return ln.Addr().String()
}

// accepted is a CONNACK packet of a version.
func accepted(version byte) []byte {
	if version == 5 {
		return []byte{0x20, 3, 0, 0, 0}
	}
	return []byte{0x20, 2, 0, 0}
}

// TestWhoEndedTheConnection guards the difference between an end that the other
// side wanted and one that this side decided on.
func TestWhoEndedTheConnection(t *testing.T) {
	eachVersion(t, func(t *testing.T, version byte) {
		remote := map[string]func(*net.TCPConn){
			"closed": func(c *net.TCPConn) { _ = c.Close() },
			"reset":  func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
			"closed within a packet": func(c *net.TCPConn) {
				_, _ = c.Write([]byte{0x30, 10, 0})
				_ = c.Close()
			},
		}
		for name, do := range remote {
			t.Run(name, func(t *testing.T) {
				c := connect(t, mqttx.Options{Version: version, Broker: answer(t, accepted(version), do)})
				err := ends(t, c)
				require.True(t, mqttx.IsRemoteClose(err), "%v", err)
			})
		}
		local := map[string]func(*mqttx.Conn){
			"Close":               (*mqttx.Conn).Close,
			"Fail":                func(c *mqttx.Conn) { c.Fail(errors.New("of the owner")) },
			"no answer to a ping": func(*mqttx.Conn) {},
		}
		for name, do := range local {
			t.Run(name, func(t *testing.T) {
				stay := func(c *net.TCPConn) { t.Cleanup(func() { _ = c.Close() }) }
				c := connect(t, mqttx.Options{Version: version, Broker: answer(t, accepted(version), stay), KeepAlive: time.Second})
				do(c)
				err := ends(t, c)
				require.False(t, mqttx.IsRemoteClose(err), "%v", err)
			})
		}
		t.Run("not MQTT", func(t *testing.T) {
			garbage := append(accepted(version), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
			c := connect(t, mqttx.Options{Version: version, Broker: answer(t, garbage, nil)})
			err := ends(t, c)
			require.False(t, mqttx.IsRemoteClose(err), "%v", err)
		})
	})
}

func TestServerDisconnectIsTheReason(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(nil))
	p := c.Publish("t", 1, false, nil)
	b.send(&packets.Disconnect{ReasonCode: 0x98, Properties: &packets.Properties{ReasonString: "maintenance"}})
	err := ends(t, c)
	require.EqualValues(t, 0x98, reasonOf(t, err))
	require.EqualError(t, err, "mqtt: the broker ended the connection: administrative action (0x98): maintenance")
	require.True(t, mqttx.IsRemoteClose(err))
	require.Equal(t, err, p.Wait(within(t, patience)))

	c, b, _ = dial5(t, mqttx.Options{}, welcome(nil))
	b.raw(0xe0, 0) // without a code
	require.EqualValues(t, 0, reasonOf(t, ends(t, c)))
}

func TestRefusalsAreToldFromBrokersThatAreBusy(t *testing.T) {
	refusals := map[byte]bool{
		0x80: false, 0x84: false, 0x85: true, 0x86: true, 0x87: true, 0x88: false, 0x89: false, 0x8C: true, 0x97: false, 0x9F: false,
	}
	for code, want := range refusals {
		connack := &packets.Connack{ReasonCode: code, Properties: &packets.Properties{ReasonString: "because"}}
		_, err := mqttx.Dial(within(t, patience), mqttx.Options{Version: 5, Broker: answer(t, encode(t, connack), nil)})
		require.Equal(t, want, mqttx.IsRefused(err), "%v", err)
		require.Equal(t, code, reasonOf(t, err))
		require.ErrorContains(t, err, "because")
		require.False(t, mqttx.IsRemoteClose(err))
	}
	_, err := mqttx.Dial(within(t, patience), mqttx.Options{Version: 5, Broker: answer(t, []byte{0x20, 2, 0, 1}, nil)})
	require.ErrorContains(t, err, "unsupported protocol version", "of a broker that knows 3.1.1 only")
}

func TestWhatIsNoAnswerToConnect(t *testing.T) {
	closed := func(c *net.TCPConn) { _ = c.Close() }
	for want, data := range map[string][]byte{
		"in place of CONNACK":  {0xd0, 0},
		"malformed packet":     {0x20, 0xff, 0xff, 0xff, 0xff, 1},
		"packet too large":     []byte("HTTP/1.1 400 Bad Request\r\n"),
		"closed by the broker": {},
	} {
		_, err := mqttx.Dial(within(t, patience), mqttx.Options{
			Version: 5, Broker: answer(t, data, closed), MaximumPacketSize: 50,
		})
		require.ErrorContains(t, err, want)
	}
}

// TestViolationsEndTheConnection guards that a broker is told what it did wrong,
// and that what it sent does no harm.
func TestViolationsEndTheConnection(t *testing.T) {
	message := func(id byte) []byte { return []byte{0x32, 6, 0, 1, 't', 0, id, 0} }
	for name, v := range map[string]struct {
		data []byte
		code byte
	}{
		"second CONNACK":       {[]byte{0x20, 3, 0, 0, 0}, 0x82},
		"CONNECT":              {[]byte{0x10, 0}, 0x82},
		"AUTH":                 {[]byte{0xf0, 0}, 0x82},
		"length of five bytes": {[]byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}, 0x81},
		"too large":            {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 0x95},
		"no topic":             {[]byte{0x30, 3, 0, 0, 0}, 0x82},
		"truncated topic":      {[]byte{0x30, 3, 0, 9, 'a'}, 0x81},
		"QoS 3":                {[]byte{0x36, 6, 0, 1, 't', 0, 1, 0}, 0x81},
		"identifier zero":      {message(0), 0x82},
		"property overruns":    {[]byte{0x30, 5, 0, 1, 't', 9, 1}, 0x81},
		"unknown property":     {[]byte{0x30, 6, 0, 1, 't', 2, 0x7f, 0}, 0x81},
		"topic alias":          {[]byte{0x30, 7, 0, 1, 't', 3, 0x23, 0, 1}, 0x94},
		"truncated PUBACK":     {[]byte{0x40, 1, 0}, 0x81},
		"more than it may":     {append(append(message(1), message(2)...), message(3)...), 0x93},
	} {
		t.Run(name, func(t *testing.T) {
			c, b, _ := dial5(t, mqttx.Options{ReceiveMaximum: 2, Receive: func(mqttx.Message) {}}, welcome(nil))
			b.raw(v.data...)
			require.ErrorContains(t, ends(t, c), "violates the protocol")
			bye, ok := b.next().(*packets.Disconnect)
			require.True(t, ok)
			require.Equal(t, v.code, bye.ReasonCode)
		})
	}
}

// TestUnexpectedAnswersAreIgnored guards that answers that nobody waits for cost
// nothing.
func TestUnexpectedAnswersAreIgnored(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(nil))
	b.raw(0x40, 2, 0, 9)       // PUBACK
	b.raw(0x70, 2, 0, 9)       // PUBCOMP
	b.raw(0x90, 4, 0, 9, 0, 0) // SUBACK
	b.raw(0xb0, 4, 0, 9, 0, 0) // UNSUBACK
	p := c.Publish("t", 1, false, nil)
	b.puback(b.publication().PacketID)
	require.NoError(t, p.Wait(within(t, patience)))
}

// TestConnectTimeoutCoversTheHandshake guards against a broker, or what is at its
// address, that accepts connections and says nothing.
func TestConnectTimeoutCoversTheHandshake(t *testing.T) {
	eachVersion(t, func(t *testing.T, version byte) {
		for _, scheme := range []string{"tcp", "tls", "ws", "wss"} {
			_, err := mqttx.Dial(within(t, patience), mqttx.Options{
				Version: version, Broker: scheme + "://" + listen(t).Addr().String(), ConnectTimeout: 50 * time.Millisecond,
			})
			require.ErrorContains(t, err, "not established within 50ms", scheme)
		}
	})
}

// TestNothingRunsAfterClose guards that closing ends all goroutines.
func TestNothingRunsAfterClose(t *testing.T) {
	eachVersion(t, func(t *testing.T, version byte) {
		before := runtime.NumGoroutine()
		for range 20 {
			stay := func(c *net.TCPConn) { t.Cleanup(func() { _ = c.Close() }) }
			c, err := mqttx.Dial(within(t, patience), mqttx.Options{Version: version, Broker: answer(t, accepted(version), stay)})
			require.NoError(t, err)
			c.Publish("t", 1, false, nil)
			c.Close()
		}
		require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+3 }, patience, 10*time.Millisecond,
			"%d goroutines before", before)
	})
}

// TestCloseDoesNotWaitForABrokerThatHangs guards the bound of Close while the
// connection cannot be written to.
func TestCloseDoesNotWaitForABrokerThatHangs(t *testing.T) {
	eachVersion(t, func(t *testing.T, version byte) {
		stay := func(c *net.TCPConn) { t.Cleanup(func() { _ = c.Close() }) }
		c := connect(t, mqttx.Options{
			Version: version, Broker: answer(t, accepted(version), stay), WriteTimeout: time.Minute, KeepAlive: time.Hour,
		})
		published := make(chan struct{})
		go func() {
			defer close(published)
			for c.Err() == nil {
				c.Publish("t", 0, false, make([]byte, 1<<20))
			}
		}()
		time.Sleep(100 * time.Millisecond) // most likely it blocks by now; if not, the test is easier
		closed := make(chan struct{})
		go func() { defer close(closed); c.Close() }()
		for _, ch := range []chan struct{}{closed, published} {
			select {
			case <-ch:
			case <-time.After(patience):
				t.Fatal("it waits for the broker")
			}
		}
	})
}

func TestTLSSourceIsAskedForEachConnection(t *testing.T) {
	asked := 0
	o := mqttx.Options{Broker: "tcp://" + listen(t).Addr().String(), ConnectTimeout: 50 * time.Millisecond}
	o.TLSSource = func() (*tls.Config, error) {
		asked++
		return nil, errors.New("no certificate today")
	}
	for range 2 {
		_, err := mqttx.Dial(t.Context(), o)
		require.ErrorContains(t, err, "no certificate today")
	}
	require.Equal(t, 2, asked)
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for want, o := range map[string]mqttx.Options{
		"version 3":   {Version: 3},
		"longer than": {Version: 5, Username: string(make([]byte, 1<<16))},
	} {
		o.Broker = listen(t).Addr().String()
		_, err := mqttx.Dial(within(t, patience), o)
		require.ErrorContains(t, err, want)
	}
}
