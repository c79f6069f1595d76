package gateway

import (
	"context"
	"sync/atomic"
	"time"
)

// WithIdleTimeout announces devices as gone that had no data for the given time,
// or that were announced so long ago and had none. Data counts as it is submitted,
// also what report policies hold back. The next data announces the device again.
// Zero, which is the default, or less: devices are never idle.
func WithIdleTimeout(d time.Duration) Option { return func(o *options) { o.idle = d } }

// SetIdleTimeout sets what [WithIdleTimeout] does. Silence counts from before the
// call, so devices can be idle at once. Those that count as gone already do so
// until their next data.
func (g *Gateway) SetIdleTimeout(d time.Duration) { g.idle.set(d) }

// The bounds of how often idle devices are looked for: a quarter of the time-out.
const (
	minIdleCheck = 10 * time.Millisecond
	maxIdleCheck = 10 * time.Second
)

// An idleTimeout is a time-out that can change.
type idleTimeout struct {
	nanoseconds atomic.Int64
	changed     chan struct{} // holds a token when it has
}

func newIdleTimeout(d time.Duration) *idleTimeout {
	t := &idleTimeout{changed: make(chan struct{}, 1)}
	t.set(d)
	return t
}

func (t *idleTimeout) set(d time.Duration) {
	t.nanoseconds.Store(int64(d))
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (t *idleTimeout) get() time.Duration { return time.Duration(t.nanoseconds.Load()) }

// watchIdle announces idle devices as gone until ctx is done. Without a time-out
// it waits for one.
func (g *Gateway) watchIdle(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-g.idle.changed:
			tick.Stop()
			if d := g.idle.get(); d > 0 {
				tick.Reset(min(max(d/4, minIdleCheck), maxIdleCheck))
			}
		case <-ctx.Done():
			return
		}
		if d := g.idle.get(); d > 0 {
			g.retireIdle(ctx, d)
		}
	}
}

func (g *Gateway) retireIdle(ctx context.Context, timeout time.Duration) {
	before := int64(time.Since(g.begun) - timeout)
	for _, d := range g.devices.all() {
		if !d.online() || d.active.Load() > before || !d.state.CompareAndSwap(int32(present), int32(silent)) {
			continue
		}
		g.log.Info("device is idle and counts as gone until its next data", "device", d.name, "timeout", timeout)
		if err := g.north.Load().DeviceOffline(ctx, d.name); err != nil {
			g.log.Warn("device not announced as gone", "device", d.name, "error", err)
		}
	}
}
