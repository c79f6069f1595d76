package statistics

import (
	"context"
	"maps"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// errorEvery is how often the counts of errors are looked at, and errorReset the
// time after which they begin at zero again.
const (
	errorEvery = 5 * time.Second
	errorReset = time.Minute
)

func errorPeriod(s Settings) time.Duration {
	if s.Period < 0 {
		return -1
	}
	return errorEvery
}

// errorWindow is the minute in which errors are counted.
type errorWindow struct {
	began time.Time
	base  map[string]uint64 // the counts when it began
	told  map[string]uint64 // what the platform knows: the counts of the window
}

// publishErrors publishes the errors of the minute if they are not what the
// platform knows. A minute does not end before all of it has been published.
func (c *Collector) publishErrors(ctx context.Context, p Publisher) {
	w := &c.errors
	now, counts := time.Now(), c.cfg.Errors()
	if w.began.IsZero() {
		w.began = now
	}
	fresh := w.count(counts)
	if maps.Equal(positive(fresh), positive(w.told)) {
		if now.Sub(w.began) < errorReset {
			return
		}
		w.began, w.base = now, counts
		if fresh = w.count(counts); maps.Equal(positive(fresh), positive(w.told)) {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, errorReset)
	defer cancel()
	if p.PublishOwn(ctx, errorPoints(fresh), nil) == nil {
		w.told = fresh
	}
}

// count returns the errors of the window, and zero for a source of which the
// platform knows others.
func (w *errorWindow) count(counts map[string]uint64) map[string]uint64 {
	fresh := make(map[string]uint64, len(counts))
	for name, n := range counts {
		if n = since(n, w.base[name]); n > 0 || w.told[name] > 0 {
			fresh[name] = n
		}
	}
	return fresh
}

func errorPoints(counts map[string]uint64) []telemetry.Point {
	points := make([]telemetry.Point, 0, len(counts)+1)
	all := uint64(0)
	for name, n := range counts {
		all += n
		points = append(points, telemetry.Point{Key: name + "_ERRORS_COUNT", Value: telemetry.Uint(n)})
	}
	return append(points, telemetry.Point{Key: "ALL_ERRORS_COUNT", Value: telemetry.Uint(all)})
}

// positive returns the counts that are not zero.
func positive(counts map[string]uint64) map[string]uint64 {
	out := maps.Clone(counts)
	maps.DeleteFunc(out, func(_ string, n uint64) bool { return n == 0 })
	if len(out) == 0 {
		return nil
	}
	return out
}
