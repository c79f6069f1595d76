package mqtt

import (
	"context"
	"errors"
	"slices"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A pipeline is the way of messages through a run: the goroutine that reads the
// connection puts them in the queue, one goroutine converts and submits them,
// and one acknowledges what is durable, in order.
type pipeline struct {
	queue    chan Message
	bytes    *budget
	acks     chan delivery
	patience context.Context // ends when receipts are not waited for any more
	giveUp   context.CancelFunc

	batch  telemetry.Batch
	faults []faultState // by mapping
}

// A delivery is a message that was submitted.
type delivery struct {
	ack       func()
	submitted bool // receipt counts
	receipt   connector.Receipt
	receipts  []connector.Receipt // more, if several mappings matched
}

func (p *pipeline) init(cfg Config) {
	p.queue = make(chan Message, cfg.Inflight)
	p.bytes = newBudget(cfg.QueueBytes)
	p.acks = make(chan delivery, cfg.Inflight)
	p.faults = make([]faultState, len(cfg.Mappings))
	p.patience, p.giveUp = context.WithCancel(context.Background())
}

// receive takes a message from a connection. It blocks while the queue is
// full, which is how back-pressure reaches the broker.
func (r *run) receive(m Message) {
	r.c.stats.received.Add(1)
	r.replies.offer(m)
	if r.pipe.bytes.take(r.ctx, len(m.Payload)) != nil {
		return
	}
	select {
	case r.pipe.queue <- m:
	case <-r.ctx.Done():
	}
}

// convertAll converts and submits messages until the run ends.
func (r *run) convertAll() {
	defer close(r.pipe.acks)
	for {
		select {
		case <-r.ctx.Done():
			return
		case m := <-r.pipe.queue:
			d, err := r.submit(m)
			r.pipe.bytes.give(len(m.Payload))
			if err != nil {
				r.fail(err)
				return
			}
			r.pipe.acks <- d
		}
	}
}

// submit converts m for all its targets and submits the results.
func (r *run) submit(m Message) (delivery, error) {
	d := delivery{ack: m.Ack}
	rt := r.c.plan.router.lookup(m.Topic, m.link)
	if len(rt.targets) == 0 {
		r.c.stats.unmatched.Add(1)
	}
	for _, t := range rt.targets {
		if t.kind != toMapping {
			r.request(t, m)
			continue
		}
		receipt, err := r.submitTo(t.index, m)
		if err != nil {
			return d, err
		}
		if !d.submitted {
			d.receipt, d.submitted = receipt, true
		} else {
			d.receipts = append(d.receipts, receipt)
		}
	}
	return d, nil
}

// submitTo converts m by one mapping and submits the result. What is at fault
// itself is dropped.
func (r *run) submitTo(mapping int, m Message) (connector.Receipt, error) {
	b := &r.pipe.batch
	b.Reset()
	conv := r.c.cfg.Mappings[mapping].Converter
	if err := convert(conv, m, b); err != nil {
		r.c.stats.malformed.Add(1)
		r.fault(mapping, m.Topic, "a message does not convert and is dropped", err)
		return connector.Receipt{}, nil
	}
	faulty := r.partly(mapping, m.Topic, conv)
	if b.Empty() {
		return connector.Receipt{}, nil
	}
	receipt, err := r.host.Submit(r.ctx, b)
	switch {
	case err == nil:
		r.c.stats.submitted.Add(1)
		if !faulty {
			r.clear(mapping)
		}
		return receipt, nil
	case connector.IsInvalid(err):
		r.c.stats.rejected.Add(1)
		r.fault(mapping, m.Topic, "a message is refused as invalid and is dropped", err)
		return connector.Receipt{}, nil
	default:
		return connector.Receipt{}, err
	}
}

// ackAll acknowledges deliveries in order, as many at a time as have gathered,
// until the converting goroutine ends. After a failure it acknowledges nothing.
func (r *run) ackAll() {
	var failed bool
	group := make([]delivery, 0, cap(r.pipe.acks))
	for {
		group = gather(r.pipe.acks, group[:0])
		if len(group) == 0 {
			return
		}
		if failed {
			continue
		}
		if err := durable(r.pipe.patience, group); err != nil {
			failed = true
			if !errors.Is(err, context.Canceled) || r.pipe.patience.Err() == nil {
				r.fail(err)
			}
			continue
		}
		for i := range group {
			if group[i].ack != nil {
				group[i].ack()
				r.c.stats.acknowledged.Add(1)
			}
		}
		clear(group)
	}
}

// gather waits for a delivery and adds what else is there. It returns none when
// the channel is closed.
func gather(acks <-chan delivery, group []delivery) []delivery {
	d, ok := <-acks
	if !ok {
		return group
	}
	group = append(group, d)
	for len(group) < cap(group) {
		select {
		case d, ok := <-acks:
			if !ok {
				return group
			}
			group = append(group, d)
		default:
			return group
		}
	}
	return group
}

// durable waits until all of group is durable. The newest receipt stands for
// those before it, but not if it is the zero receipt of a batch that was held
// back; so all are waited for, the newest first, which makes the others return
// at once.
func durable(ctx context.Context, group []delivery) error {
	for _, d := range slices.Backward(group) {
		for _, r := range slices.Backward(d.receipts) {
			if err := r.Wait(ctx); err != nil {
				return err
			}
		}
		if err := d.receipt.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
