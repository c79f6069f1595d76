package gateway_test

import (
	"context"
	"errors"
	"log/slog"
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

// policed runs f with the host of a connector that has policy, in simulated
// time.
func policed(t *testing.T, policy telemetry.ReportPolicy, f func(t *testing.T, h connector.Host, p *platform)) {
	synctest.Test(t, func(t *testing.T) {
		p, feed := newPlatform(), newFeed()
		_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", feed, gateway.WithPolicy(policy)))
		f(t, <-feed.host, p)
		require.NoError(t, stop())
	})
}

// settle waits until nothing moves, also what is published a little later to
// share a publication.
func settle() {
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

// expect waits until nothing moves and compares what has arrived of device d.
func expect(t *testing.T, p *platform, want ...int64) {
	t.Helper()
	settle()
	if want == nil {
		want = []int64{}
	}
	require.Equal(t, want, p.ints("d"))
}

func TestOnChangeReportsChanges(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnChange}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1, 1, 2, 2, 1)
		expect(t, p, 1, 2, 1)
		r, err := h.Submit(t.Context(), reading("d", 1))
		require.NoError(t, err)
		require.Equal(t, connector.Receipt{}, r, "what is held back yields the zero Receipt")

		var b telemetry.Batch // several samples of a key in one batch
		b.Device("d", "")
		for _, n := range []int64{1, 3, 3, 4, 4} {
			b.Telemetry("n", telemetry.Int(n))
		}
		_, err = h.Submit(t.Context(), &b)
		require.NoError(t, err)
		expect(t, p, 1, 2, 1, 3, 4)
	})
}

func TestAttributesAndTelemetryOfOneNameAreSeparate(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnChange}, func(t *testing.T, h connector.Host, p *platform) {
		for range 2 {
			var b telemetry.Batch
			b.Device("d", "")
			b.Telemetry("v", telemetry.Int(1))
			b.Attribute("v", telemetry.Int(1))
			_, err := h.Submit(t.Context(), &b)
			require.NoError(t, err)
		}
		settle()
		require.Len(t, p.got(), 2)
	})
}

func TestOnPeriodReportsTheLastReadingOncePerPeriod(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1, 2, 3)
		expect(t, p, 1)
		time.Sleep(59 * time.Second)
		expect(t, p, 1)
		time.Sleep(time.Second)
		expect(t, p, 1, 3)
		time.Sleep(time.Hour)
		expect(t, p, 1, 3) // no reading, no report
		submit(t, h, "d", 4, 5)
		expect(t, p, 1, 3, 4)
		time.Sleep(time.Minute)
		expect(t, p, 1, 3, 4, 5)
	})
}

func TestOnChangeOrPeriodReportsBoth(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: time.Minute}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1, 1, 2)
		expect(t, p, 1, 2)
		for range 10 {
			time.Sleep(30 * time.Second)
			submit(t, h, "d", 2)
		}
		expect(t, p, 1, 2, 2, 2, 2, 2, 2) // ten equal readings in five minutes
	})
}

func TestHeldReadingsKeepTheirTimeAndSurviveTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, feed := newPlatform(), newFeed()
		_, stop := run(t, gateway.WithPlatform(p),
			gateway.WithConnector("a", feed, gateway.WithPolicy(telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Hour})))
		h := <-feed.host
		submit(t, h, "d", 1, 2)
		held := time.Now().UnixMilli()
		time.Sleep(time.Minute)
		require.NoError(t, stop())
		require.Equal(t, []int64{1, 2}, p.ints("d"))
		require.InDelta(t, held, p.got()[1].ts, 2)
	})
}

func TestTheMostSpecificPolicyWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, feed, other := newPlatform(), newFeed(), newFeed()
		run(t, gateway.WithPlatform(p), gateway.WithReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange}),
			gateway.WithConnector("a", feed, gateway.WithPolicy(telemetry.ReportPolicy{Mode: telemetry.OnReceived})),
			gateway.WithConnector("b", other))
		own := &telemetry.ReportPolicy{Mode: telemetry.OnChange}
		h := <-feed.host
		for range 3 {
			b := reading("d", 1)
			b.AddTelemetry(telemetry.Point{Key: "own", Value: telemetry.Int(1), Report: own})
			_, err := h.Submit(t.Context(), b)
			require.NoError(t, err)
		}
		submit(t, <-other.host, "e", 1, 1)
		settle()
		require.Equal(t, []int64{1, 1, 1}, p.ints("d"))
		require.Equal(t, []int64{1}, p.ints("e"))
		require.Len(t, p.got(), 5)
	})
}

// failing is a store whose Append or Sync fails while a test wants it to.
type failing struct {
	eventstore.EventStore
	append, sync atomic.Bool
}

var errDisk = errors.New("disk error")

func (f *failing) Append(ctx context.Context, rec []byte) (uint64, error) {
	if f.append.Load() {
		return 0, errDisk
	}
	return f.EventStore.Append(ctx, rec)
}

