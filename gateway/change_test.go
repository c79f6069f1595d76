package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// remote is a platform that can be tried, and run again.
type remote struct {
	*platform
	connected atomic.Bool
	last      error
	excludes  func(gateway.Platform) bool
	runs      atomic.Int32 // under way
	started   atomic.Int32 // so far
	renamed   map[string]string
}

func newRemote(connected bool) *remote {
	r := &remote{platform: newPlatform()}
	r.connected.Store(connected)
	return r
}

func (r *remote) Run(ctx context.Context, d gateway.Downlink) error {
	r.mu.Lock()
	r.downlink = d
	r.mu.Unlock()
	r.started.Add(1)
	r.runs.Add(1)
	defer r.runs.Add(-1)
	<-ctx.Done()
	return nil
}

func (r *remote) Connected() bool                  { return r.connected.Load() }
func (r *remote) LastError() error                 { return r.last }
func (r *remote) Excludes(p gateway.Platform) bool { return r.excludes != nil && r.excludes(p) }

func (r *remote) RenameDevice(device, as string) error {
	if r.renamed == nil {
		r.renamed = make(map[string]string)
	}
	r.renamed[device] = as
	return nil
}

func (r *remote) learned() map[string]string { return r.renamed }

func (r *remote) PlatformName(device string) (as string) {
	if as, ok := r.renamed[device]; ok {
		return as
	}
	return device
}

func (r *remote) isOnline(device string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.online[device]
	return ok
}

func (r *remote) wentOffline(device string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.offline, device)
}

// source submits numbers, one after the other, until its context ends, and
// counts those that were accepted.
type source struct {
	device  string
	mu      sync.Mutex
	n       int64 // the last accepted
	fail    func() error
	unready bool
}

func (s *source) Run(ctx context.Context, h connector.Host) error {
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	if !s.unready {
		h.Ready()
	}
	for ctx.Err() == nil {
		s.mu.Lock()
		n := s.n + 1
		s.mu.Unlock()
		if err := connector.Deliver(ctx, h, reading(s.device, n)); err == nil {
			s.mu.Lock()
			s.n = n
			s.mu.Unlock()
		} else if ctx.Err() == nil {
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
	return nil
}

func (s *source) accepted() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// requireAll waits until the platforms together have got every number that s was
// told is accepted, in order but for repetitions.
func requireAll(t *testing.T, s *source, platforms ...*platform) {
	t.Helper()
	want := s.accepted()
	has := func() map[int64]bool {
		got := map[int64]bool{}
		for _, p := range platforms {
			for _, n := range p.ints(s.device) {
				got[n] = true
			}
		}
		return got
	}
	eventually(t, "all that was accepted arrives", func() bool {
		got := has()
		for n := int64(1); n <= want; n++ {
			if !got[n] {
				return false
			}
		}
		return true
	})
	for _, p := range platforms {
		next := int64(0)
		for _, n := range p.ints(s.device) {
			if next != 0 && n > next {
				t.Fatalf("%d came after %d", n, next-1)
			}
			next = n + 1
		}
	}
}

// settled waits until no more goroutines run than before.
func settledGoroutines(t *testing.T, before int) {
	t.Helper()
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestSetStoreMovesWhatIsStored(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.down = make(chan struct{})
	old := memstore.New(memstore.Config{})
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithStore(old), gateway.WithConnector("a", f))
	h := <-f.host
	submit(t, h, "d", upTo(3000)...)
	next := memstore.New(memstore.Config{})
	was, err := g.SetStore(t.Context(), next)
	require.NoError(t, err)
	require.Same(t, old, was)
	require.NoError(t, was.Close(), "the caller closes it")
	require.EqualValues(t, 3000, g.Stats().Store.Pending)
	require.EqualValues(t, 3000, next.Stats().Pending)
	require.Same(t, next, g.Store())
	submit(t, h, "d", 3001)
	_, err = g.SetStore(t.Context(), next)
	require.ErrorContains(t, err, "in use already")
	close(p.down)
	eventually(t, "all are published", func() bool { return len(p.ints("d")) == 3001 })
	require.Equal(t, upTo(3001), p.ints("d"))
	require.NoError(t, stop())
	_, err = g.SetStore(t.Context(), old)
	require.ErrorIs(t, err, gateway.ErrStopped)
}

// An offset that was given before the change stays good for a wait.
func TestReceiptsSurviveTheChangeOfTheStore(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.down = make(chan struct{})
	old := memstore.New(memstore.Config{})
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithStore(old), gateway.WithConnector("a", f))
	receipt, err := (<-f.host).Submit(t.Context(), reading("d", 1))
	require.NoError(t, err)
	_, err = g.SetStore(t.Context(), memstore.New(memstore.Config{}))
	require.NoError(t, err)
	require.NoError(t, old.Close())
	require.NoError(t, receipt.Wait(t.Context()))
}

// A source that waits for room in a full store goes on in the new one, even
// while the platform is away.
func TestSetStoreFreesASourceThatWaitsForRoom(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.down = make(chan struct{})
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f),
		gateway.WithStore(memstore.New(memstore.Config{MaxRecords: 10})))
	h := <-f.host
	submit(t, h, "d", upTo(10)...)
	waiting := make(chan error, 1)
	go func() {
		_, err := h.Submit(context.Background(), reading("d", 11))
		waiting <- err
	}()
	time.Sleep(10 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := g.SetStore(ctx, memstore.New(memstore.Config{}))
	require.NoError(t, err)
	select {
	case err := <-waiting:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the source still waits")
	}
	close(p.down)
	eventually(t, "all are published", func() bool { return len(p.ints("d")) == 11 })
	require.Equal(t, upTo(11), p.ints("d"))
}

