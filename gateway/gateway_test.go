package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
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

func TestReadingsReachThePlatformInOrder(t *testing.T) {
	p, f := newPlatform(), newFeed()
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	h := <-f.host
	submit(t, h, "d", upTo(1000)...)
	eventually(t, "all are published", func() bool { return len(p.ints("d")) == 1000 })
	require.Equal(t, upTo(1000), p.ints("d"))
	eventually(t, "the store is empty", func() bool { return g.Stats().Store.Pending == 0 })
	s := g.Stats()
	require.EqualValues(t, 1000, s.Published)
	require.EqualValues(t, 1000, s.Connectors["a"].Stored)
	require.Equal(t, gateway.Running, s.Connectors["a"].State)
}

// The platform keeps one value for a key and a millisecond.
func TestReadingsOfADeviceGetDifferentStamps(t *testing.T) {
	p, f := newPlatform(), newFeed()
	run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	h := <-f.host
	start := time.Now().UnixMilli()
	submit(t, h, "d", upTo(100)...)
	b := reading("d", 101)
	b.TelemetryAt(time.UnixMilli(42), "own", telemetry.Int(1))
	_, err := h.Submit(t.Context(), b)
	require.NoError(t, err)
	eventually(t, "all are published", func() bool { return len(p.got()) == 102 })
	seen := map[int64]bool{}
	for _, q := range p.got() {
		if q.key == "own" {
			require.EqualValues(t, 42, q.ts)
			continue
		}
		require.False(t, seen[q.ts], "stamp used twice")
		seen[q.ts] = true
		require.InDelta(t, start, q.ts, 5000)
	}
}

func TestOriginIsKeptOnRequest(t *testing.T) {
	for _, on := range []bool{false, true} {
		p, f := newPlatform(), newFeed()
		opts := []gateway.Option{gateway.WithPlatform(p), gateway.WithConnector("a", f)}
		if on {
			opts = append(opts, gateway.WithOrigin())
		}
		run(t, opts...)
		submit(t, <-f.host, "d", 1, 2)
		eventually(t, "published", func() bool { return len(p.got()) == 2 })
		for _, q := range p.got() {
			if !on {
				require.Zero(t, q.received)
				require.Empty(t, q.connector)
				continue
			}
			require.Equal(t, "a", q.connector)
			require.InDelta(t, time.Now().UnixMilli(), q.received, 60_000)
		}
	}
}

func TestOneBadValueCostsNoOther(t *testing.T) {
	p, f := newPlatform(), newFeed()
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	h := <-f.host
	var b telemetry.Batch
	b.Device("", "")
	b.Telemetry("n", telemetry.Int(-1))
	b.Device("d", "")
	b.Telemetry("nan", telemetry.Float(math.NaN()))
	b.Telemetry("", telemetry.Int(1))
	b.Telemetry("absent", telemetry.Value{})
	b.Telemetry("n", telemetry.Int(7))
	_, err := h.Submit(t.Context(), &b)
	require.NoError(t, err)
	eventually(t, "the good value is published", func() bool { return len(p.ints("d")) == 1 })
	require.Len(t, p.got(), 1)
	require.EqualValues(t, 4, g.Stats().Connectors["a"].Invalid)

	b.Reset()
	b.Device("", "")
	b.Telemetry("n", telemetry.Int(-1))
	_, err = h.Submit(t.Context(), &b)
	require.True(t, connector.IsInvalid(err), "a batch without a device is at fault itself")
}

// Records that cannot be read, or that the platform client calls invalid, are
// passed over and counted.
func TestOneBadRecordStopsNoOther(t *testing.T) {
	store := memstore.New(memstore.Config{})
	_, err := store.Append(t.Context(), []byte("\x63 not a record"))
	require.NoError(t, err)
	p, f := newPlatform(), newFeed()
	p.refuse = func(devices []string) error {
		if devices[0] == "poison" {
			return connector.Invalid(errors.New("cannot be encoded"))
		}
		return nil
	}
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithStore(store), gateway.WithConnector("a", f),
		gateway.WithPublishWindow(4, eventstore.Limit{Records: 1}))
	h := <-f.host
	submit(t, h, "poison", 1)
	submit(t, h, "d", 1, 2)
	eventually(t, "the rest is published", func() bool { return len(p.ints("d")) == 2 })
	eventually(t, "the store is empty", func() bool { return g.Stats().Store.Pending == 0 })
	require.EqualValues(t, 2, g.Stats().Discarded)
	require.EqualValues(t, 2, g.Stats().Published)
}