func (f *failing) Sync(ctx context.Context, upTo uint64) error {
	if f.sync.Load() {
		return errDisk
	}
	return f.EventStore.Sync(ctx, upTo)
}

// A reading that could not be stored, or not be made durable, is delivered again
// by its source. It must then not be held back as old news, or it is lost.
func TestTheFilterForgetsWhatWasNotStored(t *testing.T) {
	store := &failing{EventStore: memstore.New(memstore.Config{})}
	p, feed := newPlatform(), newFeed()
	run(t, gateway.WithPlatform(p), gateway.WithStore(store),
		gateway.WithConnector("a", feed, gateway.WithPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange})))
	h := <-feed.host

	store.append.Store(true)
	require.ErrorIs(t, connector.Deliver(t.Context(), h, reading("d", 1)), errDisk)
	store.append.Store(false)
	require.NoError(t, connector.Deliver(t.Context(), h, reading("d", 1)))
	eventually(t, "it is published", func() bool { return len(p.ints("d")) == 1 })

	store.sync.Store(true)
	require.ErrorIs(t, connector.Deliver(t.Context(), h, reading("d", 2)), errDisk)
	store.sync.Store(false)
	require.NoError(t, connector.Deliver(t.Context(), h, reading("d", 2)))
	eventually(t, "it is stored again", func() bool { return len(p.ints("d")) == 3 })
}

func TestARestartedConnectorReportsAfresh(t *testing.T) {
	p := newPlatform()
	runs := make(chan connector.Host, 4)
	end := make(chan error)
	c := connector.Func(func(ctx context.Context, h connector.Host) error {
		runs <- h
		select {
		case err := <-end:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	run(t, gateway.WithPlatform(p), gateway.WithConnector("a", c, gateway.WithPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange})))
	submit(t, <-runs, "d", 1)
	end <- errors.New("connection lost before the message was acknowledged")
	submit(t, <-runs, "d", 1)
	eventually(t, "it is stored again", func() bool { return len(p.ints("d")) == 2 })
}

func TestADeviceThatGoesIsForgotten(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1, 2)
		require.NoError(t, h.DeviceOffline(t.Context(), "d"))
		expect(t, p, 1, 2) // what was held back is not lost
		submit(t, h, "d", 3)
		expect(t, p, 1, 2, 3)
	})
}

// Submit of a reused batch costs no allocation, whatever the policy.
func TestSubmitDoesNotAllocate(t *testing.T) {
	for name, policy := range map[string]telemetry.ReportPolicy{
		"received": {},
		"change":   {Mode: telemetry.OnChange},
		"period":   {Mode: telemetry.OnChangeOrPeriod, Period: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			feed := newFeed()
			run(t, gateway.WithPlatform(newPlatform()), gateway.WithStore(discard{}),
				gateway.WithConnector("a", feed, gateway.WithPolicy(policy)))
			h := <-feed.host
			b := tenPoints()
			n := int64(0)
			require.Zero(t, testing.AllocsPerRun(1000, func() {
				n++
				b.Groups()[0].Telemetry[0].Value = telemetry.Int(n)
				if _, err := h.Submit(context.Background(), b); err != nil {
					t.Fatal(err)
				}
			}))
		})
	}
}

// discard is a store that keeps nothing, so that Submit is measured alone.
type discard struct{ eventstore.EventStore }

func (discard) Append(context.Context, []byte) (uint64, error) { return 1, nil }
func (discard) Sync(context.Context, uint64) error             { return nil }
func (discard) Stats() eventstore.Stats                        { return eventstore.Stats{} }
func (discard) Peek(ctx context.Context, _ uint64, _ []eventstore.Record, _ eventstore.Limit) ([]eventstore.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func tenPoints() *telemetry.Batch {
	b := new(telemetry.Batch)
	b.Device("meter-1", "adw300")
	for _, key := range []string{"ua", "ub", "uc", "ia", "ib", "ic", "pa", "pb", "pc", "p"} {
		b.Telemetry(key, telemetry.Float32(230.1))
	}
	return b
}

func BenchmarkSubmit(b *testing.B) {
	quiet := gateway.WithLogger(slog.New(slog.DiscardHandler))
	for name, opts := range map[string][]gateway.Option{
		"alone":    {gateway.WithStore(discard{})},
		"memstore": {gateway.WithStore(memstore.New(memstore.Config{Overflow: eventstore.DropOldest}))},
	} {
		b.Run(name, func(b *testing.B) {
			feed := newFeed()
			run(b, append(opts, gateway.WithPlatform(&sink{newPlatform()}), quiet, gateway.WithConnector("a", feed))...)
			h := <-feed.host
			batch := tenPoints()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Submit(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sink accepts everything and remembers nothing.
type sink struct{ *platform }

type accepted struct{}

func (accepted) Wait(context.Context) error { return nil }

func (sink) Publish(context.Context, []telemetry.Group) (gateway.Delivery, error) {
	return accepted{}, nil
}