func TestAStoreThatCannotTakeWhatIsStoredIsNotUsed(t *testing.T) {
	for name, next := range map[string]eventstore.EventStore{
		"rejects": memstore.New(memstore.Config{MaxRecords: 10, Overflow: eventstore.Reject}),
		"drops":   memstore.New(memstore.Config{MaxRecords: 10, Overflow: eventstore.DropOldest}),
		"fails": func() eventstore.EventStore {
			f := &failing{EventStore: memstore.New(memstore.Config{})}
			f.sync.Store(true)
			return f
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			p, f := newPlatform(), newFeed()
			p.down = make(chan struct{})
			old := memstore.New(memstore.Config{})
			g, _ := run(t, gateway.WithPlatform(p), gateway.WithStore(old), gateway.WithConnector("a", f))
			h := <-f.host
			submit(t, h, "d", upTo(100)...)
			_, err := g.SetStore(t.Context(), next)
			require.Error(t, err)
			require.EqualValues(t, 100, old.Stats().Pending)
			require.Zero(t, next.Stats().Pending, "what it was given is released")
			submit(t, h, "d", 101)
			close(p.down)
			eventually(t, "all are published", func() bool { return len(p.ints("d")) == 101 })
			require.Equal(t, upTo(101), p.ints("d"))
		})
	}
}

