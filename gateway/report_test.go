package gateway_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// values submits values of the key "v" of the device "d".
func values(t *testing.T, h connector.Host, vs ...telemetry.Value) {
	t.Helper()
	for _, v := range vs {
		var b telemetry.Batch
		b.Device("d", "")
		b.Telemetry("v", v)
		_, err := h.Submit(t.Context(), &b)
		require.NoError(t, err)
	}
}

// reported returns what has arrived of the key.
func reported(p *platform, key string) (vs []telemetry.Value) {
	settle()
	for _, q := range p.got() {
		if q.key == key {
			vs = append(vs, q.value)
		}
	}
	return vs
}

func TestAValueIsReportedAgainWhenItsTimeToLiveIsOver(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnChange, TTL: time.Hour}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1)
		time.Sleep(59 * time.Minute)
		submit(t, h, "d", 1)
		expect(t, p, 1)
		time.Sleep(2 * time.Minute)
		expect(t, p, 1) // nothing without a reading
		submit(t, h, "d", 1, 1)
		expect(t, p, 1, 1)
		time.Sleep(30 * time.Minute)
		submit(t, h, "d", 2) // begins anew
		time.Sleep(45 * time.Minute)
		submit(t, h, "d", 2)
		expect(t, p, 1, 1, 2)
	})
}

func TestReportsKeepTheirDistance(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnChange, MinInterval: time.Minute}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1, 2, 3)
		expect(t, p, 1)
		time.Sleep(time.Minute)
		expect(t, p, 1, 3) // the last one, when the interval is over
		submit(t, h, "d", 4, 3)
		time.Sleep(2 * time.Minute)
		expect(t, p, 1, 3) // it is what it was
		submit(t, h, "d", 5)
		expect(t, p, 1, 3, 5) // the interval is over
	})
	policed(t, telemetry.ReportPolicy{MinInterval: time.Minute}, func(t *testing.T, h connector.Host, p *platform) {
		for range 60 {
			submit(t, h, "d", 7)
			time.Sleep(10 * time.Second)
		}
		expect(t, p, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7) // one, and ten in ten minutes
	})
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: time.Minute, MinInterval: 40 * time.Second}, func(t *testing.T, h connector.Host, p *platform) {
		submit(t, h, "d", 1)
		time.Sleep(30 * time.Second)
		submit(t, h, "d", 2)
		time.Sleep(10 * time.Second)
		expect(t, p, 1, 2) // at 40 s
		submit(t, h, "d", 2)
		time.Sleep(20 * time.Second)
		expect(t, p, 1, 2) // the period is over, the interval is not
		time.Sleep(20 * time.Second)
		expect(t, p, 1, 2, 2)
	})
}

func TestSeveralReadingsInOneBatchAreHeldBackToo(t *testing.T) {
	policed(t, telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute}, func(t *testing.T, h connector.Host, p *platform) {
		var b telemetry.Batch
		b.Device("d", "")
		for _, n := range []int64{1, 2, 3} {
			b.Telemetry("n", telemetry.Int(n))
		}
		_, err := h.Submit(t.Context(), &b)
		require.NoError(t, err)
		expect(t, p, 1)
		time.Sleep(time.Minute)
		expect(t, p, 1, 3)
	})
}

