package opcua_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A host keeps readings and the log.
type host struct {
	*connectortest.Host
	log logBook
}

// A logBook is a log that can be looked at.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
	out  *slog.Logger
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// Logger implements connector.Host.
func (h *host) Logger() *slog.Logger { return h.log.out }

// series returns the readings of a key.
func (h *host) series(device, key string) (list []connectortest.Reading) {
	for _, r := range h.Readings(false) {
		if r.Device.Name == device && r.Key == key {
			list = append(list, r)
		}
	}
	return list
}

// last returns the last value of a key.
func (h *host) last(device, key string) telemetry.Value {
	list := h.series(device, key)
	if len(list) == 0 {
		return telemetry.Value{}
	}
	return list[len(list)-1].Value
}

// run runs c until the test ends, or stop is called.
func run(tb testing.TB, c connector.Connector) (h *host, stop func()) {
	tb.Helper()
	h = &host{Host: connectortest.NewHost(tb)}
	h.log.out = slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				tb.Errorf("Run: %v", err)
			}
			tb.Log(h.log.text.String())
		})
	}
	tb.Cleanup(stop)
	return h, stop
}

// until waits for a condition.
func until(tb testing.TB, within time.Duration, what string, cond func() bool) {
	tb.Helper()
	for end := time.Now().Add(within); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never happened within %v: %s", within, what)
		}
	}
}

const long = 30 * time.Second

// plain is a configuration with one device D of n values k0, k1 and so on, which it
// makes on the server.
func plain(s *fakeServer, n int) opcua.Config {
	d := s.add(s.objects, "ns=2;s=D", "2:D")
	m := opcua.Mapping{Node: `Root\.Objects\.D`, DeviceName: "D"}
	for i := range n {
		s.variable(d, fmt.Sprintf("ns=2;s=v%d", i), fmt.Sprintf("2:v%d", i), int32(i))
		m.Telemetry = append(m.Telemetry, opcua.Item{Key: fmt.Sprintf("k%d", i), Node: fmt.Sprintf("v%d", i)})
	}
	return opcua.Config{URL: s.url(), Mappings: []opcua.Mapping{m}}
}

// A source is a server of which each message is a change of a value of its own.
type source struct{ s *fakeServer }

// Send implements connectortest.Source.
func (s source) Send(id int64) { s.s.set(fmt.Sprintf("ns=2;s=n%d", id%64), id) }

// Acked implements connectortest.Source.
func (s source) Acked() []int64 { return nil }

func TestConformance(t *testing.T) {
	for _, poll := range []bool{false, true} {
		t.Run(fmt.Sprintf("poll=%t", poll), func(t *testing.T) {
			connectortest.Run(t, connectortest.Harness{
				NoAck: true, Patience: long,
				RPC: []connector.RPCRequest{{Device: "dev 1", Method: "get", Params: []byte(`"id"`)}},
				New: func(t *testing.T) (connector.Connector, connectortest.Source) {
					s := newFake(t)
					for i := range 64 {
						d := s.add(s.objects, fmt.Sprintf("ns=2;i=%d", i+1), fmt.Sprintf("2:Dev%d", i))
						s.variable(d, fmt.Sprintf("ns=2;s=no%d", i), "2:Number", int32(i))
						s.variable(d, fmt.Sprintf("ns=2;s=n%d", i), "2:Value", int64(0))
					}
					return opcua.New(opcua.Config{
						URL: s.url(), Poll: poll, PollPeriod: 20 * time.Millisecond,
						Mappings: []opcua.Mapping{{
							Node: `Root\.Objects\.Dev[0-9]+`, DeviceName: "dev ${Number}",
							Telemetry: []opcua.Item{{Key: "id", Node: "Value"}},
						}},
					}), source{s}
				},
			})
		})
	}
}

// correct counts the values k<n> that are n.
func correct(h *host) int {
	right := make(map[string]bool)
	for _, r := range h.Readings(false) {
		if r.Key == fmt.Sprintf("k%d", r.Value.Int()) {
			right[r.Key] = true
		}
	}
	return len(right)
}

func TestAThousandValuesAreRightWithinTheLimitsOfTheServer(t *testing.T) {
	for _, poll := range []bool{false, true} {
		s := newFake(t)
		s.limits[11705], s.limits[11714] = 100, 70
		cfg := plain(s, 1000)
		cfg.Poll = poll
		h, stop := run(t, opcua.New(cfg))
		until(t, long, "all values came", func() bool { return correct(h) == 1000 })
		stop()
		require.Len(t, h.Readings(false), 1000, "values are wrong, or came twice")
		s.with(func() {
			if poll {
				require.Equal(t, 100, s.largest["Read"])
			} else {
				require.Equal(t, 70, s.largest["CreateMonitoredItems"])
			}
			require.LessOrEqual(t, s.count["BrowseRequest"], 4, "each node is browsed by itself")
		})
	}
}

