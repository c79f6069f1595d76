package modbus

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const (
	// faultLimit is the number of polls in a row after which a block that alone
	// fails is split, or rested.
	faultLimit = 3

	// A register that the device refused is tried again after retryShortest,
	// and then after delays that double up to retryLongest.
	retryShortest = 10 * time.Minute
	retryLongest  = 2 * time.Hour
)

// A group is what is read from a device at one interval.
type group struct {
	target   *target
	interval time.Duration
	limits   limits
	items    []*item

	blocks  []block
	replan  bool // refused registers answer again
	retryAt time.Time
	retry   time.Duration // the delay that led to retryAt; 0: nothing is refused

	batch   telemetry.Batch
	scratch []byte
}

// reset plans all of g's items, also the ones that were refused.
func (g *group) reset() {
	for _, it := range g.items {
		it.refused = false
	}
	g.retry = 0
	g.blocks = plan(g.items, g.limits)
	if g.scratch == nil {
		g.scratch = make([]byte, 0, (maxReadBits+7)/8)
	}
}

// A round is the state of one poll.
type round struct {
	ts      int64
	answers int
	silent  int
}

// poll reads g's blocks and submits what they hold. It fails if the device
// answered nothing at all.
func (g *group) poll(ctx context.Context, turn *poll.Turn) error {
	now := time.Now()
	g.batch.Reset()
	g.batch.Device(g.target.device.Name, g.target.device.Profile)
	g.readmit(now)
	r := round{ts: now.UnixMilli()}
	for i := 0; i < len(g.blocks); {
		if now.Before(g.blocks[i].hold) {
			i++
			continue
		}
		if r.answers+r.silent > 0 {
			if err := turn.Yield(ctx); err != nil {
				return err
			}
		}
		next, err := g.visit(&r, i, now)
		if err != nil {
			g.target.healthy = false
			return err
		}
		if r.silent > 1 {
			break
		}
		i = next
	}
	if g.replan {
		g.replan = false
		g.merge()
	}
	return g.submit(ctx)
}

// visit reads block i and returns the index of the block to read next. An error
// means that the poll failed.
func (g *group) visit(r *round, i int, now time.Time) (next int, err error) {
	b := &g.blocks[i]
	data, err := g.target.read(b)
	if err == nil {
		r.answers++
		g.accept(b, data, r.ts)
		if b.trial {
			g.blocks = slices.Delete(g.blocks, i, i+1)
			return i, nil
		}
		return i + 1, nil
	}
	if code, ok := refused(err); ok {
		r.answers++
		g.refuse(i, code, err, now)
		return i, nil
	}
	if poll.IsDown(err) {
		return 0, err
	}
	if answered(err) {
		r.answers++
	} else {
		r.silent++
	}
	if r.answers == 0 {
		// Another block goes first next time: if it answers, only this one is
		// at fault.
		silent := *b
		g.blocks = append(slices.Delete(g.blocks, i, i+1), silent)
		return 0, err
	}
	return g.fault(i, err, now), nil
}

// answered reports whether err is an answer of the device itself.
func answered(err error) bool {
	var e *Exception
	return errors.As(err, &e) && e.Code != GatewayPath && e.Code != GatewayTarget
}

// accept decodes data into the batch.
func (g *group) accept(b *block, data []byte, ts int64) {
	g.target.healthy = true
	if b.faults >= faultLimit {
		g.log().Info("registers answer again", g.place(b)...)
	}
	b.faults, b.hold = 0, time.Time{}
	for _, it := range b.items {
		if b.trial {
			it.refused, g.replan = false, true
		}
		v, ok := it.read(it.in(b, data, g.scratch))
		if !ok || !v.Valid() {
			continue // there is no value yet, or it is not a number
		}
		p := telemetry.Point{Key: it.key, Value: v, TS: ts, Report: it.report}
		if it.attribute {
			g.batch.AddAttribute(p)
		} else {
			g.batch.AddTelemetry(p)
		}
	}
}

// refuse handles the refusal of block i: it is split until the registers that the
// device does not have are alone, and these are left out.
func (g *group) refuse(i int, code uint8, err error, now time.Time) {
	g.target.healthy = true
	b := g.blocks[i]
	if code != IllegalFunction && !b.trial {
		if parts := b.split(); parts != nil {
			g.blocks = slices.Replace(g.blocks, i, i+1, parts...)
			return
		}
	}
	g.blocks = slices.Delete(g.blocks, i, i+1)
	for _, it := range b.items {
		it.refused = true
		if !it.reported {
			it.reported = true
			g.log().Warn("register is refused", slog.String("device", g.target.device.Name), slog.String("key", it.key),
				slog.String("table", it.table.String()), slog.Int("address", it.addr), slog.Any("error", err))
		}
	}
	if g.retry == 0 {
		g.retry = retryShortest
		g.retryAt = now.Add(g.retry)
	}
}

