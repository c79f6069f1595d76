package opcua_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// fresh sets a value and waits until it came, which it does once the connector is
// connected.
func fresh(tb testing.TB, s *fakeServer, h *host, n int) time.Duration {
	tb.Helper()
	start := time.Now()
	s.set("ns=2;s=v0", int32(n))
	until(tb, long, "the value came", func() bool { return h.last("D", "k0") == telemetry.Int(int64(n)) })
	took := time.Since(start)
	until(tb, long, "the connector is ready", h.IsReady)
	return took
}

func TestALostConnectionIsBuiltAnew(t *testing.T) {
	for name, lose := range map[string]func(s *fakeServer){
		"server restarted": func(s *fakeServer) { s.restart() },
		"connection cut":   func(s *fakeServer) { s.cut() },
		"link half open": func(s *fakeServer) {
			// What comes on the old connection is lost; a new one works.
			s.with(func() { s.mute = true })
			sessions := s.requests("CreateSessionRequest")
			s.with(func() {
				s.hook = func(req ua.Request) bool {
					if _, ok := req.(*ua.CreateSessionRequest); ok {
						s.with(func() { s.mute = false })
					}
					return false
				}
			})
			until(s.tb, long, "a new session", func() bool { return s.requests("CreateSessionRequest") > sessions })
		},
		"refused for a while": func(s *fakeServer) {
			s.close()
			time.Sleep(1500 * time.Millisecond)
			s.listen(s.addr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFake(t)
			c := opcua.New(plain(s, 3))
			h, _ := run(t, c)
			fresh(t, s, h, 100)
			lose(s)
			took := fresh(t, s, h, 101)
			t.Logf("recovered within %v", took.Round(time.Millisecond))
			until(t, long, "the connection is counted", func() bool { return c.Stats().Reconnects == 1 })
			require.Equal(t, 1, h.log.count("connection is lost"))
			require.Equal(t, 1, h.log.count("server is reachable"))
			require.Len(t, h.Online(), 1, "a short outage is none of the platform's business")
		})
	}
}

func TestTenRestartsUnderSubscriptionLeaveNothingStuck(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 200)
	cfg.Reconnect, cfg.ReconnectMax = 50*time.Millisecond, 200*time.Millisecond
	c := opcua.New(cfg)
	h, _ := run(t, c)
	fresh(t, s, h, 1000)
	for i := range 10 {
		s.restart()
		fresh(t, s, h, 1001+i)
		until(t, long, "the connection is counted", func() bool { return c.Stats().Reconnects == int64(i+1) })
	}
	until(t, long, "all values came each time", func() bool { return len(h.series("D", "k199")) == 11 })
}

func TestASilentSubscriptionIsBuiltAnew(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 3)
	cfg.Silence = 300 * time.Millisecond
	h, _ := run(t, opcua.New(cfg))
	fresh(t, s, h, 100)
	s.with(func() { s.quiet = true })
	subs := s.requests("CreateSubscriptionRequest")
	until(t, long, "a new subscription", func() bool { return s.requests("CreateSubscriptionRequest") > subs })
	s.with(func() { s.quiet = false })
	fresh(t, s, h, 101)
	require.Positive(t, h.log.count("the subscription is silent"))
}

func TestAnUnreachableServerIsReportedOnceAndItsDevicesGoOffline(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 12 s")
	}
	s := newFake(t)
	c := opcua.New(plain(s, 3))
	h, _ := run(t, c)
	fresh(t, s, h, 100)
	s.close()
	until(t, long, "the device is offline", func() bool { return len(h.Online()) == 0 })
	require.False(t, c.Health().OK)
	require.Equal(t, 1, h.log.count("level=WARN"), "more than one warning")
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "get", Params: []byte(`"k0"`)})
	require.ErrorContains(t, err, s.url())
	s.listen(s.addr)
	fresh(t, s, h, 101)
	require.Len(t, h.Online(), 1)
}

func TestAServerThatEndsEachConnectionAtOnceIsLeftAlone(t *testing.T) {
	s := newFake(t)
	s.refuse["PublishRequest"] = ua.StatusBadSessionIDInvalid
	cfg := plain(s, 3)
	cfg.Reconnect = time.Second
	start := time.Now()
	run(t, opcua.New(cfg))
	until(t, long, "a second session", func() bool { return s.requests("CreateSessionRequest") >= 2 })
	require.GreaterOrEqual(t, time.Since(start), 800*time.Millisecond, "the server is attacked")
}

func TestMessagesThatAreMissingAreAskedForAgain(t *testing.T) {
	s := newFake(t)
	c := opcua.New(plain(s, 3))
	h, _ := run(t, c)
	fresh(t, s, h, 100)
	s.with(func() { s.drop = 2 })
	before := len(h.series("D", "k0"))
	for i := 101; i < 110; i++ {
		s.set("ns=2;s=v0", int32(i))
	}
	until(t, long, "all values", func() bool { return len(h.series("D", "k0")) == before+9 })
	for i, r := range h.series("D", "k0")[before:] {
		require.EqualValues(t, 101+i, r.Value.Int(), "values are out of order")
	}
	require.Equal(t, 2, s.requests("RepublishRequest"))
	require.Zero(t, c.Stats().Lost)
}