func TestALimitThatTheServerDoesNotPublishIsFound(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 100)
	cfg.Poll = true
	s.hook = func(req ua.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.refuse, "ReadRequest")
		if r, ok := req.(*ua.ReadRequest); ok && len(r.NodesToRead) > 7 {
			s.refuse["ReadRequest"] = ua.StatusBadTooManyOperations
		}
		return false
	}
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "all values came", func() bool { return correct(h) == 100 })
}

func TestANodeThatCannotBeReadCostsNothingElse(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 50)
	cfg.Poll, cfg.PollPeriod = true, 20*time.Millisecond
	// The answer with this value cannot be decoded: too many elements.
	s.set("ns=2;s=v17", make([]int32, 70000))
	c := opcua.New(cfg)
	h, _ := run(t, c)
	until(t, long, "the others came", func() bool { return correct(h) == 49 })
	until(t, long, "the bad one is reported", func() bool { return h.last("D", "k17_status").Kind() == telemetry.KindString })
	require.Equal(t, connector.Health{Detail: "1 of 50 values are bad"}, c.Health())
	s.set("ns=2;s=v17", int32(17))
	until(t, long, "it recovered", func() bool { return h.last("D", "k17_status") == telemetry.String("Good") })
	require.Equal(t, 1, h.log.count("values are bad"))
	require.True(t, c.Health().OK)
}

func TestBadQualityIsNoValueAndReportedOnce(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 2)
	c := opcua.New(cfg)
	h, _ := run(t, c)
	until(t, long, "values came", func() bool { return correct(h) == 2 })
	sick := dataValue(int32(99))
	sick.EncodingMask |= ua.DataValueStatusCode
	sick.Status = ua.StatusBadSensorFailure
	for range 3 {
		s.set("ns=2;s=v1", sick)
	}
	until(t, long, "quality is reported", func() bool { return h.last("D", "k1_status") == telemetry.String("BadSensorFailure") })
	until(t, long, "bad values are counted", func() bool { return c.Stats().Bad == 3 })
	require.False(t, c.Health().OK)
	uncertain := dataValue(int32(7))
	uncertain.EncodingMask |= ua.DataValueStatusCode
	uncertain.Status = ua.StatusUncertainLastUsableValue
	s.set("ns=2;s=v1", uncertain)
	until(t, long, "an uncertain value is one", func() bool { return h.last("D", "k1") == telemetry.Int(7) })
	require.Len(t, h.series("D", "k1"), 2, "a bad value was reported")
	require.Len(t, h.series("D", "k1_status"), 2)
	require.Equal(t, telemetry.String("Good"), h.last("D", "k1_status"))
	require.Equal(t, 1, h.log.count("values are bad"))
	until(t, long, "health is good", func() bool { return c.Health().OK })
}

func TestWhatCannotBeMonitoredIsPolled(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 10)
	cfg.PollPeriod = 20 * time.Millisecond
	s.refused["ns=2;s=v3"] = ua.StatusBadTooManyMonitoredItems
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "all came", func() bool { return correct(h) == 10 })
	s.set("ns=2;s=v3", int32(33))
	until(t, long, "it is polled", func() bool { return h.last("D", "k3") == telemetry.Int(33) })
	require.Len(t, h.series("D", "k4"), 1, "others are polled, too")
}

func TestAServerWithoutSubscriptionsIsPolled(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 10)
	cfg.PollPeriod = 20 * time.Millisecond
	s.refuse["CreateSubscriptionRequest"] = ua.StatusBadServiceUnsupported
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "polls", func() bool { return len(h.series("D", "k9")) > 3 })
	require.Equal(t, 1, h.log.count("server has no subscriptions"))
}

func TestDevicesAndNodesComeAndGo(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 2)
	cfg.Scan = 30 * time.Millisecond
	cfg.Mappings[0].Node = `Root\.Objects\.D\d*`
	cfg.Mappings[0].DeviceName = "${v0}"
	cfg.Mappings[0].Telemetry = append(cfg.Mappings[0].Telemetry, opcua.Item{Key: "later", Node: "later"})
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "the first device", func() bool { return len(h.Online()) == 1 })
	second := s.add(s.objects, "ns=2;s=D2", "2:D2")
	s.variable(second, "ns=2;s=w0", "2:v0", "two")
	s.variable(second, "ns=2;s=w1", "2:v1", int32(5))
	until(t, long, "the second device", func() bool { return h.last("two", "k1") == telemetry.Int(5) })
	s.variable(second, "ns=2;s=w2", "2:later", "hello")
	until(t, long, "the late node", func() bool { return h.last("two", "later") == telemetry.String("hello") })
	require.Len(t, h.series("two", "k1"), 1, "what was there before is monitored anew at each search")
	s.remove(s.objects, second)
	until(t, long, "it is gone", func() bool { return len(h.Online()) == 1 })
	until(t, long, "its items are gone", func() bool { return s.requests("DeleteMonitoredItemsRequest") > 0 })
	require.Equal(t, 1, h.log.count("0: later later"), "what is missing is logged again and again")
}

