package mqtt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
)

// A Connector is an MQTT client with converters.
type Connector struct {
	cfg   Config
	plan  *plan
	err   error // why the configuration cannot be used
	dial  Dialer
	stats counters
	run   atomic.Pointer[run] // while connected
}

var (
	_ connector.Connector        = (*Connector)(nil)
	_ connector.RPCHandler       = (*Connector)(nil)
	_ connector.AttributeUpdater = (*Connector)(nil)
)

// New returns a connector for cfg. If cfg cannot be used, Run says why.
func New(cfg Config) *Connector { return NewWithSession(cfg, dial) }

// NewWithSession returns a connector that connects with dial.
func NewWithSession(cfg Config, dial Dialer) *Connector {
	p := newProblems()
	c := &Connector{cfg: cfg.withDefaults(), dial: dial}
	c.plan = c.cfg.compile(p)
	if err := p.err(); err != nil {
		c.err = fmt.Errorf("mqtt: configuration: %w", err)
	}
	if c.cfg.ClientID == "" {
		c.cfg.ClientID = "gw" + rand.Text()[:20]
	}
	return c
}

// The time that a broker has to answer a subscription, and the time that a
// connector which is told to stop waits for what it has submitted to become
// durable, so that it can be acknowledged.
const (
	subscribeTimeout = 30 * time.Second
	stopTimeout      = 500 * time.Millisecond
)

// Run implements connector.Connector. It ends when the connection is lost
// or something cannot be stored; the broker then delivers again, on the next
// connection, what was not acknowledged.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	parent := ctx
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	r := newRun(ctx, cancel, c, host)
	session, err := c.connect(ctx, r.receive)
	if err != nil {
		return errors.Join(parent.Err(), err)
	}
	r.session = session
	c.run.Store(r)
	r.start()
	cancel(r.serve())
	c.run.CompareAndSwap(r, nil)
	r.stop()
	if parent.Err() != nil {
		return parent.Err()
	}
	return context.Cause(ctx)
}

// A run is one connection of a Connector.
type run struct {
	c       *Connector
	host    connector.Host
	ctx     context.Context // the life of the run
	fail    context.CancelCauseFunc
	session Session
	replies *replies
	pipe    pipeline
	warned  atomic.Bool // that a request failed
	jobs    jobs
	work    sync.WaitGroup
}

func newRun(ctx context.Context, fail context.CancelCauseFunc, c *Connector, host connector.Host) *run {
	r := &run{c: c, host: host, ctx: ctx, fail: fail}
	r.replies = newReplies(r)
	r.pipe.init(c.cfg)
	return r
}

func (r *run) start() {
	r.work.Go(r.convertAll)
	r.work.Go(r.ackAll)
}

// serve subscribes and waits for the end of the connection or of the context.
func (r *run) serve() error {
	ctx, cancel := context.WithTimeout(r.ctx, subscribeTimeout)
	defer cancel()
	if err := r.session.Subscribe(ctx, r.c.plan.router.subs...); err != nil {
		if r.over() || ctx.Err() != nil {
			return errors.Join(err, r.session.Err())
		}
		r.host.Logger().Warn("the broker refused a subscription", "error", err)
	}
	r.host.Ready()
	select {
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	case <-r.session.Done():
		return fmt.Errorf("mqtt: connection to %s lost: %w", r.c.cfg.Broker, r.session.Err())
	}
}

// over reports whether the connection has ended.
func (r *run) over() bool {
	select {
	case <-r.session.Done():
		return true
	default:
		return false
	}
}

// stop waits for everything that the run has started.
func (r *run) stop() {
	if r.over() {
		r.pipe.giveUp()
	}
	timer := time.AfterFunc(stopTimeout, r.pipe.giveUp)
	defer r.pipe.giveUp()
	defer timer.Stop()
	r.work.Wait()
	r.jobs.wait()
	r.session.Close()
	r.replies.close()
}