// What the platform has not accepted stays in the store and is published again,
// in order.
func TestOnlyAcceptedPublicationsAreReleased(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.fate = func(n int) error {
		if n%3 == 1 {
			return errors.New("link lost")
		}
		return nil
	}
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f),
		gateway.WithPublishWindow(5, eventstore.Limit{Records: 3}))
	h := <-f.host
	submit(t, h, "d", upTo(200)...)
	eventually(t, "the store is empty", func() bool { return g.Stats().Store.Pending == 0 })
	next := int64(1)
	for _, n := range p.ints("d") {
		require.LessOrEqual(t, n, next, "nothing overtakes what failed")
		if n == next {
			next++
		}
	}
	require.EqualValues(t, 201, next, "all arrived")
}

// Records that come thick and fast share publications; a platform counts and
// limits messages.
func TestRecordsThatComeFastSharePublications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPlatform(), newFeed()
		_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
		h := <-f.host
		submit(t, h, "d", 1)
		synctest.Wait()
		require.Equal(t, []int64{1}, p.ints("d"), "the first goes out at once")
		for n := range int64(100) {
			time.Sleep(100 * time.Microsecond)
			submit(t, h, "d", n+2)
		}
		require.NoError(t, stop())
		require.Equal(t, upTo(101), p.ints("d"))
		require.Less(t, p.n, 10)
	})
}

func TestNothingIsReleasedBeforeThePlatformAccepts(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.hold = make(chan struct{})
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f),
		gateway.WithPublishWindow(3, eventstore.Limit{Records: 1}))
	h := <-f.host
	submit(t, h, "d", upTo(10)...)
	eventually(t, "the window is full", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.inFlight >= 3
	})
	time.Sleep(20 * time.Millisecond)
	require.EqualValues(t, 10, g.Stats().Store.Pending)
	require.Zero(t, g.Stats().Published)
	p.mu.Lock()
	require.LessOrEqual(t, p.most, 3+2, "one more may wait on either side of the window")
	p.mu.Unlock()
	close(p.hold)
	eventually(t, "the store is empty", func() bool { return g.Stats().Store.Pending == 0 })
}

func TestDataIsStoredWithoutAPlatformAndDeliveredLater(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.down = make(chan struct{})
	g, _ := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	h := <-f.host
	submit(t, h, "d", upTo(500)...)
	require.EqualValues(t, 500, g.Stats().Store.Pending)
	close(p.down)
	eventually(t, "all are published", func() bool { return len(p.ints("d")) == 500 })
	require.Equal(t, upTo(500), p.ints("d"))
}

func TestAFailingConnectorDisturbsNoOther(t *testing.T) {
	p, good := newPlatform(), newFeed()
	var mu sync.Mutex
	var runs int
	bad := connector.Func(func(context.Context, connector.Host) error {
		mu.Lock()
		defer mu.Unlock()
		runs++
		switch runs {
		case 1:
			panic("boom")
		case 2:
			return nil
		case 3:
			return errors.New("refused")
		default:
			return connector.Permanent(errors.New("wrong parity"))
		}
	})
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("good", good), gateway.WithConnector("bad", bad))
	h := <-good.host
	eventually(t, "the bad one has failed for good", func() bool { return g.Stats().Connectors["bad"].State == gateway.Failed })
	s := g.Stats().Connectors["bad"]
	require.EqualValues(t, 3, s.Restarts)
	require.ErrorContains(t, s.LastError, "wrong parity")
	submit(t, h, "d", 1)
	eventually(t, "the good one is published", func() bool { return len(p.ints("d")) == 1 })
	require.NoError(t, stop())
}

func TestConnectorsComeAndGoWhileRunning(t *testing.T) {
	p, a, b := newPlatform(), newFeed(), newFeed()
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", a))
	<-a.host
	require.ErrorIs(t, g.Add("a", b), gateway.ErrExists)
	require.NoError(t, g.Add("b", b))
	h := <-b.host
	require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "d", Profile: "meter"}))
	submit(t, h, "d", 1)
	require.NoError(t, g.Remove("b"))
	require.ErrorIs(t, g.Remove("b"), gateway.ErrUnknown)
	p.mu.Lock()
	require.Equal(t, []string{"d"}, p.offline)
	p.mu.Unlock()
	eventually(t, "what it stored is published", func() bool { return len(p.ints("d")) == 1 })
	require.NoError(t, g.Add("b", b), "the name is free again")
	<-b.host
	require.NoError(t, stop())
	require.ErrorIs(t, g.Add("c", newFeed()), gateway.ErrStopped)
}

