package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/internal/lane"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Connector listens on a socket, or connects to one.
type Connector struct {
	cfg     Config
	devices []*device
	byName  map[string][]*device
	err     error // why the configuration cannot be used
	run     atomic.Pointer[run]
	bound   atomic.Pointer[string] // what it listens on

	received, refused, malformed atomic.Uint64
}

var (
	_ connector.Connector        = (*Connector)(nil)
	_ connector.RPCHandler       = (*Connector)(nil)
	_ connector.AttributeUpdater = (*Connector)(nil)
)

// New returns a connector for cfg. If cfg cannot be used, Run says why.
func New(cfg Config) *Connector {
	c := &Connector{cfg: cfg.withDefaults(), byName: make(map[string][]*device)}
	var err error
	if c.devices, err = c.cfg.compile(); err != nil {
		c.err = fmt.Errorf("socket: configuration: %w", err)
	}
	for _, d := range c.devices {
		c.byName[d.Name] = append(c.byName[d.Name], d)
	}
	return c
}

// Addr returns the address that the connector listens on, or an empty text.
func (c *Connector) Addr() string {
	if addr := c.bound.Load(); addr != nil {
		return *addr
	}
	return ""
}

// Stats are counts since New.
type Stats struct {
	Messages    uint64 // received
	Malformed   uint64 // of which something does not convert as configured, or that are too long
	Connections int    // open now
	Refused     uint64 // connections that were more than MaxConnections
}

// Stats returns counts. It does not block.
func (c *Connector) Stats() Stats {
	s := Stats{Messages: c.received.Load(), Malformed: c.malformed.Load(), Refused: c.refused.Load()}
	if r := c.run.Load(); r != nil {
		r.mu.Lock()
		s.Connections = len(r.peers)
		r.mu.Unlock()
	}
	return s
}

// Run implements connector.Connector. One that listens ends when it cannot listen;
// one that connects does so again and again.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	r := &run{c: c, host: host, log: host.Logger(), ctx: ctx, peers: make(map[*peer]struct{})}
	c.run.Store(r)
	defer c.run.CompareAndSwap(r, nil)
	defer c.bound.Store(nil)
	defer r.lanes.Wait()
	defer r.conns.Wait()
	var err error
	switch {
	case c.cfg.Dial:
		err = r.dialAll()
	case c.cfg.UDP:
		err = r.listenUDP()
	default:
		err = r.listenTCP()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("socket: %w", err)
}

// A run is one run of a Connector.
type run struct {
	c     *Connector
	host  connector.Host
	log   *slog.Logger
	ctx   context.Context
	conns sync.WaitGroup
	lanes lane.Lanes // of requests of devices for attributes

	mu    sync.Mutex
	peers map[*peer]struct{} // that are connected, or have sent something
}

// add notes a peer. It reports false if there are too many.
func (r *run) add(p *peer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.peers) >= r.c.cfg.MaxConnections {
		return false
	}
	r.peers[p] = struct{}{}
	return true
}

func (r *run) remove(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.peers, p)
	p.gone.Store(true)
}

// announce notes that a peer can be written to, and tells the platform of its
// devices, so that they can be called before they have sent anything.
func (r *run) announce(p *peer) {
	p.ready.Store(true)
	for _, d := range p.devices {
		if d.announced.Swap(r) == r {
			continue
		}
		if err := r.host.DeviceOnline(r.ctx, d.id()); err != nil && r.ctx.Err() == nil {
			r.log.Warn("device not announced", slog.String("device", d.Name), slog.Any("error", err))
		}
	}
}

// message handles a message for all devices of its peer. It returns an error only
// when the run is over.
func (r *run) message(p *peer, m []byte) error {
	r.c.received.Add(1)
	for _, d := range p.devices {
		d.last.Store(p)
		if d.replies.Offer(m) || r.asked(p, d, m) {
			continue
		}
		if err := r.uplink(p, d, m); err != nil {
			return err
		}
	}
	return nil
}

var batches = sync.Pool{New: func() any { return new(telemetry.Batch) }} //nolint:gochecknoglobals // memory only

// uplink converts a message for a device, and submits the result until it is
// taken.
func (r *run) uplink(p *peer, d *device, m []byte) error {
	b := batches.Get().(*telemetry.Batch)
	defer batches.Put(b)
	b.Reset()
	err := d.convert(p, m, b)
	r.fault(d, p, err)
	var wait backoff.Backoff
	for !b.Empty() {
		_, err := r.host.Submit(r.ctx, b)
		if err == nil {
			return nil
		}
		if connector.IsInvalid(err) {
			r.fault(d, p, err)
			return nil
		}
		if wait.Wait(r.ctx) != nil {
			return r.ctx.Err()
		}
	}
	return nil
}

// convert calls the converter of d, of which a panic is an error.
func (d *device) convert(p *peer, m []byte, out *telemetry.Batch) (err error) {
	defer func() {
		if x := recover(); x != nil {
			out.Reset()
			err = fmt.Errorf("the converter panicked: %v", x)
		}
	}()
	msg := Message{Device: d.id(), Address: p.addr, Payload: m}
	if d.Converter != nil {
		return d.Converter.ConvertUplink(msg, out)
	}
	return d.ConvertUplink(msg, out)
}

// fault counts faults, and logs the first of several, and the end of them.
func (r *run) fault(d *device, p *peer, err error) {
	if err != nil {
		r.c.malformed.Add(1)
	}
	if d.faulty.Swap(err != nil) == (err != nil) {
		return
	}
	log := r.log.With(slog.String("device", d.Name), slog.String("peer", p.addr))
	if err != nil {
		log.Warn("a message does not convert as configured; what converts is used", slog.Any("error", err))
		return
	}
	log.Info("messages convert again")
}

var errNotRunning = errors.New("the connector is not running")

// sleep waits before the next attempt to connect.
func sleep(ctx context.Context, b *backoff.Backoff, lived time.Duration) error {
	if lived > 10*time.Second {
		b.Reset()
	}
	return b.Wait(ctx)
}
