package modbus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
)

// A Connector polls the devices of one or more buses. It is a
// [connector.Connector], [connector.RPCHandler], [connector.AttributeSyncer] and
// [connector.HealthReporter].
type Connector struct {
	net  *network
	err  error // what is wrong with the configuration
	wrap bool  // Config.WrapResults

	mu      sync.Mutex
	offline map[*target]bool
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
	net, err := compile(cfg)
	if err != nil {
		err = fmt.Errorf("modbus: %w", err)
		net = &network{}
	}
	return &Connector{net: net, err: err, wrap: cfg.WrapResults, offline: make(map[*target]bool)}
}

// A session is what the buses need of the gateway during one Run.
type session struct {
	connector.Host
	log        *slog.Logger
	fail       context.CancelCauseFunc // ends Run
	setOffline func(t *target, offline bool)
}

// Run implements [connector.Connector]. Each bus is polled by one goroutine, which
// also carries out its commands, and reconnects by itself. Run returns an error
// only if the configuration is wrong or the gateway does not accept readings.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &session{Host: host, log: host.Logger(), fail: fail, setOffline: c.setOffline}
	var wg sync.WaitGroup
	for _, b := range c.net.buses {
		b.begin(s)
		wg.Go(func() {
			if err := b.lane.Run(run); run.Err() == nil {
				fail(err)
			}
		})
	}
	if c.net.server != nil {
		wg.Go(func() { c.net.server.run(run, s) })
	}
	if len(c.net.buses) == 0 && c.net.server == nil {
		host.Ready() // there is nothing to reach
	}
	<-run.Done()
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("modbus: %w", context.Cause(run))
}

// begin forgets what an earlier Run left behind.
func (b *bus) begin(s *session) {
	b.host, b.down, b.tries = s, false, tries{}
	for _, t := range b.targets {
		t.online, t.healthy = false, false
		s.setOffline(t, false)
	}
}

func (c *Connector) setOffline(t *target, offline bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if offline {
		c.offline[t] = true
	} else {
		delete(c.offline, t)
	}
}

// Health implements [connector.HealthReporter]. It is not OK while a device does
// not answer.
func (c *Connector) Health() connector.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.offline) == 0 {
		return connector.Health{OK: true}
	}
	names := make([]string, 0, len(c.offline))
	for t := range c.offline {
		names = append(names, t.device.Name)
	}
	slices.Sort(names)
	const most = 10
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return connector.Health{Detail: fmt.Sprintf("%d of %d devices do not answer: %s%s", len(c.offline), len(c.net.targets), strings.Join(names, ", "), more)}
}
