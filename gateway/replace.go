package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
)

// Replace stops the connector of that name and runs c in its place, with the
// given options. What the connector before has submitted is kept. Its devices go
// over to c at once; those that c does not speak for within the grace (see
// [WithGrace]) are announced as gone.
//
// Replace returns when c has called Ready. If c fails for good, or is not ready
// within the given time, it is stopped, the connector before runs again, and the
// error says why. With zero for within, Replace returns when c has been started
// and does not come back on it. If ctx ends, or the gateway stops, the trial has
// failed.
//
// Of several calls for one name, one works at a time.
func (g *Gateway) Replace(ctx context.Context, name string, c connector.Connector, within time.Duration, opts ...ConnectorOption) error {
	next, err := g.prepare(name, c, opts)
	if err != nil {
		return err
	}
	release, err := g.reserve(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := g.untilStop(ctx)
	defer cancel()
	g.mu.Lock()
	old, ok := g.connectors[name]
	g.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if err := old.stop(); err != nil {
		old.log.Error("connector abandoned", "error", err)
	}
	known := g.devices.inherit(old, next)
	if err := g.put(next); err != nil {
		return err
	}
	if err := next.settle(ctx, within); err != nil {
		return g.rollBack(old, next, known, fmt.Errorf("connector %q: replace: %w", name, err))
	}
	g.retireLater(next)
	return nil
}

// rollBack runs old again in the place of next, because of err.
func (g *Gateway) rollBack(old, next *running, known map[string]bool, err error) error {
	if g.stopping.Err() != nil {
		return errors.Join(err, ErrStopped)
	}
	if stopped := next.stop(); stopped != nil {
		next.log.Error("connector abandoned", "error", stopped)
	}
	if !old.ended() {
		return fmt.Errorf("%w; the connector before it has not stopped and cannot run again", err)
	}
	g.devices.giveBack(next, old, known)
	if failed := g.put(old); failed != nil {
		return errors.Join(err, failed)
	}
	g.retireLater(old)
	return err
}

// put installs r, and starts it if the gateway is running.
func (g *Gateway) put(r *running) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.install(r)
}

// reserve waits until no other call replaces or removes the connector of that
// name.
func (g *Gateway) reserve(ctx context.Context, name string) (release func(), err error) {
	for {
		g.mu.Lock()
		busy := g.replacing[name]
		if busy == nil {
			mine := make(chan struct{})
			g.replacing[name] = mine
			g.mu.Unlock()
			return func() {
				g.mu.Lock()
				defer g.mu.Unlock()
				delete(g.replacing, name)
				close(mine)
			}, nil
		}
		g.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settle waits until r is ready, for at most the time within. It returns an error
// if that does not happen.
func (r *running) settle(ctx context.Context, within time.Duration) error {
	settled := r.outcome()
	if within <= 0 || settled == nil {
		return nil
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-settled:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-limit.C:
		if _, last := r.condition(); last != nil {
			return fmt.Errorf("not ready within %v: %w", within, last)
		}
		return fmt.Errorf("not ready within %v", within)
	}
	if state, last := r.condition(); state == Failed {
		return last
	}
	return nil
}

// DefaultGrace is how long a connector that has replaced another has to speak
// for the devices of that.
const DefaultGrace = time.Minute

// A tasks is a set of calls that are to come later. The zero tasks is ready to
// use.
type tasks struct {
	mu      sync.Mutex
	stopped bool
	timers  map[*time.Timer]struct{}
	wg      sync.WaitGroup
}

// after calls f once d has passed, unless stop is called first.
func (t *tasks) after(d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if t.timers == nil {
		t.timers = make(map[*time.Timer]struct{})
	}
	t.wg.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		defer t.wg.Done()
		t.mu.Lock()
		delete(t.timers, timer)
		t.mu.Unlock()
		f()
	})
	t.timers[timer] = struct{}{}
}

// stop drops what is to come, and waits for what is under way.
func (t *tasks) stop() {
	t.mu.Lock()
	t.stopped = true
	for timer := range t.timers {
		if timer.Stop() {
			t.wg.Done()
		}
	}
	clear(t.timers)
	t.mu.Unlock()
	t.wg.Wait()
}

// retireLater announces the devices that r has inherited and does not speak for
// as gone, after the grace.
func (g *Gateway) retireLater(r *running) {
	g.tasks.after(g.cfg.grace, func() {
		for _, name := range g.devices.retire(r) {
			r.log.Info("device is gone, the connector that replaced its own does not speak for it", "device", name)
			if err := g.north.Load().DeviceOffline(g.stopping, name); err != nil {
				r.log.Warn("device not announced as gone", "device", name, "error", err)
			}
		}
	})
}