// What was submitted before the stop is published before Run returns.
func TestStopDrains(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.hold = make(chan struct{})
	_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	h := <-f.host
	submit(t, h, "d", upTo(100)...)
	time.AfterFunc(50*time.Millisecond, func() { close(p.hold) })
	require.NoError(t, stop())
	require.Equal(t, upTo(100), p.ints("d"))
}

func TestDrainIsBounded(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.down = make(chan struct{})
	store := memstore.New(memstore.Config{})
	_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithStore(store),
		gateway.WithDrainTimeout(30*time.Millisecond))
	submit(t, <-f.host, "d", 1)
	start := time.Now()
	require.NoError(t, stop())
	require.Less(t, time.Since(start), 5*time.Second)
	require.EqualValues(t, 1, store.Stats().Pending, "it stays in the store")
}

func TestAConnectorThatDoesNotStopIsAbandoned(t *testing.T) {
	p := newPlatform()
	release := make(chan struct{})
	defer close(release)
	started := make(chan struct{})
	stuck := connector.Func(func(context.Context, connector.Host) error {
		close(started)
		<-release
		return nil
	})
	_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("stuck", stuck),
		gateway.WithStopTimeout(20*time.Millisecond), gateway.WithDrainTimeout(0))
	<-started
	require.NoError(t, stop())
}

// A full store blocks the source that fills it, until there is room or its
// context ends.
func TestAFullStoreIsBackPressure(t *testing.T) {
	p, f := newPlatform(), newFeed()
	p.down = make(chan struct{})
	store := memstore.New(memstore.Config{MaxRecords: 10})
	run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithStore(store))
	h := <-f.host
	submit(t, h, "d", upTo(10)...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := h.Submit(ctx, reading("d", 11))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(p.down)
	submit(t, h, "d", 11)
	eventually(t, "all are published", func() bool { return len(p.ints("d")) == 11 })
}

// A batch that no store of this size can ever hold is acknowledged and dropped
// by its source, rather than delivered for ever.
func TestABatchThatCanNeverFitIsInvalid(t *testing.T) {
	f := newFeed()
	g, _ := run(t, gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", f),
		gateway.WithStore(memstore.New(memstore.Config{MaxBytes: 1000})))
	h := <-f.host
	var b telemetry.Batch
	b.Device("d", "")
	b.Telemetry("text", telemetry.String(strings.Repeat("x", 2000)))
	_, err := h.Submit(t.Context(), &b)
	require.True(t, connector.IsInvalid(err), "%v", err)
	require.EqualValues(t, 1, g.Stats().Connectors["a"].Invalid)
	submit(t, h, "d", 1)
}

type brokenStore struct{ eventstore.EventStore }

func (brokenStore) Peek(context.Context, uint64, []eventstore.Record, eventstore.Limit) ([]eventstore.Record, error) {
	return nil, errors.New("input/output error")
}

func TestRunReturnsWhenTheStoreFails(t *testing.T) {
	g, err := gateway.New(gateway.WithPlatform(newPlatform()), gateway.WithStore(brokenStore{memstore.New(memstore.Config{})}),
		gateway.WithBackoff(time.Millisecond, time.Millisecond))
	require.NoError(t, err)
	require.ErrorContains(t, g.Run(t.Context()), "input/output error")
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	_, err := gateway.New()
	require.ErrorContains(t, err, "no platform")
	_, err = gateway.New(gateway.WithPlatform(newPlatform()), gateway.WithConnector("", newFeed()))
	require.Error(t, err)
	_, err = gateway.New(gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", newFeed()), gateway.WithConnector("a", newFeed()))
	require.ErrorIs(t, err, gateway.ErrExists)
	_, err = gateway.New(gateway.WithPlatform(newPlatform()), gateway.WithReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnPeriod}))
	require.ErrorContains(t, err, "period")
	_, err = gateway.New(gateway.WithPlatform(newPlatform()),
		gateway.WithConnector("a", newFeed(), gateway.WithPolicy(telemetry.ReportPolicy{Mode: 9})))
	require.ErrorContains(t, err, `connector "a"`)
}

func TestAnOwnedStoreIsClosed(t *testing.T) {
	store := memstore.New(memstore.Config{})
	_, stop := run(t, gateway.WithPlatform(newPlatform()), gateway.WithOwnedStore(store))
	require.NoError(t, stop())
	_, err := store.Append(t.Context(), []byte("x"))
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func TestGatewaysShareNothing(t *testing.T) {
	for i := range 3 {
		p, f := newPlatform(), newFeed()
		run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
		submit(t, <-f.host, "d", int64(i))
		eventually(t, "it is published", func() bool { return fmt.Sprint(p.ints("d")) == fmt.Sprint([]int64{int64(i)}) })
	}
}