func TestMessagesThatAreLostAreCountedAndCostNothingElse(t *testing.T) {
	s := newFake(t)
	s.refuse["RepublishRequest"] = ua.StatusBadMessageNotAvailable
	c := opcua.New(plain(s, 3))
	h, _ := run(t, c)
	fresh(t, s, h, 100)
	s.with(func() { s.drop = 1 })
	for i := 101; i < 110; i++ {
		s.set("ns=2;s=v0", int32(i))
	}
	until(t, long, "the other values", func() bool { return h.last("D", "k0") == telemetry.Int(109) })
	until(t, long, "the loss is counted", func() bool { return c.Stats().Lost == 1 })
	require.Equal(t, 1, h.log.count("a message of the server is lost"))
}

func TestASlowStoreHoldsTheServerBackAndLosesNothing(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 1)
	c := opcua.New(cfg)
	h, _ := run(t, c)
	fresh(t, s, h, 0)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before the connector is stopped
	h.Fail(func() error { <-gate; return nil }, nil)
	n := 0
	until(t, long, "the connector waits", func() bool {
		n++
		s.set("ns=2;s=v0", int32(n))
		return c.Stats().Stalls > 0
	})
	asked := s.requests("PublishRequest")
	for range 100 {
		n++
		s.set("ns=2;s=v0", int32(n))
	}
	time.Sleep(100 * time.Millisecond)
	require.LessOrEqual(t, s.requests("PublishRequest"), asked+2, "messages are taken although nobody stores them")
	require.LessOrEqual(t, c.Stats().Backlog, int64(8))
	open()
	until(t, long, "all values", func() bool { return h.last("D", "k0") == telemetry.Int(int64(n)) })
	values := slices.DeleteFunc(h.series("D", "k0"), func(r connectortest.Reading) bool { return r.Value.Int() == 0 })
	require.Len(t, values, n)
	for i, r := range values {
		require.EqualValues(t, i+1, r.Value.Int())
	}
	until(t, long, "the waiting is measured", func() bool { return c.Stats().Stalled > 50*time.Millisecond })
	require.Zero(t, c.Stats().Reconnects)
}

func TestAServerWithFewPublishRequestsGetsFew(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 3)
	waiting := 0
	s.hook = func(req ua.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.refuse, "PublishRequest")
		if _, ok := req.(*ua.PublishRequest); ok {
			for _, sub := range s.subs {
				waiting = len(sub.waiting)
			}
			if waiting > 0 {
				s.refuse["PublishRequest"] = ua.StatusBadTooManyPublishRequests
			}
		}
		return false
	}
	c := opcua.New(cfg)
	h, _ := run(t, c)
	for i := range 20 {
		fresh(t, s, h, 100+i)
	}
	require.Zero(t, c.Stats().Reconnects)
}

func TestAWeakerChannelIsNeverTaken(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 1)
	cfg.Security = opcua.Security{Policy: "Basic256Sha256", Dir: t.TempDir()}
	h, stop := run(t, opcua.New(cfg))
	until(t, long, "the reason", func() bool {
		return h.log.count("the server does not offer Basic256Sha256 with SignAndEncrypt; it offers None with None") == 1
	})
	stop()
	require.Empty(t, h.Readings(false))
	require.Zero(t, s.requests("CreateSessionRequest"))
}

func TestOneMillionRequestsAreNotNeededForAThousandDevices(t *testing.T) {
	s := newFake(t)
	const n = 1000
	for i := range n {
		d := s.add(s.objects, fmt.Sprintf("ns=2;i=%d", i+1), fmt.Sprintf("2:Dev%d", i))
		s.variable(d, fmt.Sprintf("ns=2;s=name%d", i), "2:Name", fmt.Sprintf("dev %d", i))
		sub := s.add(d, fmt.Sprintf("ns=2;s=sub%d", i), "2:Sub")
		s.variable(sub, fmt.Sprintf("ns=2;s=n%d", i), "2:Value", int32(i))
	}
	start := time.Now()
	h, _ := run(t, opcua.New(opcua.Config{URL: s.url(), Mappings: []opcua.Mapping{{
		Node: `Root\.Objects\.Dev.*`, DeviceName: "${Name}", Telemetry: []opcua.Item{{Key: "id", Node: `Sub\.Value`}},
	}}}))
	until(t, 2*long, "all devices", func() bool { return h.IsReady() })
	t.Logf("%d devices were found and monitored within %v", n, time.Since(start).Round(time.Millisecond))
	until(t, long, "all values", func() bool { return len(h.Readings(false)) == n })
	require.Len(t, h.Online(), n)
	require.LessOrEqual(t, s.requests("BrowseRequest"), 8)
	require.LessOrEqual(t, s.requests("ReadRequest"), 10)
}