func TestAnOwnedStoreIsClosedWhenItIsReplaced(t *testing.T) {
	first, second := memstore.New(memstore.Config{}), memstore.New(memstore.Config{})
	g, stop := run(t, gateway.WithPlatform(newPlatform()), gateway.WithOwnedStore(first))
	_, err := g.SetStore(t.Context(), second)
	require.NoError(t, err)
	_, err = first.Append(t.Context(), nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
	require.NoError(t, stop())
	_, err = second.Append(t.Context(), nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func TestStoresAndPlatformsChangeUnderLoadWithoutLoss(t *testing.T) {
	before := runtime.NumGoroutine()
	first := newRemote(true)
	s := []*source{{device: "d0"}, {device: "d1"}, {device: "d2"}}
	opts := []gateway.Option{gateway.WithPlatform(first), gateway.WithGrace(time.Millisecond)}
	for i, c := range s {
		opts = append(opts, gateway.WithConnector(fmt.Sprint(i), c))
	}
	g, stop := run(t, opts...)
	platforms := []*platform{first.platform}
	var closers []eventstore.EventStore
	for range 10 {
		n := s[0].accepted()
		eventually(t, "data flows", func() bool { return s[0].accepted() > n+20 })
		old, err := g.SetStore(t.Context(), memstore.New(memstore.Config{}))
		require.NoError(t, err)
		closers = append(closers, old)
		next := newRemote(true)
		require.NoError(t, g.SetPlatform(t.Context(), next, time.Minute))
		platforms = append(platforms, next.platform)
		require.NoError(t, g.Replace(t.Context(), "1", s[1], time.Minute))
		require.NoError(t, g.Remove("2"))
		require.NoError(t, g.Add("2", s[2]))
	}
	for _, c := range closers {
		require.NoError(t, c.Close())
	}
	require.NoError(t, stop())
	for _, c := range s {
		require.Greater(t, c.accepted(), int64(100))
		requireAll(t, c, platforms...)
	}
	settledGoroutines(t, before)
}

func TestANewPlatformTakesOverOnceItIsConnected(t *testing.T) {
	old, next, f := newRemote(true), newRemote(false), newFeed()
	old.down = make(chan struct{}) // nothing is acknowledged
	g, _ := run(t, gateway.WithPlatform(old), gateway.WithConnector("a", f))
	h := <-f.host
	require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "d", Profile: "meter"}))
	require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "gone"}))
	require.NoError(t, h.DeviceOffline(t.Context(), "gone"))
	submit(t, h, "d", upTo(10)...)
	changed := make(chan error, 1)
	go func() { changed <- g.SetPlatform(context.Background(), next, time.Minute) }()
	eventually(t, "it is tried", func() bool { return next.runs.Load() == 1 })
	require.EqualValues(t, 1, old.runs.Load(), "beside the present one")
	require.Empty(t, next.ints("d"))
	next.connected.Store(true)
	require.NoError(t, <-changed)
	require.Same(t, next, g.Platform())
	eventually(t, "the old one ends", func() bool { return old.runs.Load() == 0 })
	require.True(t, next.isOnline("d"))
	require.False(t, next.isOnline("gone"))
	require.False(t, next.wentOffline("gone"), "it was never told of it")
	eventually(t, "what was not acknowledged is published", func() bool { return len(next.ints("d")) == 10 })
	require.Equal(t, upTo(10), next.ints("d"))
	submit(t, h, "d", 11)
	eventually(t, "and what follows", func() bool { return len(next.ints("d")) == 11 })
}

func TestAPlatformThatDoesNotConnectIsNotUsed(t *testing.T) {
	for _, excludes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			old, next, f := newRemote(true), newRemote(false), newFeed()
			next.last = errors.New("not authorized")
			next.excludes = func(gateway.Platform) bool { return excludes }
			g, stop := run(t, gateway.WithPlatform(old), gateway.WithConnector("a", f))
			h := <-f.host
			changed := make(chan error, 1)
			go func() { changed <- g.SetPlatform(context.Background(), next, time.Minute) }()
			time.Sleep(59 * time.Second)
			require.EqualValues(t, 1, next.runs.Load(), "it is tried")
			if excludes {
				require.Zero(t, old.runs.Load(), "the present one is stopped for the trial")
			} else {
				require.EqualValues(t, 1, old.runs.Load())
			}
			err := <-changed
			require.ErrorContains(t, err, "not authorized")
			require.ErrorContains(t, err, "within 1m0s")
			require.Zero(t, next.runs.Load())
			require.Same(t, old, g.Platform())
			synctest.Wait()
			require.EqualValues(t, 1, old.runs.Load(), "the old one runs")
			submit(t, h, "d", 1)
			settle()
			require.Len(t, old.ints("d"), 1)
			require.Empty(t, next.got())
			require.NoError(t, stop())
		})
	}
}

