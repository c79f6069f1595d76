package gateway

import (
	"context"
	"time"
)

// WithIdleTimeout announces devices as gone that had no data for the given time,
// or that were announced so long ago and had none. Data counts as it is submitted,
// also what report policies hold back. The next data announces the device again.
func WithIdleTimeout(d time.Duration) Option { return func(o *options) { o.idle = d } }

// The bounds of how often idle devices are looked for: a quarter of the time-out.
const (
	minIdleCheck = 10 * time.Millisecond
	maxIdleCheck = 10 * time.Second
)

// watchIdle announces idle devices as gone until ctx is done.
func (g *Gateway) watchIdle(ctx context.Context, timeout time.Duration) {
	tick := time.NewTicker(min(max(timeout/4, minIdleCheck), maxIdleCheck))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.retireIdle(ctx, timeout)
		case <-ctx.Done():
			return
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
