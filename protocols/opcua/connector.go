package opcua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// patience is how long a server may be away before its devices are reported
// offline.
const patience = 10 * time.Second

// A Connector reads the values of an OPC UA server's nodes. It is a
// [connector.Connector], [connector.RPCHandler], [connector.AttributeSyncer] and
// [connector.HealthReporter].
type Connector struct {
	plan  *plan
	err   error // what is wrong with the configuration
	count counters

	mu      sync.Mutex
	session *session // nil: not connected
	reason  error    // why not

	// What the platform was told, and what was logged, survives connections. It
	// belongs to Run.
	online  map[string]telemetry.Device
	missing map[string]bool
}

var (
	_ connector.Connector       = (*Connector)(nil)
	_ connector.RPCHandler      = (*Connector)(nil)
	_ connector.AttributeSyncer = (*Connector)(nil)
	_ connector.HealthReporter  = (*Connector)(nil)
)

var errNotConnected = errors.New("not connected")

// New returns a connector for cfg. If cfg is wrong (see [Config.Validate]), Run
// fails with an error that is permanent.
func New(cfg Config) *Connector {
	p, err := compile(cfg.withDefaults())
	if err != nil {
		err = fmt.Errorf("opcua: %w", err)
		p = &plan{cfg: cfg}
	}
	return &Connector{plan: p, err: err, reason: errNotConnected}
}

// Run implements [connector.Connector]. It reconnects by itself, and returns an
// error only if the configuration is wrong or the gateway does not accept values.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	c.online, c.missing = make(map[string]telemetry.Device), make(map[string]bool)
	c.set(nil, errNotConnected)
	s := &supervisor{c: c, host: host, log: host.Logger()}
	s.retry.Shortest, s.retry.Longest = c.plan.cfg.Reconnect, c.plan.cfg.ReconnectMax
	err := s.run(ctx)
	c.set(nil, errNotConnected)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("opcua: %w", err)
}

func (c *Connector) set(s *session, reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.reason = s, reason
}

// current returns the session, or why there is none.
func (c *Connector) current() (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session, c.reason
}

// A supervisor builds connections, one after the other.
type supervisor struct {
	c     *Connector
	host  connector.Host
	log   *slog.Logger
	retry backoff.Backoff

	up    time.Time // when values flowed
	since time.Time // of the outage; zero: there is none
	told  bool      // of the outage
}

func (s *supervisor) run(ctx context.Context) error {
	for {
		err := s.connect(ctx)
		var fatal fatalError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &fatal):
			return fatal.error
		case s.since.IsZero():
			s.since = time.Now()
			if s.since.Sub(s.up) > s.c.plan.cfg.Reconnect {
				s.retry.Reset()
				continue // the first attempt comes at once
			}
		}
		if !s.told {
			s.told = true
			s.log.Warn("server is not reachable", slog.String("server", s.c.plan.cfg.URL), slog.Any("error", err))
		}
		s.c.set(nil, err)
		s.offline(ctx)
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

// wait sleeps until the next attempt.
func (s *supervisor) wait(ctx context.Context) error {
	return backoff.Sleep(ctx, min(s.retry.Next(), s.c.plan.cfg.ReconnectMax))
}

// connect builds a connection and uses it until it is lost.
func (s *supervisor) connect(ctx context.Context) error {
	cfg := s.c.plan.cfg
	cred, err := loadCredentials(cfg)
	if err != nil {
		return err
	}
	l, err := dial(ctx, cfg, cred)
	if err != nil {
		return err
	}
	session := newSession(s.c, l, s.host)
	err = session.run(ctx, s.connected)
	s.c.set(nil, err)
	l.close(ctx.Err() != nil || !lost(err))
	if ctx.Err() == nil && session.ready {
		s.log.Warn("connection is lost", slog.String("server", cfg.URL), slog.Any("error", err))
		s.since, s.told = time.Time{}, true
	}
	return err
}

// connected is called when values flow.
func (s *supervisor) connected() {
	if s.told {
		s.log.Info("server is reachable", slog.String("server", s.c.plan.cfg.URL))
		s.c.count.reconnects.Add(1)
	}
	s.since, s.up, s.told = time.Time{}, time.Now(), false
	s.host.Ready()
}

// offline tells the platform of an outage that lasts.
func (s *supervisor) offline(ctx context.Context) {
	if len(s.c.online) == 0 || time.Since(s.since) < patience {
		return
	}
	for name := range s.c.online {
		if err := s.host.DeviceOffline(ctx, name); err != nil && ctx.Err() == nil {
			s.log.Warn("platform was not told of the device", slog.String("device", name), slog.Any("error", err))
		}
	}
	clear(s.c.online)
}

// Health implements [connector.HealthReporter]. It is not OK while the server is
// away, or values are bad.
func (c *Connector) Health() connector.Health {
	s, reason := c.current()
	switch n := c.count.badNow.Load(); {
	case s == nil:
		return connector.Health{Detail: fmt.Sprintf("%s: %v", c.plan.cfg.URL, reason)}
	case n > 0:
		return connector.Health{Detail: fmt.Sprintf("%d of %d values are bad", n, c.count.items.Load())}
	default:
		return connector.Health{OK: true}
	}
}

// Stats counts what a connector does, since it was made.
type Stats struct {
	Values     int64         // values that were read, of good or uncertain quality
	Bad        int64         // values that were bad
	Overflows  int64         // times that the server's queue of a value ran over
	Lost       int64         // messages of the server that were lost
	Stalls     int64         // times that messages had to wait, since the gateway was slower
	Stalled    time.Duration // for how long, over all
	Reconnects int64
	Devices    int64 // that are known now
	Items      int64 // values that are known now
	Backlog    int64 // messages that waited when the last one came, of 8 at most
}

// Stats returns the connector's counters. It may be called at any time.
func (c *Connector) Stats() Stats {
	n := &c.count
	return Stats{
		Values: n.values.Load(), Bad: n.bad.Load(), Overflows: n.overflows.Load(), Lost: n.lost.Load(), Stalls: n.stalls.Load(),
		Stalled: time.Duration(n.stalled.Load()), Reconnects: n.reconnects.Load(), Devices: n.devices.Load(),
		Items: n.items.Load(), Backlog: n.backlog.Load(),
	}
}