// fault handles the failure of block i while others answer. After a few times in
// a row it is split, or rested if it cannot be split. It returns the index of the
// block to read next.
func (g *group) fault(i int, err error, now time.Time) (next int) {
	b := &g.blocks[i]
	b.faults++
	if b.faults < faultLimit {
		return i + 1
	}
	if b.faults == faultLimit {
		g.log().Warn("registers do not answer", append(g.place(b), slog.Any("error", err))...)
	}
	if parts := b.split(); parts != nil {
		g.blocks = slices.Replace(g.blocks, i, i+1, parts...)
		return i + len(parts)
	}
	b.hold = now.Add(min(time.Minute<<min(b.faults-faultLimit, 10), retryShortest))
	return i + 1
}

// readmit adds the refused registers to the plan when it is time to try them
// again.
func (g *group) readmit(now time.Time) {
	if g.retry == 0 || now.Before(g.retryAt) {
		return
	}
	g.retry = min(2*g.retry, retryLongest)
	g.retryAt = now.Add(g.retry)
	var items []*item
	for _, it := range g.items {
		if it.refused {
			items = append(items, it)
		}
	}
	for _, b := range plan(items, limits{registers: g.limits.registers, discreteCount: g.limits.discreteCount}) {
		b.trial = true
		g.blocks = append(g.blocks, b)
	}
}

// merge plans the registers that are not refused anew.
func (g *group) merge() {
	items := slices.DeleteFunc(slices.Clone(g.items), func(it *item) bool { return it.refused })
	if len(items) == len(g.items) {
		g.retry = 0
	}
	g.blocks = plan(items, g.limits)
}

func (g *group) submit(ctx context.Context) error {
	if g.batch.Empty() {
		return nil
	}
	host := g.target.bus.host
	_, err := host.Submit(ctx, &g.batch)
	if err == nil {
		return nil
	}
	if connector.IsInvalid(err) {
		g.log().Warn("readings were rejected", slog.String("device", g.target.device.Name), slog.Any("error", err))
		return nil
	}
	host.fail(err)
	return nil
}

func (g *group) log() *slog.Logger { return g.target.bus.host.log }

func (g *group) place(b *block) []any {
	return []any{
		slog.String("device", g.target.device.Name), slog.String("table", b.table.String()),
		slog.Int("address", b.addr), slog.Int("count", b.count),
	}
}

// read reads a block.
func (t *target) read(b *block) ([]byte, error) {
	bus := t.bus
	bus.out = appendRead(bus.out[:0], b.table.readFunction(), uint16(b.addr), uint16(b.count))
	retries := 0
	if t.healthy {
		retries = t.retries
	}
	return bus.exchange(bus.polls, t, bus.out, retries)
}

// probe finds out with one request whether the device answers.
func (t *target) probe(context.Context) error {
	for _, g := range t.groups {
		if len(g.blocks) == 0 {
			continue
		}
		_, err := t.read(&g.blocks[0])
		if err == nil || answered(err) {
			return nil
		}
		first := g.blocks[0]
		g.blocks = append(slices.Delete(g.blocks, 0, 1), first)
		return err
	}
	return nil
}

// changed tells the platform that the device came or went.
func (t *target) changed(ctx context.Context, online bool, cause error) {
	host := t.bus.host
	host.setOffline(t, !online)
	attrs := []any{slog.String("device", t.device.Name), slog.String("bus", t.bus.name), slog.Int("unit", int(t.unit))}
	var err error
	switch {
	case online:
		host.log.Info("device answers", attrs...)
		for _, g := range t.groups {
			if len(g.blocks) == 0 || g.retry > 0 {
				g.reset()
			}
		}
		err = host.DeviceOnline(ctx, t.device)
	default:
		host.log.Warn("device does not answer", append(attrs, slog.Any("error", cause))...)
		if t.online {
			err = host.DeviceOffline(ctx, t.device.Name)
		}
	}
	t.online = online
	if err != nil && ctx.Err() == nil {
		host.log.Warn("platform was not told of the device", append(attrs, slog.Bool("online", online), slog.Any("error", err))...)
	}
}