func TestANodeThatIsNotThereIsReportedAndFoundLater(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 1)
	cfg.Scan = 30 * time.Millisecond
	cfg.Mappings[0].Telemetry = append(cfg.Mappings[0].Telemetry, opcua.Item{Key: "ghost", Node: "ns=2;s=ghost"})
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "it is reported", func() bool { return h.last("D", "ghost_status") == telemetry.String("BadNodeIdUnknown") })
	s.variable(nil, "ns=2;s=ghost", "2:ghost", int32(3))
	until(t, long, "it came", func() bool { return h.last("D", "ghost") == telemetry.Int(3) })
}

func TestADeviceWhoseNameHasNoValueIsLeftOutUntilItHas(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 1)
	cfg.Scan = 30 * time.Millisecond
	cfg.Mappings[0].DeviceName = "pump ${Serial}"
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "searches", func() bool { return s.requests("BrowseRequest") > 8 })
	require.Empty(t, h.Readings(false))
	s.variable(s.nodes[nodeID("ns=2;s=D").String()], "ns=2;s=serial", "2:Serial", "A7")
	until(t, long, "it has a name", func() bool { return h.last("pump A7", "k0") == telemetry.Int(0) })
	require.Equal(t, 1, h.log.count("nodes are not there"))
}

func TestASubmitThatFailsEndsTheRunAndInvalidDataDoesNot(t *testing.T) {
	for _, poll := range []bool{false, true} {
		s := newFake(t)
		cfg := plain(s, 3)
		cfg.Poll, cfg.PollPeriod = poll, 10*time.Millisecond
		h := connectortest.NewHost(t)
		h.Fail(func() error { return errors.New("disk full") }, nil)
		require.ErrorContains(t, opcua.New(cfg).Run(t.Context(), h), "disk full")

		var rejected atomic.Int32
		h.Fail(func() error { rejected.Add(1); return connector.Invalid(errors.New("too long")) }, nil)
		h2, _ := run(t, opcua.New(cfg))
		h2.Fail(func() error { rejected.Add(1); return connector.Invalid(errors.New("too long")) }, nil)
		until(t, long, "it goes on", func() bool { s.set("ns=2;s=v0", rejected.Load()); return rejected.Load() > 3 })
	}
}

func TestAWrongConfigurationIsPermanentAndListsEverything(t *testing.T) {
	c := opcua.New(opcua.Config{Mappings: []opcua.Mapping{
		{Node: "D", Telemetry: []opcua.Item{{Key: "a"}, {Node: "x"}}, Updates: []opcua.Update{{Key: "u"}}, Methods: []opcua.Method{{}}},
		{Node: "i=x", DeviceName: "${a"},
	}, Security: opcua.Security{Policy: "Best", Cert: "a.pem"}, Identity: opcua.Identity{Certificate: true}})
	err := c.Run(t.Context(), connectortest.NewHost(t))
	require.True(t, connector.IsPermanent(err))
	for _, want := range []string{
		"url: missing", `security: "Best" is not one of`, `mapping[0]: node: "D" does not start`, "mapping[0]: deviceName: is missing",
		"mapping[0]: telemetry[0]: a: node", "mapping[0]: telemetry[1]: key: is missing", "mapping[0]: updates[0]: is empty",
		"mapping[0]: methods[0]: name: is missing", "mapping[1]: node: ", "mapping[1]: deviceName: ",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestTimesComeFromWhereTheItemSays(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 3)
	cfg.Mappings[0].Telemetry[0].Time, cfg.Mappings[0].Telemetry[1].Time = opcua.SourceTime, opcua.ServerTime
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)
	for i := range 3 {
		v := dataValue(int32(i))
		v.SourceTimestamp, v.ServerTimestamp = at, at.Add(time.Second)
		s.set(fmt.Sprintf("ns=2;s=v%d", i), v)
	}
	before := time.Now().UnixMilli()
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "values came", func() bool { return correct(h) == 3 })
	require.Equal(t, at.UnixMilli(), h.series("D", "k0")[0].TS)
	require.Equal(t, at.Add(time.Second).UnixMilli(), h.series("D", "k1")[0].TS)
	require.GreaterOrEqual(t, h.series("D", "k2")[0].TS, before)
}
