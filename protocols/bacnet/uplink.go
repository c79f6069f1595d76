package bacnet

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const (
	minBudget   = 50  // bytes of an answer that every device can send
	maxSilences = 2   // requests without an answer that end a poll
	maxBatch    = 250 // properties of a request
)

var errNoResult = errors.New("the answer has no result for it")

// A sink takes what was read of a point.
type sink func(p *point, raw []byte, err error)

// reads counts what became of the requests of one readAll.
type reads struct {
	cycle    uint64
	answers  int
	silences int
}

// readAll reads points with the fewest requests, and gives each result to to. It
// returns an error if the device does not answer.
func (d *device) readAll(ctx context.Context, t *poll.Turn, points []*point, to sink) error {
	d.reads = reads{cycle: d.reads.cycle + 1}
	for len(points) > 0 {
		n := d.fit(points)
		if err := d.readBatch(ctx, points[:n], to); err != nil {
			return err
		}
		points = points[n:]
		if err := t.Yield(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fit returns how many of the points go into one request and its answer.
func (d *device) fit(points []*point) int {
	if d.single || points[0].silences >= faultLimit {
		return 1
	}
	const header, object, reference = 4, 7, 7
	request, answer := header, header
	for i, p := range points {
		if i == 0 || p.ref.Object != points[i-1].ref.Object {
			request, answer = request+object, answer+object
		}
		request, answer = request+reference, answer+p.estimate()
		if i > 0 && (request > d.peer.maxAPDU || answer > d.budget || i == maxBatch || p.silences >= faultLimit) {
			return i
		}
	}
	return len(points)
}

// readBatch reads points with one request. If the device refuses it, it is divided.
func (d *device) readBatch(ctx context.Context, points []*point, to sink) error {
	if len(points) == 1 {
		return d.readOne(ctx, points[0], to)
	}
	d.refs = d.refs[:0]
	for _, p := range points {
		d.refs = append(d.refs, p.ref)
	}
	at := 0
	err := d.peer.readMultiple(ctx, d.refs, d.retries(), func(r wire.ReadResult) bool {
		if p := match(points, &at, r.Reference); p != nil {
			p.cycle = d.reads.cycle
			if r.Err != nil {
				to(p, nil, r.Err)
			} else {
				to(p, r.Value, nil)
			}
		}
		return true
	})
	switch {
	case err == nil:
		d.answer()
		for _, p := range points {
			if p.cycle != d.reads.cycle {
				to(p, nil, errNoResult)
			}
		}
		return nil
	case answered(err):
		d.answer()
		return d.divide(ctx, points, to, err)
	case errors.Is(err, ErrTimeout):
		return d.unanswered(ctx, points, err)
	default:
		return err
	}
}

// match returns the point of a result. Results come in the order of the request,
// unless a device does not keep to it.
func match(points []*point, at *int, r wire.Reference) *point {
	for i := range points {
		p := points[(*at+i)%len(points)]
		if p.ref == r {
			*at = (*at + i + 1) % len(points)
			return p
		}
	}
	return nil
}

// divide reads points that a device refused to read together.
func (d *device) divide(ctx context.Context, points []*point, to sink, err error) error {
	var reject wire.Reject
	var abort wire.Abort
	switch {
	case errors.As(err, &reject) && reject == wire.RejectUnrecognizedService:
		if !d.single {
			d.log.Info("device does not understand ReadPropertyMultiple, properties are read one by one")
		}
		d.single = true
		for _, p := range points {
			if err := d.readOne(ctx, p, to); err != nil {
				return err
			}
		}
		return nil
	case errors.As(err, &abort), errors.As(err, &reject):
		// The answer is most likely too long for the device.
		used := 0
		for _, p := range points {
			used += p.estimate()
		}
		d.budget = max(minBudget, min(d.budget, used)/2)
	}
	for _, half := range [][]*point{points[:len(points)/2], points[len(points)/2:]} {
		left := make([]*point, 0, len(half))
		for _, p := range half {
			if p.cycle != d.reads.cycle {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			continue
		}
		if err := d.readBatch(ctx, left, to); err != nil {
			return err
		}
	}
	return nil
}

// readOne reads a single point.
func (d *device) readOne(ctx context.Context, p *point, to sink) error {
	raw, err := d.peer.read(ctx, p.ref, d.retries())
	switch {
	case err == nil, answered(err):
		d.answer()
		p.cycle = d.reads.cycle
		to(p, raw, err)
		return nil
	case errors.Is(err, ErrTimeout):
		return d.unanswered(ctx, []*point{p}, err)
	default:
		return err
	}
}

func (d *device) answer() {
	d.reads.answers++
	d.healthy = true
}

// unanswered handles a request that was not answered. If the device answers others,
// only what was asked for is at fault.
func (d *device) unanswered(ctx context.Context, points []*point, err error) error {
	d.healthy = false
	d.reads.silences++
	if d.reads.answers == 0 && d.probe(ctx) != nil || d.reads.silences > maxSilences {
		return err
	}
	d.answer()
	for _, p := range points {
		p.silences++
		if p.silences >= 2*faultLimit {
			p.fail(d.log, err)
		}
	}
	return nil
}

// accept adds what was read of a point to the batch.
func (d *device) accept(p *point, raw []byte, err error) {
	if err != nil {
		p.fail(d.log, err)
		return
	}
	p.recover(d.log)
	p.size = len(raw)
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.sub != nil && p.sub.active && p.seen {
		p.readAt = time.UnixMilli(d.ts).Add(d.entry.COV.Resync)
	}
	d.report(&d.batch, p, raw, d.ts)
}

// report adds the readings of a point to a batch.
func (d *device) report(b *telemetry.Batch, p *point, raw []byte, ts int64) {
	for i := range p.readings {
		r := &p.readings[i]
		v, ok := d.convertCached(p, raw, r.decimals)
		if !ok || !v.Valid() {
			continue // there is no value
		}
		out := telemetry.Point{Key: r.key, Value: v, TS: ts, Report: r.report}
		if r.attribute {
			b.AddAttribute(out)
		} else {
			b.AddTelemetry(out)
		}
	}
}

func (d *device) submit(ctx context.Context) {
	if d.batch.Empty() {
		return
	}
	if d.s.c.cfg.Compatible && len(d.batch.Groups()[0].Attributes) > 0 {
		d.batch.Attribute("ts", telemetry.Int(d.ts))
	}
	_, err := d.s.Submit(ctx, &d.batch)
	switch {
	case err == nil:
	case connector.IsInvalid(err):
		d.log.Warn("readings were rejected", slog.Any("error", err))
	case ctx.Err() == nil:
		d.s.fail(err)
	}
}
