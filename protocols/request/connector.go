package request

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
)

// A Connector sends requests to HTTP servers.
type Connector struct {
	cfg  Config
	plan *plan
	err  error // why the configuration cannot be used
	run  atomic.Pointer[run]

	requests, failed, unmodified, messages, malformed atomic.Uint64
}

var (
	_ connector.Connector        = (*Connector)(nil)
	_ connector.RPCHandler       = (*Connector)(nil)
	_ connector.AttributeUpdater = (*Connector)(nil)
	_ connector.HealthReporter   = (*Connector)(nil)
)

// New returns a connector for cfg. If cfg cannot be used, Run says why.
func New(cfg Config) *Connector {
	c := &Connector{cfg: cfg.withDefaults()}
	var err error
	if c.plan, err = c.cfg.compile(); err != nil {
		c.err = fmt.Errorf("request: configuration: %w", err)
	}
	return c
}

// Stats are counts since New.
type Stats struct {
	Polls      uint64 // of endpoints, with all of their pages
	Failed     uint64 // of these, the ones that did not get all that they asked for
	Unmodified uint64 // of these, the ones that found nothing changed
	Messages   uint64 // that were received
	Malformed  uint64 // of these, the ones that do not convert
	Missing    uint64 // values that are configured and were not in their messages
}

// Stats returns counts. It does not block.
func (c *Connector) Stats() Stats {
	s := Stats{
		Polls: c.requests.Load(), Failed: c.failed.Load(), Unmodified: c.unmodified.Load(),
		Messages: c.messages.Load(), Malformed: c.malformed.Load(),
	}
	for _, e := range c.plan.endpoints {
		if e.json != nil {
			s.Missing += e.json.missing.Load()
		}
	}
	return s
}

// Health implements connector.HealthReporter. It is bad while an endpoint fails.
func (c *Connector) Health() connector.Health {
	failing, first := 0, ""
	for _, e := range c.plan.endpoints {
		if err := e.state.failure(); err != nil {
			if failing++; first == "" {
				first = err.Error()
			}
		}
	}
	if failing == 0 {
		return connector.Health{OK: true}
	}
	return connector.Health{Detail: fmt.Sprintf("%d of %d endpoints fail: %s", failing, len(c.plan.endpoints), first)}
}

var errNotRunning = errors.New("request: the connector is not running")

// A run is one run of a Connector.
type run struct {
	c      *Connector
	host   connector.Host
	log    *slog.Logger
	client *client
	over   context.Context //nolint:containedctx // done when the run ends, and its calls with it
	ready  sync.Once
}

// during returns ctx, which ends with the run.
func (r *run) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.over, func() { cancel(errNotRunning) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Run implements connector.Connector. It polls the endpoints until ctx is done.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	r := &run{c: c, host: host, log: host.Logger(), client: newClient(c.cfg), over: ctx}
	defer r.client.close()
	lanes, err := r.lanes()
	if err != nil {
		return connector.Permanent(fmt.Errorf("request: %w", err))
	}
	c.run.Store(r)
	defer c.run.CompareAndSwap(r, nil)
	if len(lanes) == 0 {
		r.ready.Do(host.Ready)
	}
	var work sync.WaitGroup
	for _, l := range lanes {
		work.Go(func() { _ = l.Run(ctx) }) // it ends with ctx only
	}
	<-ctx.Done()
	work.Wait()
	return ctx.Err()
}

// lanes returns one lane for each endpoint, so that none waits for another. One that
// fails is asked less often, up to a minute apart.
func (r *run) lanes() ([]*poll.Lane, error) {
	lanes := make([]*poll.Lane, 0, len(r.c.plan.endpoints))
	for i, e := range r.c.plan.endpoints {
		e.state.begin(time.Now().Add(-e.period))
		l, err := poll.NewLane(
			poll.Config{First: i, Shortest: e.period, Longest: max(e.period, time.Minute)},
			poll.Device{Name: e.name, Jobs: []poll.Job{{
				Interval: e.period,
				Poll:     func(ctx context.Context, _ *poll.Turn) error { return r.poll(ctx, e) },
			}}},
		)
		if err != nil {
			return nil, err
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}
