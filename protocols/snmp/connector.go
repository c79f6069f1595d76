package snmp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
)

// A Connector polls SNMP agents, writes to them and receives their notifications. It
// is a [connector.Connector], [connector.RPCHandler], [connector.AttributeSyncer] and
// [connector.HealthReporter].
type Connector struct {
	net    *network
	err    error // what is wrong with the configuration
	wrap   bool  // Config.WrapResults
	quirks bool  // Config.Compatible

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
		err = fmt.Errorf("snmp: %w", err)
		net = &network{}
	}
	return &Connector{
		net: net, err: err, wrap: cfg.WrapResults, quirks: cfg.Compatible, offline: make(map[*target]bool),
	}
}

// A session is what the lanes need of the gateway during one Run.
type session struct {
	connector.Host

	log        *slog.Logger
	fail       context.CancelCauseFunc // ends Run
	setOffline func(t *target, offline bool)
	located    func(t *target, a netip.Addr)
}

// Run implements [connector.Connector]. Each device is polled by one goroutine, which
// also carries out its commands; a device that does not answer is asked again after
// growing delays, and holds up no other. Run returns an error only if the
// configuration is wrong or the gateway does not accept readings.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &session{
		Host: host, log: host.Logger(), fail: fail, setOffline: c.setOffline,
		located: func(*target, netip.Addr) {},
	}
	var wg sync.WaitGroup
	if c.net.traps != nil {
		s.located = c.net.traps.locate
		c.net.traps.begin(c.net.targets)
		wg.Go(func() { c.net.traps.run(run, s) })
	}
	polled := false
	for _, t := range c.net.targets {
		t.begin(run, s)
		polled = polled || len(t.groups) > 0
		wg.Go(func() {
			defer t.client.close()
			t.announce(run)
			if err := t.lane.Run(run); run.Err() == nil {
				fail(err)
			}
		})
	}
	if !polled && c.net.traps == nil {
		host.Ready() // there is nothing to reach
	}
	<-run.Done()
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("snmp: %w", context.Cause(run))
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

// Health implements [connector.HealthReporter]. It is not OK while a device does not
// answer, or notifications cannot be received.
func (c *Connector) Health() connector.Health {
	var details []string
	if c.net.traps != nil {
		if err := c.net.traps.trouble(); err != nil {
			details = append(details, "traps cannot be received: "+err.Error())
		}
	}
	c.mu.Lock()
	names := make([]string, 0, len(c.offline))
	for t := range c.offline {
		names = append(names, t.device.Name)
	}
	c.mu.Unlock()
	if count := len(names); count > 0 {
		slices.Sort(names)
		const most = 10
		more := ""
		if count > most {
			more = fmt.Sprintf(" and %d more", count-most)
			names = names[:most]
		}
		details = append(details, fmt.Sprintf("%d of %d devices do not answer: %s%s", count, len(c.net.targets), strings.Join(names, ", "), more))
	}
	return connector.Health{OK: len(details) == 0, Detail: strings.Join(details, "; ")}
}
