package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/internal/record"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A small publication follows the one before after the time of pace, so that
// records which come thick and fast share one. The first after a pause goes out
// at once.
const (
	pace        = 2 * time.Millisecond
	paceRecords = 64 // from which a publication is not small
)

// maxReadFailures is how often in a row the store may fail to be read before
// the gateway gives up.
const maxReadFailures = 5

// A publisher moves records from the store to the platform. It keeps a window
// of publications under way and acknowledges the store, in order, as they are
// accepted.
type publisher struct {
	store    eventstore.EventStore
	platform Platform
	log      *slog.Logger
	window   int
	limit    eventstore.Limit
	backoff  backoff.Backoff

	reader chan struct{} // holds a token while a session, or who paused, uses the store

	mu     sync.Mutex
	paused int                     // calls of pause that wait or have not resumed
	cancel context.CancelCauseFunc // of the session under way; nil if there is none

	published  atomic.Uint64
	attributes atomic.Uint64 // of the published
	discarded  atomic.Uint64
	acked      atomic.Uint64 // offset
	progress   chan struct{} // gets a token after an acknowledgement

	// Used by the goroutine that reads the store.
	decoder record.Decoder
	records []eventstore.Record
	batch   telemetry.Batch
}

func newPublisher(g *Gateway) *publisher {
	return &publisher{
		store: g.depot.current().store, platform: g.north.Load().Platform, log: g.log,
		window: g.cfg.window, limit: g.cfg.limit,
		backoff: g.cfg.backoff, progress: make(chan struct{}, 1), reader: make(chan struct{}, 1),
	}
}

// flight is a publication under way.
type flight struct {
	delivery Delivery // nil if there was nothing to publish
	upTo     uint64
	points   uint64

	attributes uint64 // of the points
}

// run publishes until ctx is done, or the store cannot be read.
func (p *publisher) run(ctx context.Context) error {
	b := backoff.Backoff{Shortest: 100 * time.Millisecond, Longest: p.backoff.Longest}
	failures := 0
	for ctx.Err() == nil {
		before := p.acked.Load()
		err := p.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errPaused) {
			continue
		}
		if p.acked.Load() > before {
			b.Reset()
			failures = 0
		}
		var re readError
		if errors.As(err, &re) {
			failures++
			if errors.Is(err, eventstore.ErrClosed) || failures >= maxReadFailures {
				return re.err
			}
		}
		p.log.Warn("publishing failed, will publish again what was not acknowledged", "error", err)
		if b.Wait(ctx) != nil {
			return nil
		}
	}
	return nil
}

// readError says that it is the store that failed.
type readError struct{ err error }

func (e readError) Error() string { return e.err.Error() }
func (e readError) Unwrap() error { return e.err }

// session publishes from the first record that is not acknowledged until
// something fails. What is under way then may still be accepted.
func (p *publisher) session(parent context.Context) error {
	select {
	case p.reader <- struct{}{}:
	case <-parent.Done():
		return parent.Err()
	}
	defer func() { <-p.reader }()
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	p.began(cancel)
	defer p.began(nil)
	flights := make(chan flight, p.window)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.acknowledge(ctx, cancel, flights)
	}()
	err := p.send(ctx, flights)
	close(flights)
	<-done
	return cmp.Or(context.Cause(ctx), err)
}

// began notes how to end the session that begins, or that it is over.
func (p *publisher) began(cancel context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel = cancel
	if cancel != nil && p.paused > 0 {
		cancel(errPaused)
	}
}

// pause ends the session under way. The caller is then the reader of the store,
// until it calls resume with the store and the platform to go on with.
func (p *publisher) pause(ctx context.Context) (resume func(eventstore.EventStore, Platform), err error) {
	p.mu.Lock()
	p.paused++
	if p.cancel != nil {
		p.cancel(errPaused)
	}
	p.mu.Unlock()
	over := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.paused--
	}
	select {
	case p.reader <- struct{}{}:
	case <-ctx.Done():
		over()
		return nil, fmt.Errorf("publishing does not pause: %w", ctx.Err())
	}
	return func(s eventstore.EventStore, to Platform) {
		if s != p.store {
			p.store = s
			p.acked.Store(0)
		}
		p.platform = to
		over()
		<-p.reader
	}, nil
}

// send publishes what follows the last acknowledged record.
func (p *publisher) send(ctx context.Context, flights chan<- flight) error {
	after := p.acked.Load()
	var last time.Time
	for {
		if err := p.peek(ctx, after); err != nil {
			return readError{err}
		}
		if early := pace - time.Since(last); early > 0 && len(p.records) < paceRecords {
			if err := backoff.Sleep(ctx, early); err != nil {
				return err
			}
			if err := p.peek(ctx, after); err != nil {
				return readError{err}
			}
		}
		last = time.Now()
		f, err := p.publish(ctx)
		if err != nil {
			return err
		}
		after = f.upTo
		select {
		case flights <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// peek reads the records that follow after, waiting for the first.
func (p *publisher) peek(ctx context.Context, after uint64) (err error) {
	p.records, err = p.store.Peek(ctx, after, p.records[:0], p.limit)
	return err
}

// publish hands p.records to the platform.
func (p *publisher) publish(ctx context.Context) (flight, error) {
	p.batch.Reset()
	for _, r := range p.records {
		if err := p.decoder.Decode(r.Data, &p.batch); err != nil {
			p.discarded.Add(1)
			p.log.Error("stored record cannot be read and is passed over", "offset", r.Offset, "error", err)
		}
	}
	f := flight{upTo: p.records[len(p.records)-1].Offset, points: uint64(p.batch.Len())}
	if f.points == 0 {
		return f, nil
	}
	for _, g := range p.batch.Groups() {
		f.attributes += uint64(len(g.Attributes))
	}
	d, err := p.platform.Publish(ctx, p.batch.Groups())
	if connector.IsInvalid(err) {
		p.discarded.Add(uint64(len(p.records)))
		p.log.Error("stored records cannot be published and are passed over", "offset", p.records[0].Offset, "records", len(p.records), "error", err)
		f.points, f.attributes = 0, 0
		return f, nil
	}
	f.delivery = d
	return f, err
}

// acknowledge waits for flights in order and releases their records.
func (p *publisher) acknowledge(ctx context.Context, cancel context.CancelCauseFunc, flights <-chan flight) {
	for f := range flights {
		if ctx.Err() != nil {
			continue
		}
		if f.delivery != nil {
			if err := f.delivery.Wait(ctx); err != nil {
				cancel(err)
				continue
			}
		}
		if err := p.store.Ack(ctx, f.upTo); err != nil {
			cancel(readError{err})
			continue
		}
		p.acked.Store(f.upTo)
		p.published.Add(f.points)
		p.attributes.Add(f.attributes)
		select {
		case p.progress <- struct{}{}:
		default:
		}
	}
}

// drain waits until everything is published, for at most d. It returns early
// if the publisher has ended, of which ended tells.
func (p *publisher) drain(d time.Duration, store eventstore.EventStore, ended <-chan error) {
	t := time.NewTimer(d)
	defer t.Stop()
	for store.Stats().Pending > 0 {
		select {
		case <-p.progress:
		case err := <-ended:
			if err != nil {
				p.log.Error("store failed while the gateway stopped", "error", err)
			}
			return
		case <-t.C:
			p.log.Warn("gateway stopped before everything was published; it stays in the store", "pending", store.Stats().Pending)
			return
		}
	}
}