func TestAPeriodIsAggregated(t *testing.T) {
	f, i, s := telemetry.Float, telemetry.Int, telemetry.String
	in := []telemetry.Value{i(4), i(1), i(7)}
	for _, tt := range []struct {
		how  telemetry.Aggregation
		in   []telemetry.Value
		want telemetry.Value
	}{
		{telemetry.AggregateMin, in, i(1)},
		{telemetry.AggregateMax, in, i(7)},
		{telemetry.AggregateAvg, in, f(4)},
		{telemetry.AggregateSum, in, i(12)},
		{telemetry.AggregateCount, in, i(3)},
		{telemetry.AggregateSum, []telemetry.Value{i(1), f(0.5)}, f(1.5)},
		{telemetry.AggregateSum, []telemetry.Value{i(math.MaxInt64), i(1)}, f(1 << 63)},
		{telemetry.AggregateAvg, []telemetry.Value{s("a"), s("b")}, s("b")},
		{telemetry.AggregateMin, []telemetry.Value{telemetry.Bool(false), telemetry.Bool(true)}, telemetry.Bool(true)},
		{telemetry.AggregateCount, []telemetry.Value{s("a"), i(1), s("b")}, i(3)},
		{telemetry.AggregateAvg, []telemetry.Value{i(100), s("offline"), i(1), i(2)}, f(1.5)},
		{telemetry.AggregateMax, []telemetry.Value{telemetry.Float32(1.5), i(1)}, telemetry.Float32(1.5)},
	} {
		policy := telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute, Aggregate: tt.how}
		policed(t, policy, func(t *testing.T, h connector.Host, p *platform) {
			values(t, h, tt.in...)
			last := time.Now().UnixMilli() // of the stamps, but for those in between
			time.Sleep(59 * time.Second)
			require.Empty(t, reported(p, "v"))
			time.Sleep(time.Second)
			require.Equal(t, []telemetry.Value{tt.want}, reported(p, "v"), "%v of %v", tt.how, tt.in)
			require.InDelta(t, last, p.got()[0].ts, 10, "it has the time of the last reading")
			values(t, h, i(5))
			time.Sleep(time.Hour)
			require.Len(t, reported(p, "v"), 2, "a period without a reading yields nothing")
			values(t, h, i(6))
			time.Sleep(30 * time.Second)
			values(t, h, i(6))
			time.Sleep(31 * time.Second)
			require.Len(t, reported(p, "v"), 3)
		})
	}
}

// A sum that no number can hold is dropped and counted, and harms nothing else.
func TestASumBeyondAllNumbersIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, feed := newPlatform(), newFeed()
		g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", feed, gateway.WithPolicy(
			telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute, Aggregate: telemetry.AggregateSum})))
		h := <-feed.host
		values(t, h, telemetry.Float(math.MaxFloat64), telemetry.Float(math.MaxFloat64))
		submit(t, h, "d", 3)
		time.Sleep(time.Minute)
		expect(t, p, 3)
		require.Empty(t, reported(p, "v"))
		require.EqualValues(t, 1, g.Stats().Connectors["a"].Invalid)
		require.NoError(t, stop())
	})
}

func TestRepetitionsEndWithTheDeviceAndTheConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, feed := newPlatform(), newFeed()
		g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", feed, gateway.WithPolicy(
			telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: time.Minute, Repeat: true})))
		h := <-feed.host
		begin := time.Now().UnixMilli()
		submit(t, h, "d", 1)
		submit(t, h, "e", 1)
		time.Sleep(3 * time.Minute)
		expect(t, p, 1, 1, 1, 1)
		require.InDelta(t, begin+180_000, p.got()[len(p.got())-1].ts, 5, "with the time of the repetition")
		submit(t, h, "d", 2)
		time.Sleep(time.Minute)
		expect(t, p, 1, 1, 1, 1, 2, 2)
		require.NoError(t, h.DeviceOffline(t.Context(), "d"))
		time.Sleep(10 * time.Minute)
		expect(t, p, 1, 1, 1, 1, 2, 2)
		n := len(p.ints("e"))
		require.Equal(t, 15, n)
		require.NoError(t, g.Remove("a"))
		time.Sleep(10 * time.Minute)
		settle()
		require.Len(t, p.ints("e"), n)
		require.NoError(t, stop())
	})
}

// What a run of a connector has read is not repeated in the next one, which may
// not reach the device.
func TestRepetitionsEndWithTheRunOfAConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform()
		runs := make(chan connector.Host, 2)
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
		_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", c, gateway.WithPolicy(
			telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute, Repeat: true})))
		submit(t, <-runs, "d", 1)
		time.Sleep(time.Minute)
		expect(t, p, 1, 1)
		end <- errors.New("connection lost")
		h := <-runs
		time.Sleep(10 * time.Minute)
		expect(t, p, 1, 1)
		submit(t, h, "d", 2)
		time.Sleep(time.Minute)
		expect(t, p, 1, 1, 2, 2)
		require.NoError(t, stop())
	})
}

func TestPoliciesOfAttributesAndOfDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, feed := newPlatform(), newFeed()
		change := telemetry.ReportPolicy{Mode: telemetry.OnChange}
		_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", feed,
			gateway.WithPolicy(telemetry.ReportPolicy{Attributes: &change}), gateway.WithDevicePolicy("quiet", change)))
		h := <-feed.host
		own := &telemetry.ReportPolicy{Attributes: &change} // as a converter gives to all of a device
		for range 3 {
			var b telemetry.Batch
			for _, d := range []string{"d", "quiet"} {
				b.Device(d, "")
				b.Telemetry(d+" series", telemetry.Int(1))
				b.Attribute(d+" attribute", telemetry.Int(1))
				b.AddTelemetry(telemetry.Point{Key: d + " key", Value: telemetry.Int(1), Report: own})
				b.AddAttribute(telemetry.Point{Key: d + " key attribute", Value: telemetry.Int(1), Report: own})
			}
			_, err := h.Submit(t.Context(), &b)
			require.NoError(t, err)
		}
		for key, want := range map[string]int{
			"d series": 3, "d attribute": 1, "d key": 3, "d key attribute": 1,
			"quiet series": 1, "quiet attribute": 1, "quiet key": 3, "quiet key attribute": 1,
		} {
			require.Len(t, reported(p, key), want, key)
		}
		require.NoError(t, stop())
	})
	_, err := gateway.New(gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", newFeed(),
		gateway.WithDevicePolicy("d", telemetry.ReportPolicy{Deadband: -1})))
	require.ErrorContains(t, err, `device "d"`)
}

// A day of readings every ten seconds, of each policy: the numbers of reports
// are exact, and the periods do not drift.
func TestADayOfReadings(t *testing.T) {
	const day, step = 24 * time.Hour, 10 * time.Second
	wave := func(i int) telemetry.Value { // a sine of ten degrees around twenty, every hour
		return telemetry.Float(20 + 10*math.Sin(2*math.Pi*float64(i)/360))
	}
	still := func(int) telemetry.Value { return telemetry.Float(20) }
	ticks := int(day / step)
	for name, tt := range map[string]struct {
		policy   telemetry.ReportPolicy
		of       func(int) telemetry.Value
		min, max int
	}{
		"received":              {telemetry.ReportPolicy{}, still, ticks, ticks},
		"change, still":         {telemetry.ReportPolicy{Mode: telemetry.OnChange}, still, 1, 1},
		"change, ttl":           {telemetry.ReportPolicy{Mode: telemetry.OnChange, TTL: time.Hour}, still, 24, 24},
		"change, moving":        {telemetry.ReportPolicy{Mode: telemetry.OnChange}, wave, ticks * 9 / 10, ticks},
		"change, deadband":      {telemetry.ReportPolicy{Mode: telemetry.OnChange, Deadband: 5}, wave, 24 * 4, 24 * 9},
		"change, percent":       {telemetry.ReportPolicy{Mode: telemetry.OnChange, DeadbandPercent: 50}, wave, 24 * 2, 24 * 6},
		"change, interval":      {telemetry.ReportPolicy{Mode: telemetry.OnChange, MinInterval: time.Minute}, wave, 24*60 - 5, 24*60 + 5},
		"period":                {telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute}, wave, 24 * 60, 24*60 + 1},
		"period, average":       {telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Minute, Aggregate: telemetry.AggregateAvg}, wave, 24*60 - 1, 24 * 60},
		"change or period":      {telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: time.Minute}, still, 24 * 60, 24*60 + 1},
		"period between a tick": {telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 25 * time.Second}, wave, int(day/(25*time.Second)) - 1, int(day/(25*time.Second)) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			policed(t, tt.policy, func(t *testing.T, h connector.Host, p *platform) {
				for i := range ticks {
					values(t, h, tt.of(i))
					time.Sleep(step)
				}
				n := len(reported(p, "v"))
				require.GreaterOrEqual(t, n, tt.min)
				require.LessOrEqual(t, n, tt.max)
			})
		})
	}
	t.Run("a sum leaves nothing out", func(t *testing.T) {
		policy := telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 7 * time.Minute, Aggregate: telemetry.AggregateSum}
		policed(t, policy, func(t *testing.T, h connector.Host, p *platform) {
			for range ticks {
				values(t, h, telemetry.Int(1))
				time.Sleep(step)
			}
			time.Sleep(7 * time.Minute)
			total := int64(0)
			for _, v := range reported(p, "v") {
				total += v.Int()
			}
			require.EqualValues(t, ticks, total)
		})
	})
}
