package tbclient_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestTLSIsVerified(t *testing.T) {
	certs := peer.NewCerts(t)
	srv := serve(t, tbtest.Config{Token: token, TLS: &tls.Config{Certificates: []tls.Certificate{certs.Server}, MinVersion: tls.VersionTLS12}})
	cfg := config(t, srv)
	cfg.TLS = &tls.Config{RootCAs: certs.Roots, MinVersion: tls.VersionTLS12}
	publish(t, connected(t, cfg, downlink{}), group("d", "k", 1, telemetry.Int(1)))
	t.Run("a TLS configuration encrypts whatever the scheme", func(t *testing.T) {
		cfg.Broker = "tcp://" + srv.Addr()
		publish(t, connected(t, cfg, downlink{}), group("d", "k", 1, telemetry.Int(1)))
	})
	t.Run("an unknown authority is refused", func(t *testing.T) {
		var log logBuffer
		cfg.Broker, cfg.TLS, cfg.Logger = srv.URL(), nil, log.logger()
		before := srv.Stats().Connects
		_, stop := run(t, cfg, downlink{})
		eventually(t, "refused", func() bool { return strings.Contains(log.String(), "certificate") })
		stop()
		require.Equal(t, before, srv.Stats().Connects)
	})
}

// Certificates can be renewed while the client runs, authority and all.
func TestCertificateFilesAreFollowed(t *testing.T) {
	certs := []peer.Certs{peer.NewCerts(t), peer.NewCerts(t)}
	var now atomic.Int32
	srv := serve(t, tbtest.Config{Token: token, TLS: &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := certs[now.Load()]
			return &tls.Config{
				Certificates: []tls.Certificate{c.Server}, MinVersion: tls.VersionTLS12,
				ClientCAs: c.Roots, ClientAuth: tls.RequireAndVerifyClientCert,
			}, nil
		},
	}})
	dir := t.TempDir()
	install := func(c peer.Certs) {
		for name, from := range map[string]string{"ca.pem": c.CA, "cert.pem": c.ClientCert, "key.pem": c.ClientKey} {
			raw, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o600))
		}
	}
	install(certs[0])
	cfg := config(t, srv)
	var log logBuffer
	cfg.Logger = log.logger()
	cfg.TLSFiles = &tbclient.TLSFiles{Dir: dir, CA: "ca.pem", Cert: "cert.pem", Key: "key.pem", WarnDays: 2}
	require.NoError(t, cfg.TLSFiles.Check())
	c := connected(t, cfg, downlink{})
	eventually(t, "the expiry is told", func() bool { return strings.Contains(log.String(), "expire") })
	now.Store(1)
	srv.Cut()
	eventually(t, "the old certificates are refused", func() bool { return strings.Contains(log.String(), "certificate signed by unknown authority") })
	install(certs[1])
	eventually(t, "the new ones are taken", func() bool { return c.Stats().Connected && c.Stats().Connects == 2 })
	publish(t, c, group("d", "k", 1, telemetry.Int(1)))
	cfg.TLSFiles.CA = "absent.pem"
	require.ErrorContains(t, cfg.TLSFiles.Check(), "absent.pem")
}

func TestClientCertificateIsACredential(t *testing.T) {
	certs := peer.NewCerts(t)
	srv := serve(t, tbtest.Config{Token: "unknown to the client", TLS: &tls.Config{
		Certificates: []tls.Certificate{certs.Server}, MinVersion: tls.VersionTLS12,
		ClientCAs: certs.Roots, ClientAuth: tls.VerifyClientCertIfGiven,
	}})
	cfg := config(t, srv)
	cfg.AccessToken = ""
	cfg.TLS = &tls.Config{RootCAs: certs.Roots, Certificates: []tls.Certificate{certs.Client}, MinVersion: tls.VersionTLS12}
	publish(t, connected(t, cfg, downlink{}), group("d", "k", 1, telemetry.Int(1)))
	cfg.TLS = &tls.Config{RootCAs: certs.Roots, MinVersion: tls.VersionTLS12}
	run(t, cfg, downlink{})
	eventually(t, "refused", func() bool { return srv.Stats().Refused > 0 })
}

// A listener reads telemetry from a broker as the platform would.
type listener struct {
	mu   sync.Mutex
	seen map[int64]int
	last int64
	bad  string
}

