package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	north   atomic.Pointer[northbound]
	depot   depot
	log     *slog.Logger
	cfg     options
	policy  atomic.Pointer[telemetry.ReportPolicy]
	doors   atomic.Pointer[doors]
	idle    *idleTimeout
	devices devices
	lanes   lane.Lanes
	tasks   tasks
	begun   time.Time
	kept    *deviceFile // nil if devices are not kept

	publisher *publisher

	changing chan struct{}   // holds a token while the store or the platform changes
	stopping context.Context // done when the gateway stops
	stop     context.CancelFunc

	mu         sync.Mutex
	connectors map[string]*running
	replacing  map[string]chan struct{} // closed when the replacement of that name is over
	phase      phase
	ctx        context.Context // of the connectors; set while running
	platforms  context.Context // of platforms; the same
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
		drain: DefaultDrainTimeout, stop: DefaultStopTimeout, grace: DefaultGrace, window: DefaultWindow,
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
		log: o.log, cfg: o, begun: time.Now(), changing: make(chan struct{}, 1),
		connectors: make(map[string]*running, len(o.connectors)), replacing: make(map[string]chan struct{}),
	}
	g.stopping, g.stop = context.WithCancel(context.Background())
	g.north.Store(newNorthbound(o.platform))
	g.depot.stock.Store(newStock(o.store, o.owned))
	g.policy.Store(o.policy)
	g.doors.Store(o.doors)
	g.idle = newIdleTimeout(o.idle)
	g.publisher = newPublisher(g)
	if o.deviceFile != "" {
		g.keepDevices(o.deviceFile)
	}
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

// keepDevices makes the devices of a file known, and has changes written to it.
func (g *Gateway) keepDevices(path string) {
	g.kept = &deviceFile{path: path, devices: &g.devices, log: g.log, dirty: make(chan struct{}, 1)}
	g.kept.renamer = func() Renamer {
		r, _ := g.north.Load().Platform.(Renamer)
		return r
	}
	g.kept.load()
	g.devices.changed = g.kept.change
}

// Add adds a connector, and starts it if the gateway is running.
func (g *Gateway) Add(name string, c connector.Connector, opts ...ConnectorOption) error {
	r, err := g.prepare(name, c, opts)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, dup := g.connectors[name]; dup || g.replacing[name] != nil {
		return fmt.Errorf("%w: %q", ErrExists, name)
	}
	return g.install(r)
}

// prepare makes what runs a connector.
func (g *Gateway) prepare(name string, c connector.Connector, opts []ConnectorOption) (*running, error) {
	if name == "" || c == nil {
		return nil, errors.New("gateway: a connector needs a name and a value")
	}
	r := newRunning(g, name, c)
	for _, opt := range opts {
		opt(r)
	}
	if r.err != nil {
		return nil, fmt.Errorf("connector %q: %w", name, r.err)
	}
	return r, nil
}

// install puts r under its name and starts it if the gateway is running. g.mu is
// held.
func (g *Gateway) install(r *running) error {
	if g.phase == over {
		return ErrStopped
	}
	g.connectors[r.name] = r
	g.devices.adopt(r)
	if g.phase == active {
		r.start(g.ctx)
	}
	return nil
}

// Remove stops a connector and waits until it has stopped. Its devices are
// announced as gone; what it stored is still published. It waits for a
// [Gateway.Replace] of that name.
func (g *Gateway) Remove(name string) error {
	release, err := g.reserve(context.Background(), name)
	if err != nil {
		return err
	}
	defer release()
	g.mu.Lock()
	r, ok := g.connectors[name]
	delete(g.connectors, name)
	g.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	stopped := r.stop()
	for _, device := range g.devices.remove(r) {
		if err := g.north.Load().DeviceOffline(context.Background(), device); err != nil {
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
	platforms, stopPlatforms := context.WithCancel(base)
	defer stopPlatforms()
	publishing, stopPublishing := context.WithCancel(base)

	if err := g.activate(connectors, platforms); err != nil {
		stopPublishing()
		return err
	}
	var wg sync.WaitGroup
	defer func() { err = errors.Join(err, g.close()) }()
	defer func() { <-g.north.Load().done }()
	defer wg.Wait()
	defer stopPlatforms()
	defer stopPublishing()

	watching, stopWatching := context.WithCancel(base)
	defer stopWatching()
	if g.kept != nil {
		wg.Go(func() { g.kept.run(watching) })
	}
	wg.Go(func() { g.watchIdle(watching) })
	failed := make(chan error, 1)
	wg.Go(func() { failed <- g.publisher.run(publishing) })

	var storeErr error
	select {
	case <-ctx.Done():
	case storeErr = <-failed:
	}
	g.log.Info("gateway stops", "pending", g.depot.current().store.Stats().Pending)
	g.stop()
	g.changing <- struct{}{} // what is being changed has to end first
	g.tasks.stop()
	stopConnectors()
	g.stopAll()
	stopWatching()
	if storeErr != nil {
		return storeErr
	}
	g.publisher.drain(g.cfg.drain, g.depot.current().store, failed)
	return nil
}

// activate starts the platform and the connectors, and lets Add start those that
// follow.
func (g *Gateway) activate(connectors, platforms context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase != idle {
		return errors.New("gateway: Run was called before")
	}
	g.phase, g.ctx, g.platforms = active, connectors, platforms
	g.north.Load().start(platforms, g, downlink{g})
	for _, r := range g.connectors {
		r.start(connectors)
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
	if st := g.depot.current(); st.owned {
		errs = append(errs, st.store.Close())
	}
	return errors.Join(errs...)
}

// Store returns the store in use. It is for looking at its condition: what is in
// it belongs to g.
func (g *Gateway) Store() eventstore.EventStore { return g.depot.current().store }

// Platform returns the platform in use.
func (g *Gateway) Platform() Platform { return g.north.Load().Platform }

// SetReportPolicy sets the policy of the connectors and keys that have none of
// their own. What was held back is reported; the next reading of every key is
// news.
func (g *Gateway) SetReportPolicy(p telemetry.ReportPolicy) error {
	if err := checkPolicy(&p); err != nil {
		return err
	}
	g.policy.Store(&p)
	g.mu.Lock()
	rs := slices.Collect(maps.Values(g.connectors))
	g.mu.Unlock()
	for _, r := range rs {
		if r.policy == nil {
			r.host.renew()
		}
	}
	return nil
}

// Stats is the state of a gateway at one moment.
type Stats struct {
	Published  uint64 // points that the platform has acknowledged
	Attributes uint64 // of these, attributes
	Discarded  uint64 // stored records that could not be published and were passed over
	Store      eventstore.Stats
	Connectors map[string]ConnectorStats
}

// Stats returns the state of g. It does not block on a connector.
func (g *Gateway) Stats() Stats {
	s := Stats{
		Attributes: g.publisher.attributes.Load(), // before the sum that it is part of
		Published:  g.publisher.published.Load(),
		Discarded:  g.publisher.discarded.Load(),
		Store:      g.depot.current().store.Stats(),
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
	received, records atomic.Uint64 // batches
	bytes             atomic.Uint64 // of records
	stored, filtered  atomic.Uint64 // points
	invalid, denied   atomic.Uint64 // points

	telemetry, attributes atomic.Uint64 // points
}
