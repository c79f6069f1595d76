package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func only(expressions ...string) gateway.DeviceFilter {
	return gateway.DeviceFilter{Allow: map[string][]string{"a": expressions}}
}

func deny(expressions ...string) gateway.DeviceFilter {
	return gateway.DeviceFilter{Deny: map[string][]string{"a": expressions}}
}

func known(g *gateway.Gateway) []string {
	names := []string{}
	for _, d := range g.Devices() {
		names = append(names, d.Name)
	}
	return names
}

func TestANewDeviceFilterTakesEffectAtOnce(t *testing.T) {
	path := deviceFile(t, `{"kept": ["a", "x"], "other": ["b", "x"]}`)
	p, a, b := newRemote(true), newFeed(), newFeed()
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithDeviceFile(path), gateway.WithDeviceFilter(deny("kept")),
		gateway.WithConnector("a", a), gateway.WithConnector("b", b))
	ha, hb := <-a.host, <-b.host
	submit(t, ha, "one", 1)
	submit(t, ha, "two", 1)
	submit(t, hb, "two b", 1)
	require.NoError(t, ha.DeviceOnline(t.Context(), telemetry.Device{Name: "three"}))
	eventually(t, "that of b is announced", func() bool { return p.isOnline("other") })
	require.False(t, p.isOnline("kept"))

	submit(t, ha, "two x", 1)
	require.NoError(t, g.SetDeviceFilter(deny("two|three")))
	require.False(t, p.wentOffline("two x"), "an expression is for whole names")
	require.NoError(t, g.SetDeviceFilter(deny("two.*", "three")))
	require.True(t, p.wentOffline("two x"))
	require.True(t, p.wentOffline("two"))
	require.True(t, p.wentOffline("three"))
	require.False(t, p.wentOffline("one"))
	require.Equal(t, []string{"kept", "one", "other", "two b"}, known(g), "the filter is that of a")
	require.True(t, p.isOnline("kept"), "it passes now")
	for _, d := range []string{"one", "two", "three"} {
		submit(t, ha, d, 2)
		require.NoError(t, ha.DeviceOnline(t.Context(), telemetry.Device{Name: d}))
	}
	submit(t, hb, "two b", 2)
	require.Equal(t, []string{"kept", "one", "other", "two b"}, known(g))
	require.EqualValues(t, 2, g.Stats().Connectors["a"].Denied)

	require.ErrorContains(t, g.SetDeviceFilter(only("(")), `allow: connector "a"`)
	submit(t, ha, "two", 3) // the error has changed nothing
	submit(t, ha, "one", 3)
	require.NoError(t, g.SetDeviceFilter(gateway.DeviceFilter{}))
	submit(t, ha, "two", 4)
	submit(t, ha, "one", 4)
	require.Equal(t, []string{"kept", "one", "other", "two", "two b"}, known(g))
	require.NoError(t, stop())
	require.Equal(t, []int64{1, 2, 3, 4}, p.ints("one"))
	require.Equal(t, []int64{1, 4}, p.ints("two"))
	require.Equal(t, []int64{1, 2}, p.ints("two b"))
	require.Empty(t, p.ints("three"))
}

// What report policies hold back of a device goes with it.
func TestADeniedDeviceIsNotReportedAnyMore(t *testing.T) {
	for name, end := range map[string]func(stop func() error){
		"period": func(func() error) { time.Sleep(time.Hour) },
		"stop":   func(stop func() error) { _ = stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, f := newRemote(true), newFeed()
				g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithReportPolicy(
					telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute, Repeat: true}))
				h := <-f.host
				for _, d := range []string{"good", "bad"} {
					submit(t, h, d, 1, 2)
				}
				require.NoError(t, g.SetDeviceFilter(deny("bad")))
				time.Sleep(time.Second)
				end(stop)
				require.NoError(t, stop())
				require.Equal(t, []int64{1}, p.ints("bad"))
				require.Subset(t, p.ints("good"), []int64{1, 2})
			})
		})
	}
}

