package opcua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
)

const (
	// publishers is the number of requests for messages that wait at the server,
	// so that a message need not wait for the next request to arrive.
	publishers = 3

	// maxBacklog is the number of messages that wait to be converted. When there
	// are so many, no more are asked for, and the server keeps the values, up to
	// the size of its queues.
	maxBacklog = 8
)

// A publisher asks for the messages of a subscription and puts them in order into
// its queue. The queue is bounded: if it is full, the publisher waits, and that it
// does is counted.
type publisher struct {
	sub     *subscription
	log     *slog.Logger
	count   *counters
	timeout time.Duration
	queue   chan *ua.NotificationMessage

	last    atomic.Int64 // when a message came, Unix nanoseconds
	waiting atomic.Int32 // how many wait for room in the queue
	running atomic.Int32

	ackMu sync.Mutex
	acks  []*ua.SubscriptionAcknowledgement

	mu    sync.Mutex
	next  uint32 // number of the message that comes next; 0: any
	early map[uint32]*ua.NotificationMessage
}

func newPublisher(s *subscription, log *slog.Logger, count *counters) *publisher {
	p := &publisher{
		sub: s, log: log, count: count, queue: make(chan *ua.NotificationMessage, maxBacklog),
		early:   make(map[uint32]*ua.NotificationMessage),
		timeout: publishers*2*s.keep + s.link.timeout,
	}
	p.last.Store(time.Now().UnixNano())
	return p
}

// run publishes until ctx is done or the subscription is gone, and returns why.
func (p *publisher) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.running.Store(publishers)
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			err := p.publish(ctx)
			// A server that wants fewer requests at a time gets fewer.
			if p.running.Add(-1) == 0 || !errors.Is(err, ua.StatusBadTooManyPublishRequests) {
				cancel(err)
			}
		})
	}
	wg.Wait()
	close(p.queue)
	return context.Cause(ctx)
}

func (p *publisher) publish(ctx context.Context) error {
	for {
		req := &ua.PublishRequest{SubscriptionAcknowledgements: p.takeAcks()}
		res, err := sendFor[*ua.PublishResponse](ctx, p.sub.link, req, p.timeout)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ua.StatusBadTimeout):
			continue // nothing to report for long; silence is watched elsewhere
		case err != nil:
			return fmt.Errorf("publish: %w", err)
		}
		p.last.Store(time.Now().UnixNano())
		if res.NotificationMessage == nil || res.SubscriptionID != p.sub.id {
			continue
		}
		if err := p.arrive(ctx, res.NotificationMessage); err != nil {
			return err
		}
	}
}

func (p *publisher) takeAcks() []*ua.SubscriptionAcknowledgement {
	p.ackMu.Lock()
	defer p.ackMu.Unlock()
	acks := p.acks
	p.acks = nil
	return acks
}

// arrive takes a message, which may have overtaken others: requests are answered in
// order, but by several goroutines.
func (p *publisher) arrive(ctx context.Context, m *ua.NotificationMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := len(m.NotificationData) == 0 // there is nothing more to report
	switch {
	case idle:
	case p.next == 0 || m.SequenceNumber == p.next:
		if err := p.deliver(ctx, m); err != nil {
			return err
		}
	case int32(m.SequenceNumber-p.next) < 0:
		return nil // it came before
	default:
		p.early[m.SequenceNumber] = m
	}
	for {
		m, ok := p.early[p.next]
		if !ok {
			if len(p.early) == 0 || len(p.early) < publishers && !idle {
				return nil
			}
			if m = p.republish(ctx); m == nil {
				continue
			}
		}
		delete(p.early, p.next)
		if err := p.deliver(ctx, m); err != nil {
			return err
		}
	}
}

// republish asks again for the message that is missing. If the server has it no
// more, it is given up, and nil returned.
func (p *publisher) republish(ctx context.Context) *ua.NotificationMessage {
	res, err := send[*ua.RepublishResponse](ctx, p.sub.link, &ua.RepublishRequest{SubscriptionID: p.sub.id, RetransmitSequenceNumber: p.next})
	if err == nil && res.NotificationMessage != nil {
		return res.NotificationMessage
	}
	p.count.lost.Add(1)
	p.log.Warn("a message of the server is lost", slog.Uint64("number", uint64(p.next)), slog.Any("error", err))
	p.next = after(p.next)
	return nil
}

// deliver puts the message with the next number into the queue.
func (p *publisher) deliver(ctx context.Context, m *ua.NotificationMessage) error {
	select {
	case p.queue <- m:
	default:
		p.count.stalls.Add(1)
		p.waiting.Add(1)
		start := time.Now()
		select {
		case p.queue <- m:
		case <-ctx.Done():
		}
		p.waiting.Add(-1)
		p.count.stalled.Add(int64(time.Since(start)))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	p.count.backlog.Store(int64(len(p.queue)))
	p.next = after(m.SequenceNumber)
	p.ackMu.Lock()
	p.acks = append(p.acks, &ua.SubscriptionAcknowledgement{SubscriptionID: p.sub.id, SequenceNumber: m.SequenceNumber})
	p.ackMu.Unlock()
	return nil
}

// after returns the number after n; there is no number zero.
func after(n uint32) uint32 {
	if n++; n == 0 {
		return 1
	}
	return n
}

// silent returns for how long the server has said nothing although it was asked.
func (p *publisher) silent(now time.Time) time.Duration {
	if p.waiting.Load() > 0 {
		p.last.Store(now.UnixNano()) // it is not asked for anything
	}
	return now.Sub(time.Unix(0, p.last.Load()))
}