// Commands that come over a connection on trial are carried out once it is in
// use, and not at all if it never is.
func TestCommandsWaitForTheOutcomeOfATrial(t *testing.T) {
	for _, good := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			old, next := newRemote(true), newRemote(false)
			c := &controlled{feed: newFeed(), busy: map[string]int{}, rpc: func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
				return telemetry.Int(1), nil
			}}
			g, stop := run(t, gateway.WithPlatform(old), gateway.WithConnector("a", c))
			require.NoError(t, (<-c.host).DeviceOnline(t.Context(), telemetry.Device{Name: "x"}))
			changed, called := make(chan error, 1), make(chan error, 2)
			go func() { changed <- g.SetPlatform(context.Background(), next, time.Minute) }()
			synctest.Wait()
			d := next.downlink
			go func() {
				_, err := d.HandleRPC(context.Background(), connector.RPCRequest{Device: "x", Method: "get"})
				called <- err
			}()
			go func() {
				called <- d.UpdateAttributes(context.Background(), connector.AttributeUpdate{Device: "x", Attributes: []telemetry.Point{{Key: "k"}}})
			}()
			time.Sleep(30 * time.Second)
			require.Empty(t, c.calls)
			next.connected.Store(good)
			err, first, second := <-changed, <-called, <-called
			if good {
				require.NoError(t, errors.Join(err, first, second))
				require.Len(t, c.calls, 2)
			} else {
				require.Error(t, err)
				require.Error(t, first)
				require.Error(t, second)
				require.Empty(t, c.calls)
			}
			require.NoError(t, stop())
		})
	}
}

func TestTheStopOfTheGatewayEndsATrial(t *testing.T) {
	old, next := newRemote(true), newRemote(false)
	g, stop := run(t, gateway.WithPlatform(old))
	eventually(t, "it runs", func() bool { return old.runs.Load() == 1 })
	changed := make(chan error, 1)
	go func() { changed <- g.SetPlatform(context.Background(), next, time.Hour) }()
	eventually(t, "it is tried", func() bool { return next.runs.Load() == 1 })
	require.NoError(t, stop())
	require.ErrorIs(t, <-changed, gateway.ErrStopped)
	require.ErrorIs(t, g.SetPlatform(t.Context(), next, 0), gateway.ErrStopped)
}

func TestAReplacedConnectorHandsItsDevicesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a, b := newRemote(true), newFeed(), newFeed()
		g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", a))
		h := <-a.host
		for _, d := range []string{"stays", "goes"} {
			require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: d, Profile: "meter"}))
		}
		submit(t, h, "stays", 1)
		require.NoError(t, g.Replace(t.Context(), "a", b, time.Minute))
		submit(t, <-b.host, "stays", 2)
		time.Sleep(gateway.DefaultGrace - time.Second)
		require.False(t, p.wentOffline("goes"), "not before the grace is over")
		time.Sleep(2 * time.Second)
		require.True(t, p.wentOffline("goes"))
		require.False(t, p.wentOffline("stays"))
		require.Len(t, g.Devices(), 1)
		require.Len(t, p.ints("stays"), 2, "nothing is lost")
		require.ErrorIs(t, g.Replace(t.Context(), "none", b, 0), gateway.ErrUnknown)
		require.NoError(t, stop())
	})
}

func TestAConnectorThatFailsItsTrialIsRolledBack(t *testing.T) {
	broken := errors.New("wrong parity")
	for name, next := range map[string]connector.Connector{
		"fails for good": connector.Func(func(context.Context, connector.Host) error { return connector.Permanent(broken) }),
		"never ready": connector.Func(func(ctx context.Context, h connector.Host) error {
			if err := h.DeviceOnline(ctx, telemetry.Device{Name: "new"}); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}),
		"keeps failing": connector.Func(func(context.Context, connector.Host) error { return broken }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, a := newRemote(true), newFeed()
				g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", a))
				submit(t, <-a.host, "d", 1)
				begin := time.Now()
				err := g.Replace(t.Context(), "a", next, time.Minute)
				require.ErrorContains(t, err, `"a"`)
				if name != "never ready" {
					require.ErrorIs(t, err, broken)
				}
				require.Equal(t, name == "fails for good", time.Since(begin) < time.Minute)
				submit(t, <-a.host, "d", 2)
				time.Sleep(2 * gateway.DefaultGrace)
				require.Equal(t, name == "never ready", p.wentOffline("new"), "the device of the new one goes")
				require.False(t, p.wentOffline("d"), "that of the old one stays")
				require.Len(t, p.ints("d"), 2)
				require.NoError(t, stop())
			})
		})
	}
}

