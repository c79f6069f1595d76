package gateway

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// fill makes f know keys of ten keys a device.
func fill(f *filter, keys int, p *telemetry.ReportPolicy) {
	for i := range keys {
		d := telemetry.Device{Name: fmt.Sprintf("meter-%05d", i/10), Profile: "meter"}
		for n := range 2 { // the second one is held back by a policy with a period
			q := telemetry.Point{Key: fmt.Sprintf("register%d", i%10), Value: telemetry.Float(float64(i + n)), TS: int64(n + 1)}
			f.pass(d, &q, false, p, 1)
		}
		f.commit(1)
	}
}

// BenchmarkStatePerKey measures what a report policy costs in memory, in bytes a
// key.
func BenchmarkStatePerKey(b *testing.B) {
	for name, p := range map[string]*telemetry.ReportPolicy{
		"change": {Mode: telemetry.OnChange},
		"period": {Mode: telemetry.OnPeriod, Period: 1e9},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(bytesPerKey(p), "B/key")
			}
		})
	}
}

func bytesPerKey(p *telemetry.ReportPolicy) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := newFilter()
	fill(&f, maxFiltered, p)
	runtime.GC()
	runtime.ReadMemStats(&after)
	defer runtime.KeepAlive(&f)
	return float64(after.HeapAlloc-before.HeapAlloc) / maxFiltered
}

func TestAKeyCostsNoMoreThan300Bytes(t *testing.T) {
	require.Less(t, bytesPerKey(&telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 1e9}), 300.0)
}

func TestTheStateOfAFilterIsBounded(t *testing.T) {
	f := newFilter()
	p := &telemetry.ReportPolicy{Mode: telemetry.OnChange}
	fill(&f, maxFiltered, p)
	require.Equal(t, maxFiltered, f.entries)
	d := telemetry.Device{Name: "one more"}
	q := telemetry.Point{Key: "k", Value: telemetry.Int(1)}
	for range 2 {
		require.True(t, f.pass(d, &q, false, p, 1), "what is not remembered is reported")
	}
	require.Equal(t, maxFiltered, f.entries)
	require.NotContains(t, f.devices, "one more")
	for i := range maxFiltered / 10 {
		f.drop(fmt.Sprintf("meter-%05d", i))
	}
	require.Zero(t, f.entries)
	require.Empty(t, f.devices)
}

func TestKeysWithoutReadingsAreForgotten(t *testing.T) {
	f := newFilter()
	p := &telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: 1e9, Repeat: true}
	d := telemetry.Device{Name: "d"}
	pass := func(key string, now int64) {
		q := telemetry.Point{Key: key, Value: telemetry.Int(1)}
		f.pass(d, &q, false, p, now)
		f.commit(now)
	}
	pass("old", 1)
	pass("new", 1)
	require.Len(t, f.held, 2, "both are repeated")
	f.sweep(int64(sweepEvery))
	require.Equal(t, 2, f.entries)
	pass("new", int64(sweepEvery)+1)
	f.sweep(2*int64(sweepEvery) - 1)
	require.Equal(t, 2, f.entries, "not more often than that")
	f.sweep(2 * int64(sweepEvery))
	require.Equal(t, 1, f.entries)
	require.Len(t, f.held, 1)
	f.sweep(3 * int64(sweepEvery))
	require.Zero(t, f.entries)
	require.Empty(t, f.devices)
	require.Empty(t, f.held)
}

// What is undone after a failure of the store is undone as a whole: counted
// readings are not counted twice when their source delivers them again.
func TestRollbackRestoresWhatWasHeld(t *testing.T) {
	f := newFilter()
	count := &telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 100, Aggregate: telemetry.AggregateSum}
	later := &telemetry.ReportPolicy{Mode: telemetry.OnChange, MinInterval: 100}
	d := telemetry.Device{Name: "d"}
	pass := func(key string, v int64, p *telemetry.ReportPolicy, now int64) bool {
		q := telemetry.Point{Key: key, Value: telemetry.Int(v), TS: now}
		return f.pass(d, &q, false, p, now)
	}
	pass("sum", 1, count, 1)
	pass("min", 1, later, 1)
	f.commit(1)
	pass("min", 2, later, 50)
	f.commit(50)
	held := func(key string) reading { return f.devices["d"].keys[0][key].held }
	sum, gap := held("sum"), held("min")
	require.EqualValues(t, 1, sum.n)
	require.EqualValues(t, 101, gap.wake)

	pass("sum", 5, count, 60)
	pass("sum", 5, count, 60)
	pass("fresh", 5, count, 60)
	require.True(t, pass("min", 3, later, 150))
	f.rollback()
	require.Equal(t, sum, held("sum"))
	require.Equal(t, gap, held("min"))
	require.Zero(t, held("fresh"))
	require.Len(t, f.held, 2)
	for i, e := range f.held {
		require.EqualValues(t, i+1, e.index)
	}

	pass("min", 1, later, 60) // what it was: nothing is left to report
	f.rollback()
	require.Equal(t, gap, held("min"))
	pass("min", 1, later, 60)
	f.commit(60)
	require.Zero(t, held("min"))
}

func TestSilenceEndsRepetitionsAndNothingElse(t *testing.T) {
	f := newFilter()
	p := &telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: 1e9, Repeat: true}
	for i := range 100 {
		q := telemetry.Point{Key: fmt.Sprint(i), Value: telemetry.Int(1)}
		f.pass(telemetry.Device{Name: "d"}, &q, false, p, int64(1000*(i*37%100)))
		f.commit(int64(1000 * (i * 37 % 100)))
		if i%3 == 0 { // held back
			f.pass(telemetry.Device{Name: "d"}, &q, false, p, int64(200_000-i))
			f.commit(int64(200_000 - i))
		}
	}
	require.Len(t, f.held, 100)
	f.silence()
	require.Len(t, f.held, 34)
	last := int64(0)
	for len(f.held) > 0 {
		e := f.held[0]
		require.EqualValues(t, 1, e.index)
		require.GreaterOrEqual(t, e.held.wake, last, "in order")
		require.Positive(t, e.held.n)
		last = e.held.wake
		f.unhold(e)
	}
}

// A report that comes late does not put off the next ones.
func TestPeriodsFollowOneAnother(t *testing.T) {
	f := newFilter()
	p := &telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 100}
	pass := func(now int64) bool {
		q := telemetry.Point{Key: "k", Value: telemetry.Int(now)}
		report := f.pass(telemetry.Device{Name: "d"}, &q, false, p, now)
		f.commit(now)
		return report
	}
	require.True(t, pass(1000))
	require.True(t, pass(1130), "the period was over at 1100")
	require.False(t, pass(1150))
	wake, _ := f.wake()
	require.EqualValues(t, 1200, wake)
	f.drop("d")
	require.True(t, pass(2000))
	require.True(t, pass(2950), "after a pause they begin anew")
	require.False(t, pass(2960))
	wake, _ = f.wake()
	require.EqualValues(t, 3050, wake)
}
