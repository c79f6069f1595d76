package bacnet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
)

// A Connector discovers, polls and writes to BACnet devices. It is a
// [connector.Connector], [connector.RPCHandler], [connector.AttributeSyncer] and
// [connector.HealthReporter].
type Connector struct {
	cfg     Config
	entries []*entry
	err     error // what is wrong with the configuration

	mu      sync.Mutex
	session *session // while Run runs
}

var (
	_ connector.Connector       = (*Connector)(nil)
	_ connector.RPCHandler      = (*Connector)(nil)
	_ connector.AttributeSyncer = (*Connector)(nil)
	_ connector.HealthReporter  = (*Connector)(nil)
)

// New returns a connector for cfg. If cfg is wrong (see [Config.Validate]), Run
// fails with an error that is permanent.
func New(cfg Config) *Connector {
	entries, err := compile(cfg)
	if err != nil {
		err = fmt.Errorf("bacnet: %w", err)
	}
	cfg = cfg.withDefaults()
	if cfg.Sockets == nil {
		cfg.Sockets = NewSockets(nil)
	}
	return &Connector{cfg: cfg, entries: entries, err: err}
}

// Run implements [connector.Connector]. Each device is polled by a goroutine of its
// own. Run returns an error if the configuration is wrong, the port cannot be used,
// or the gateway does not accept readings.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	end, err := c.cfg.Sockets.acquire(ctx, c.cfg, host.Logger())
	if err != nil {
		return err
	}
	defer c.cfg.Sockets.release(end)
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := newSession(run, c, host, end, fail)
	c.setSession(s)
	defer c.setSession(nil)
	end.add(s)
	if len(c.entries) == 0 {
		host.Ready() // there is nothing to reach
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.discover(run) })
	wg.Go(func() { s.store(run) })
	select {
	case <-run.Done():
	case <-end.ctx.Done():
		fail(end.reason())
	}
	end.remove(s)
	s.close()
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("bacnet: %w", context.Cause(run))
}

func (c *Connector) setSession(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}

func (c *Connector) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Health implements [connector.HealthReporter]. It is not OK while a device does not
// answer, or one that is configured by its address was not found.
func (c *Connector) Health() connector.Health {
	s := c.current()
	if s == nil {
		return connector.Health{OK: true}
	}
	known, silent := s.states()
	if len(silent) == 0 {
		return connector.Health{OK: true}
	}
	const most = 10
	slices.Sort(silent)
	more := ""
	if n := len(silent); n > most {
		silent, more = silent[:most], fmt.Sprintf(" and %d more", n-most)
	}
	return connector.Health{Detail: fmt.Sprintf("of %d devices these do not answer: %s%s", known, strings.Join(silent, ", "), more)}
}

// Stats counts what a connector's port did, also for the other connectors that share
// it.
type Stats struct {
	Sent, Received int64 // datagrams
	Malformed      int64 // datagrams of others that were not understood
}

// Stats returns the counters of the port since it was opened. They are zero while
// Run does not run.
func (c *Connector) Stats() Stats {
	s := c.current()
	if s == nil {
		return Stats{}
	}
	return Stats{Sent: s.end.sent.Load(), Received: s.end.received.Load(), Malformed: s.end.malformed.Load()}
}

func logAddress(a fmt.Stringer) slog.Attr { return slog.String("address", a.String()) }