func TestWithoutATrialAConnectorIsNotRolledBack(t *testing.T) {
	g, _ := run(t, gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", newFeed()))
	bad := connector.Func(func(context.Context, connector.Host) error { return connector.Permanent(errors.New("bad")) })
	require.NoError(t, g.Replace(t.Context(), "a", bad, 0))
	eventually(t, "it has failed", func() bool { return g.Stats().Connectors["a"].State == gateway.Failed })
}

func TestReplacementsOfOneConnectorComeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, stop := run(t, gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", newFeed()))
		synctest.Wait()
		var busy, most atomic.Int32
		slow := connector.Func(func(ctx context.Context, h connector.Host) error {
			n := busy.Add(1)
			defer busy.Add(-1)
			most.Store(max(n, most.Load()))
			time.Sleep(time.Second)
			h.Ready()
			<-ctx.Done()
			time.Sleep(time.Second)
			return nil
		})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := g.Replace(context.Background(), "a", slow, time.Minute)
				if err != nil && !errors.Is(err, gateway.ErrUnknown) { // it was removed meanwhile
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			time.Sleep(500 * time.Millisecond)
			if err := g.Remove("a"); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Millisecond)
		require.ErrorIs(t, g.Add("a", newFeed()), gateway.ErrExists)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, g.Replace(ctx, "a", slow, 0), context.DeadlineExceeded)
		wg.Wait()
		require.EqualValues(t, 1, most.Load())
		require.NoError(t, stop())
		require.Zero(t, busy.Load())
	})
}

func TestANewPolicyReleasesWhatTheOldOneHeldBack(t *testing.T) {
	p, f := newPlatform(), newFeed()
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f),
		gateway.WithReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Hour}))
	h := <-f.host
	submit(t, h, "d", 1, 2)
	eventually(t, "the first is published", func() bool { return len(p.ints("d")) == 1 })
	require.ErrorContains(t, g.SetReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnPeriod}), "period")
	require.NoError(t, g.SetReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange}))
	eventually(t, "so is what was held back", func() bool { return len(p.ints("d")) == 2 })
	submit(t, h, "d", 2, 2, 3)
	eventually(t, "then the new one counts", func() bool { return slices.Equal(p.ints("d"), []int64{1, 2, 3}) })
}

func TestDevicesTellWhatIsKnown(t *testing.T) {
	p := newRemote(true)
	p.renamed = map[string]string{"d": "Boiler"}
	c := &controlled{feed: newFeed(), busy: map[string]int{}, rpc: func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
		return telemetry.Value{}, nil
	}}
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", c))
	h := <-c.host
	require.NoError(t, g.AddDevice(t.Context(), "a", telemetry.Device{Name: "added", Profile: "x"}))
	require.ErrorIs(t, g.AddDevice(t.Context(), "none", telemetry.Device{Name: "added"}), gateway.ErrUnknown)
	require.Error(t, g.AddDevice(t.Context(), "a", telemetry.Device{}))
	begin := time.Now().Add(-time.Millisecond)
	submit(t, h, "d", 1, 2)
	eventually(t, "it runs", func() bool { return p.started.Load() > 0 })
	p.mu.Lock()
	d := p.downlink
	p.mu.Unlock()
	_, err := d.HandleRPC(t.Context(), connector.RPCRequest{Device: "d"})
	require.NoError(t, err)
	require.NoError(t, d.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "d", Attributes: []telemetry.Point{{Key: "k"}}}))
	require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "e"}))
	require.NoError(t, h.DeviceOffline(t.Context(), "e"))
	all := g.Devices()
	require.Len(t, all, 3)
	require.Equal(t, gateway.DeviceInfo{Name: "added", Profile: "x", Connector: "a", Online: true}, all[0])
	require.False(t, all[1].LastData.Before(begin))
	all[1].LastData = time.Time{}
	require.Equal(t, gateway.DeviceInfo{
		Name: "d", Profile: "meter", Connector: "a", Online: true,
		Messages: 2, Points: 2, RPCs: 1, AttributeUpdates: 1, Renamed: "Boiler",
	}, all[1])
	require.False(t, all[2].Online)

	require.NoError(t, g.RemoveDevice(t.Context(), "d"))
	require.True(t, p.wentOffline("d"))
	require.ErrorIs(t, g.RemoveDevice(t.Context(), "d"), gateway.ErrNoDevice)
	require.Len(t, g.Devices(), 2)
	require.NotContains(t, fmt.Sprint(g.Devices()), "Boiler")
}