// listen subscribes through a connection of its own, which it makes again
// whenever it is lost.
func listen(t *testing.T, o mqttx.Options) *listener {
	t.Helper()
	l := &listener{seen: make(map[int64]int)}
	o.ClientID, o.KeepSession = "listener", true
	o.Receive = func(m mqttx.Message) {
		l.take(m.Payload)
		m.Ack()
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	ready := make(chan struct{}, 1)
	wg.Go(func() {
		for {
			c, err := mqttx.Dial(t.Context(), o)
			if err == nil {
				_ = c.Subscribe(t.Context(), mqttx.Subscription{Filter: tbclient.TopicTelemetry, QoS: 1})
				select {
				case ready <- struct{}{}:
				default:
				}
				select {
				case <-c.Done():
				case <-stop:
				}
				c.Close()
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
	<-ready
	return l
}

func (l *listener) take(payload []byte) {
	var m map[string][]struct {
		TS     int64
		Values map[string]int64
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.Unmarshal(payload, &m); err != nil {
		l.bad = err.Error()
		return
	}
	for _, e := range m["d"] {
		if l.seen[e.TS]++; l.seen[e.TS] > 1 {
			continue
		}
		if e.TS < l.last {
			l.bad = fmt.Sprintf("%d after %d", e.TS, l.last)
		}
		l.last = e.TS
	}
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

func readings(n int) [][]telemetry.Group {
	out := make([][]telemetry.Group, n)
	for i := range out {
		out[i] = []telemetry.Group{group("d", "v", int64(i+1), telemetry.Int(int64(i+1)))}
	}
	return out
}

func peerConfig(version int, broker string) tbclient.Config {
	return tbclient.Config{
		Broker: broker, Version: version, ShortestBackoff: 5 * time.Millisecond, LongestBackoff: 50 * time.Millisecond,
		Timeout: 2 * time.Second, WriteTimeout: time.Second, KeepAlive: time.Second, Logger: (&logBuffer{}).logger(),
	}
}

func TestPeerMosquittoTakesTelemetry(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		b := peer.Mosquitto{User: "gw", Password: "secret"}.Start(t)
		l := listen(t, mqttx.Options{Broker: b.Addr(), Username: "gw", Password: "secret"})
		cfg := peerConfig(version, "tcp://"+b.Addr())
		cfg.Username, cfg.Password = "gw", "secret"
		c := connected(t, cfg, downlink{})
		require.NoError(t, feed(within(t, patience), c, readings(500)))
		eventually(t, "all arrived", func() bool { return l.count() == 500 })
		require.Empty(t, l.bad)
		eventually(t, "all acknowledged", func() bool { return c.Stats().Acks == 500 })
	})
}

func TestPeerMosquittoRestarted(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		b := peer.Mosquitto{}.Start(t)
		c := connected(t, peerConfig(version, "tcp://"+b.Addr()), downlink{})
		fed := make(chan error, 1)
		ctx := within(t, 3*patience)
		go func() { fed <- feed(ctx, c, readings(20_000)) }()
		for range 2 {
			before := c.Stats().Acks
			eventually(t, "under way", func() bool { return c.Stats().Acks > before+100 || len(fed) > 0 })
			b.Kill()
			eventually(t, "noticed", func() bool { return !c.Stats().Connected })
			b.Restart()
		}
		require.NoError(t, <-fed)
		require.GreaterOrEqual(t, c.Stats().Connects, uint64(3))
		eventually(t, "all counted", func() bool { return c.Stats().Acks+c.Stats().Failed >= 20_000 })
		s := c.Stats()
		require.LessOrEqual(t, s.Failed, 100*s.Connects, "no more than the window for each loss")
	})
}

func TestPeerMosquittoFrozenIsNoticedAndDataSentAgain(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		b := peer.Mosquitto{}.Start(t)
		l := listen(t, mqttx.Options{Broker: b.Addr(), KeepAlive: time.Minute})
		c := connected(t, peerConfig(version, "tcp://"+b.Addr()), downlink{})
		fed := make(chan error, 1)
		ctx := within(t, 3*patience)
		go func() { fed <- feed(ctx, c, readings(5000)) }()
		eventually(t, "under way", func() bool { return c.Stats().Acks > 100 })
		b.Freeze(true)
		began := time.Now()
		eventually(t, "noticed", func() bool { return !c.Stats().Connected })
		noticed := time.Since(began)
		b.Freeze(false)
		require.NoError(t, <-fed)
		eventually(t, "all arrived", func() bool { return l.count() == 5000 })
		require.Less(t, noticed, 10*time.Second, "two seconds without an acknowledgement")
		require.Empty(t, l.bad)
	})
}

func TestPeerMosquittoMutualTLS(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		certs := peer.NewCerts(t)
		b := peer.Mosquitto{Certs: &certs}.Start(t)
		cfg := peerConfig(version, "tls://"+b.Addr())
		cfg.TLS = &tls.Config{RootCAs: certs.Roots, Certificates: []tls.Certificate{certs.Client}, MinVersion: tls.VersionTLS12}
		c := connected(t, cfg, downlink{})
		require.NoError(t, feed(within(t, patience), c, readings(100)))
	})
}

func TestPeerMosquittoWebsocket(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		b := peer.Mosquitto{Websocket: true}.Start(t)
		c := connected(t, peerConfig(version, "ws://"+b.Addr()+"/mqtt"), downlink{})
		require.NoError(t, feed(within(t, patience), c, readings(100)))
	})
}