// A connector that is being replaced, or stopped, has the filter as well.
func TestTheFilterHoldsForAConnectorThatComes(t *testing.T) {
	p, f := newRemote(true), newFeed()
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	submit(t, <-f.host, "bad", 1)
	require.NoError(t, g.SetDeviceFilter(deny("bad")))
	next := newFeed()
	require.NoError(t, g.Replace(t.Context(), "a", next, time.Second))
	h := <-next.host
	submit(t, h, "bad", 2)
	submit(t, h, "good", 2)
	require.Equal(t, []string{"good"}, known(g))
	require.NoError(t, stop())
	require.Equal(t, []int64{1}, p.ints("bad"))
}

// hooked calls before when a device is announced.
type hooked struct {
	*remote
	before func(device string)
}

func (h *hooked) DeviceOnline(ctx context.Context, d telemetry.Device) error {
	h.before(d.Name)
	return h.remote.DeviceOnline(ctx, d)
}

// A filter that comes while a connector is heard or announces counts for that.
func TestTheFilterCountsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := &hooked{remote: newRemote(true), before: func(string) {}}, newFeed()
		g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithIdleTimeout(time.Minute))
		h := <-f.host
		submit(t, h, "silent", 1)
		time.Sleep(2 * time.Minute)
		require.True(t, p.wentOffline("silent"))
		p.before = func(string) { require.NoError(t, g.SetDeviceFilter(deny("bad"))) }
		b := reading("silent", 2) // is announced, and the filter comes
		b.Device("bad", "")
		b.Telemetry("n", telemetry.Int(2))
		_, err := h.Submit(t.Context(), b)
		require.NoError(t, err)
		require.Equal(t, []string{"silent"}, known(g))
		require.True(t, p.wentOffline("bad"))

		p.before = func(string) { require.NoError(t, g.SetDeviceFilter(deny("worse"))) }
		require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "worse"}))
		require.Equal(t, []string{"silent"}, known(g))
		require.False(t, p.isOnline("worse"))
		p.before = func(string) {}
		require.NoError(t, stop())
	})
}

// Whatever comes at the same time: a device that does not pass the last filter is
// not known after it, nor online.
func TestFiltersChangeUnderLoad(t *testing.T) {
	p, f := newRemote(true), newFeed()
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	h := <-f.host
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				d := fmt.Sprint("d", n%5)
				if i == 0 {
					_ = h.DeviceOnline(ctx, telemetry.Device{Name: d})
				} else {
					_, _ = h.Submit(ctx, reading(d, n))
				}
			}
		})
	}
	for i := range 100 {
		expression := fmt.Sprintf("d[%d%d]", i%5, (i+1)%5)
		require.NoError(t, g.SetDeviceFilter(deny(expression)))
		require.NoError(t, g.SetDeviceFilter(deny("d[0-3]")))
		g.SetIdleTimeout(time.Duration(i) * time.Millisecond)
	}
	cancel()
	wg.Wait()
	require.Subset(t, []string{"d4"}, known(g))
	for _, d := range []string{"d0", "d1", "d2", "d3"} {
		require.False(t, p.isOnline(d), d)
	}
	require.NoError(t, stop())
}

func TestPointsAreCountedByKind(t *testing.T) {
	p, f := newPlatform(), newFeed()
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithDeviceFilter(deny("bad")),
		gateway.WithReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange}))
	h := <-f.host
	b := new(telemetry.Batch)
	for range 2 { // the second time nothing is new
		b.Reset()
		b.Device("good", "")
		b.Telemetry("x", telemetry.Int(1))
		b.Telemetry("y", telemetry.Int(1))
		b.Telemetry("", telemetry.Int(1)) // invalid
		b.Attribute("x", telemetry.Int(1))
		b.Device("bad", "")
		b.Telemetry("x", telemetry.Int(1))
		_, err := h.Submit(t.Context(), b)
		require.NoError(t, err)
	}
	eventually(t, "they are published", func() bool { s := g.Stats(); return s.Published == 3 && s.Attributes == 1 })
	c := g.Stats().Connectors["a"]
	require.Equal(t, []uint64{8, 2}, []uint64{c.Telemetry, c.Attributes})
	require.Equal(t, c.Telemetry+c.Attributes, c.Stored+c.Filtered+c.Invalid+c.Denied)
	require.Equal(t, []uint64{2, 1, 3, 3, 2, 2}, []uint64{c.Received, c.Records, c.Stored, c.Filtered, c.Invalid, c.Denied})
	require.Greater(t, c.Bytes, uint64(10))
	require.Less(t, c.Bytes, uint64(60))
	require.NoError(t, stop())
}
