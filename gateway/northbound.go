package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A northbound is a platform and its Run.
type northbound struct {
	Platform

	unused context.Context // done once another platform is in its place
	leave  context.CancelFunc

	cancel context.CancelFunc // of Run; nil while it does not run
	done   chan struct{}
}

func newNorthbound(p Platform) *northbound {
	nb := &northbound{Platform: p}
	nb.unused, nb.leave = context.WithCancel(context.Background())
	return nb
}

// start keeps the platform's Run running until stop.
func (nb *northbound) start(ctx context.Context, g *Gateway, d Downlink) {
	ctx, nb.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	nb.done = done
	go func() {
		defer close(done)
		g.runPlatform(ctx, nb.Platform, d)
	}()
}

// stop ends Run and waits for it, for at most the time d.
func (nb *northbound) stop(d time.Duration) error {
	if nb.cancel == nil {
		return nil
	}
	nb.cancel()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-nb.done:
		return nil
	case <-t.C:
		return fmt.Errorf("it did not stop within %v", d)
	}
}

// attributes asks for attributes, for as long as the platform is used.
func (nb *northbound) attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(nb.unused, cancel)()
	return nb.Attributes(ctx, q)
}

// runPlatform keeps the platform's Run running.
func (g *Gateway) runPlatform(ctx context.Context, p Platform, d Downlink) {
	b := g.cfg.backoff
	for ctx.Err() == nil {
		err := guard("platform", func() error { return p.Run(ctx, d) })
		if ctx.Err() != nil {
			return
		}
		g.log.Error("platform client ended, will run it again", "error", err)
		if b.Wait(ctx) != nil {
			return
		}
	}
}

// SetPlatform runs p beside the present platform until p is connected, but for
// at most the given time. Then p takes over: the devices that are online are
// announced to it, what the present platform has not acknowledged is published
// again through it, and the present one ends. If p does not connect it is
// stopped, the present platform goes on, and the error says why.
//
// There is a trial only if p is a [Prober] and within is positive; otherwise p
// takes over at once. If p is an [Excluder] that excludes the present platform,
// that is stopped for the trial, and started again should it fail; data is
// stored meanwhile. Calls that reach p during the trial wait for its outcome.
func (g *Gateway) SetPlatform(ctx context.Context, p Platform, within time.Duration) error {
	if p == nil {
		return errors.New("gateway: set platform: there is no platform")
	}
	ctx, done, err := g.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	old := g.north.Load()
	if old.Platform == p {
		return errors.New("gateway: set platform: it is in use already")
	}
	base := g.platformContext()
	next := newNorthbound(p)
	if base == nil { // Run was not called yet
		g.north.Store(next)
		g.publisher.platform = p
		return nil
	}
	if err := g.takeOver(ctx, base, old, next, within); err != nil {
		return fmt.Errorf("gateway: set platform: %w", err)
	}
	return nil
}

// takeOver puts next in the place of old, if it connects.
func (g *Gateway) takeOver(ctx, base context.Context, old, next *northbound, within time.Duration) error {
	ex, ok := next.Platform.(Excluder)
	alone := ok && ex.Excludes(old.Platform)
	if alone {
		if err := old.stop(g.cfg.stop); err != nil {
			return fmt.Errorf("the platform in use: %w", err)
		}
	}
	t := &trial{downlink: downlink{g}, over: make(chan struct{})}
	next.start(base, g, t)
	err := next.connected(ctx, within)
	var resume func(eventstore.EventStore, Platform)
	if err == nil {
		resume, err = g.publisher.pause(ctx)
	}
	if err != nil {
		t.end(false)
		err = errors.Join(err, next.stop(g.cfg.stop))
		if alone && base.Err() == nil {
			old.start(base, g, downlink{g})
		}
		return err
	}
	g.north.Store(next)
	old.leave()
	g.announceAll(ctx, next.Platform)
	resume(g.depot.current().store, next.Platform)
	t.end(true)
	if !alone {
		if err := old.stop(g.cfg.stop); err != nil {
			g.log.Warn("platform client that is not used any more is abandoned", "error", err)
		}
	}
	return nil
}

// probeEvery is how often a platform on trial is asked whether it is connected.
const probeEvery = 20 * time.Millisecond

// connected waits until the platform is connected, if it can tell.
func (nb *northbound) connected(ctx context.Context, within time.Duration) error {
	p, ok := nb.Platform.(Prober)
	if !ok || within <= 0 {
		return nil
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for !p.Connected() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), p.LastError())
		case <-limit.C:
			return errors.Join(fmt.Errorf("the new platform did not connect within %v", within), p.LastError())
		}
	}
	return nil
}

// announceAll tells p of all devices that are online.
func (g *Gateway) announceAll(ctx context.Context, p Platform) {
	for _, dev := range g.devices.all() {
		if !dev.online() {
			continue
		}
		err := p.DeviceOnline(ctx, dev.device())
		if err == nil && !dev.online() { // it has gone meanwhile
			err = p.DeviceOffline(ctx, dev.name)
		}
		if err != nil {
			g.log.Warn("device not announced", "device", dev.name, "error", err)
		}
	}
}

var (
	_ Downlink       = (*trial)(nil)
	_ DeviceObserver = (*trial)(nil)
)

// A trial holds back what a platform sends down until it is in use.
type trial struct {
	downlink
	taken atomic.Bool
	over  chan struct{} // closed when the trial is
}

var errNotTaken = errors.New("the connection was tried and is not used")

func (t *trial) end(taken bool) {
	t.taken.Store(taken)
	close(t.over)
}

func (t *trial) wait(ctx context.Context) error {
	select {
	case <-t.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !t.taken.Load() {
		return errNotTaken
	}
	return nil
}

// HandleRPC implements connector.RPCHandler.
func (t *trial) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	if err := t.wait(ctx); err != nil {
		return telemetry.Value{}, err
	}
	return t.downlink.HandleRPC(ctx, r)
}

// UpdateAttributes implements connector.AttributeUpdater.
func (t *trial) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	if err := t.wait(ctx); err != nil {
		return err
	}
	return t.downlink.UpdateAttributes(ctx, u)
}
