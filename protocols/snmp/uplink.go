package snmp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An item is an object that is polled.
type item struct {
	op
	key       string
	attribute bool
	report    *telemetry.ReportPolicy

	slots  []*slot // of a batched method
	failed bool    // that was logged
}

// A group is what is read from a device at one interval.
type group struct {
	target   *target
	interval time.Duration
	items    []*item
	gets     []*slot
	nexts    []*slot

	ready []*slot // of the current poll
	batch telemetry.Batch
}

// errNotAsked is the error of an object that a poll did not come to.
var errNotAsked = errors.New("the device stopped answering")

// add adds it to g. An object that several items read is asked for once.
func (g *group) add(it *item) {
	g.items = append(g.items, it)
	if !it.method.batched() {
		return
	}
	slots := &g.gets
	if it.method == GetNext {
		slots = &g.nexts
	}
	for _, oid := range it.oids {
		var found *slot
		for _, s := range *slots {
			if s.oid == oid {
				found = s
			}
		}
		if found == nil {
			found = &slot{oid: oid}
			*slots = append(*slots, found)
		}
		it.slots = append(it.slots, found)
	}
}

// reset forgets what was found out about the objects.
func (g *group) reset() {
	for _, list := range [][]*slot{g.gets, g.nexts} {
		for _, s := range list {
			*s = slot{oid: s.oid}
		}
	}
	for _, it := range g.items {
		it.failed = false
	}
}

// readmit asks for refused objects again: the device may have started anew.
func (g *group) readmit() {
	for _, list := range [][]*slot{g.gets, g.nexts} {
		for _, s := range list {
			s.retry = 0
		}
	}
}

// cheapest returns an object whose reading is one small request.
func (g *group) cheapest() (oid string, next bool) {
	if len(g.gets) > 0 {
		return g.gets[0].oid, false
	}
	it := g.items[0]
	return append(append([]string(nil), it.oids...), it.scalars...)[0], true
}

// poll reads g's objects and submits what they hold. It fails if the device
// answered nothing at all.
func (g *group) poll(ctx context.Context, turn *poll.Turn) error {
	now := time.Now()
	g.batch.Reset()
	g.batch.Device(g.target.device.Name, g.target.device.Profile)
	n := &tally{turn: turn}
	err := g.target.read(ctx, n, false, g.due(g.gets, now))
	if err == nil {
		err = g.target.read(ctx, n, true, g.due(g.nexts, now))
	}
	if err != nil && n.answers == 0 || ctx.Err() != nil {
		return err
	}
	for _, it := range g.items {
		r, err := g.take(ctx, n, it)
		if ctx.Err() != nil || err != nil && n.answers == 0 {
			return err
		}
		g.accept(it, r, err, now.UnixMilli())
	}
	return g.submit(ctx)
}

// due returns the slots to ask for now: not those that the agent refuses.
func (g *group) due(slots []*slot, now time.Time) []*slot {
	g.ready = g.ready[:0]
	for _, s := range slots {
		if s.retry > 0 && now.Before(s.until) {
			continue
		}
		s.err = errNotAsked
		g.ready = append(g.ready, s)
	}
	return g.ready
}

// take returns what it reads.
func (g *group) take(ctx context.Context, n *tally, it *item) (result, error) {
	if it.method.batched() {
		return it.result(it.slots)
	}
	if n.silences >= silenceLimit {
		return result{}, errNotAsked
	}
	r, err := g.target.run(ctx, n, &it.op)
	if lost(err) {
		n.silences++
		g.target.healthy = false
	}
	return r, err
}

// accept puts r into the batch, and logs it once if there is none.
func (g *group) accept(it *item, r result, err error, ts int64) {
	if (err != nil) != it.failed {
		it.failed = err != nil
		attrs := []any{slog.String("device", g.target.device.Name), slog.String("key", it.key), slog.Any("oid", it.oids)}
		if it.failed {
			g.target.host.log.Warn("object is not read", append(attrs, slog.Any("error", err))...)
		} else {
			g.target.host.log.Info("object is read again", attrs...)
		}
	}
	if err != nil {
		return
	}
	v := r.value()
	if g.target.quirks {
		v = r.text()
	}
	if !v.Valid() {
		return
	}
	p := telemetry.Point{Key: it.key, Value: v, TS: ts, Report: it.report}
	if it.attribute {
		g.batch.AddAttribute(p)
	} else {
		g.batch.AddTelemetry(p)
	}
}

func (g *group) submit(ctx context.Context) error {
	if g.batch.Empty() {
		return nil
	}
	host := g.target.host
	_, err := host.Submit(ctx, &g.batch)
	if err == nil {
		return nil
	}
	if connector.IsInvalid(err) {
		host.log.Warn("readings were rejected", slog.String("device", g.target.device.Name), slog.Any("error", err))
		return nil
	}
	host.fail(err)
	return nil
}
