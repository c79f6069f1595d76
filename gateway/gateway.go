package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/internal/lane"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Errors of Add, Remove and Run.
var (
	ErrExists  = errors.New("gateway: a connector has that name already")
	ErrUnknown = errors.New("gateway: no connector has that name")
	ErrStopped = errors.New("gateway: it has stopped")
)

// A Gateway is made by New and works while Gateway.Run runs. Its methods may be
// called concurrently.
type Gateway struct {
	platform Platform
	store    eventstore.EventStore
	log      *slog.Logger
	cfg      options
	policy   *telemetry.ReportPolicy
	devices  devices
	lanes    lane.Lanes

	publisher *publisher

	mu         sync.Mutex
	connectors map[string]*running
	phase      phase
	ctx        context.Context // of the connectors; set while running
}

// phase is where a gateway is in its life.
type phase uint8

const (
	idle phase = iota
	active
	over
)

// New returns a gateway that is ready to run.
func New(opts ...Option) (*Gateway, error) {
	o := options{
		drain: DefaultDrainTimeout, stop: DefaultStopTimeout, window: DefaultWindow,
		limit: eventstore.Limit{Records: DefaultPublishRecords, Bytes: DefaultPublishBytes},
	}
	for _, opt := range opts {
		opt(&o)
	}
	if o.platform == nil {
		o.errs = append(o.errs, errors.New("gateway: no platform: use WithPlatform"))
	}
	if o.window < 1 {
		o.errs = append(o.errs, fmt.Errorf("gateway: publish window of %d", o.window))
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	if o.store == nil {
		o.store = memstore.New(memstore.Config{})
	}
	g := &Gateway{
		platform: o.platform, store: o.store, log: o.log, cfg: o, policy: o.policy,
		connectors: make(map[string]*running, len(o.connectors)),
	}
	g.publisher = newPublisher(g)
	for _, a := range o.connectors {
		if err := g.Add(a.name, a.c, a.opts...); err != nil {
			o.errs = append(o.errs, err)
		}
	}
	if err := errors.Join(o.errs...); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// Add adds a connector, and starts it if the gateway is running.
func (g *Gateway) Add(name string, c connector.Connector, opts ...ConnectorOption) error {
	if name == "" || c == nil {
		return errors.New("gateway: a connector needs a name and a value")
	}
	r := newRunning(g, name, c)
	for _, opt := range opts {
		opt(r)
	}
	if r.err != nil {
		return fmt.Errorf("connector %q: %w", name, r.err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, dup := g.connectors[name]; dup {
		return fmt.Errorf("%w: %q", ErrExists, name)
	}
	if g.phase == over {
		return ErrStopped
	}
	g.connectors[name] = r
	if g.phase == active {
		r.start(g.ctx)
	}
	return nil
}

// Remove stops a connector and waits until it has stopped. Its devices are
// announced as gone; what it stored is still published.
func (g *Gateway) Remove(name string) error {
	g.mu.Lock()
	r, ok := g.connectors[name]
	delete(g.connectors, name)
	g.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	stopped := r.stop()
	for _, device := range g.devices.remove(r) {
		if err := g.platform.DeviceOffline(context.Background(), device); err != nil {
			r.log.Warn("device not announced as gone", "device", device, "error", err)
		}
	}
	return stopped
}

// Run runs the gateway until ctx is done. Then it stops the connectors, gives
// what is stored a chance to be published, and returns nil. It returns early,
// with an error, only if the store fails. A gateway runs once.
func (g *Gateway) Run(ctx context.Context) (err error) {
	// The parts stop one after the other, so each has a context of its own.
	base := context.WithoutCancel(ctx)
	connectors, stopConnectors := context.WithCancel(base)
	defer stopConnectors()
	platform, stopPlatform := context.WithCancel(base)
	publishing, stopPublishing := context.WithCancel(base)

	var wg sync.WaitGroup
	defer func() { err = errors.Join(err, g.close()) }()
	defer wg.Wait()
	defer stopPlatform()
	defer stopPublishing()

	if err := g.activate(connectors); err != nil {
		return err
	}
	failed := make(chan error, 1)
	wg.Go(func() { g.runPlatform(platform) })
	wg.Go(func() { failed <- g.publisher.run(publishing) })

	var storeErr error
	select {
	case <-ctx.Done():
	case storeErr = <-failed:
	}
	g.log.Info("gateway stops", "pending", g.store.Stats().Pending)
	stopConnectors()
	g.stopAll()
	if storeErr != nil {
		return storeErr
	}
	g.publisher.drain(g.cfg.drain, failed)
	return nil
}

// activate starts the connectors, and lets Add start those that follow.
func (g *Gateway) activate(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase != idle {
		return errors.New("gateway: Run was called before")
	}
	g.phase, g.ctx = active, ctx
	for _, r := range g.connectors {
		r.start(ctx)
	}
	return nil
}

// stopAll waits until every connector has stopped, each for the stop time-out
// at most.
func (g *Gateway) stopAll() {
	g.mu.Lock()
	g.phase = over
	rs := make([]*running, 0, len(g.connectors))
	for _, r := range g.connectors {
		rs = append(rs, r)
	}
	g.mu.Unlock()
	var wg sync.WaitGroup
	for _, r := range rs {
		wg.Go(func() {
			if err := r.stop(); err != nil {
				r.log.Error("connector abandoned", "error", err)
			}
		})
	}
	wg.Wait()
}

func (g *Gateway) close() error {
	var errs []error
	for _, c := range g.cfg.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// runPlatform keeps the platform's Run running.
func (g *Gateway) runPlatform(ctx context.Context) {
	b := g.cfg.backoff
	for ctx.Err() == nil {
		err := guard("platform", func() error { return g.platform.Run(ctx, downlink{g}) })
		if ctx.Err() != nil {
			return
		}
		g.log.Error("platform client ended, will run it again", "error", err)
		if b.Wait(ctx) != nil {
			return
		}
	}
}

// Stats is the state of a gateway at one moment.
type Stats struct {
	Published  uint64 // points that the platform has acknowledged
	Discarded  uint64 // stored records that could not be published and were passed over
	Store      eventstore.Stats
	Connectors map[string]ConnectorStats
}

// Stats returns the state of g. It does not block on a connector.
func (g *Gateway) Stats() Stats {
	s := Stats{
		Published:  g.publisher.published.Load(),
		Discarded:  g.publisher.discarded.Load(),
		Store:      g.store.Stats(),
		Connectors: make(map[string]ConnectorStats),
	}
	g.mu.Lock()
	rs := make([]*running, 0, len(g.connectors))
	for _, r := range g.connectors {
		rs = append(rs, r)
	}
	g.mu.Unlock()
	for _, r := range rs {
		s.Connectors[r.name] = r.stats()
	}
	return s
}

// counters of one connector.
type counters struct {
	stored, filtered, invalid atomic.Uint64
}
