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

// A group is what is read from a device at one interval.
type group struct {
	target   *target
	interval time.Duration
	limits   limits
	items    []*item

	blocks  []block
	replan  bool // more, or fewer, registers answer than were planned
	learnt  bool // the plan is worse than it could be, see learn.go
	turn    int  // of the items that scouts read
	retryAt time.Time
	retry   time.Duration // the delay that led to retryAt; 0: nothing was learnt

	batch   telemetry.Batch
	scratch []byte
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
	switch {
	case err == nil || answered(err):
		r.answers++
	case poll.IsDown(err):
		return 0, err
	default:
		r.silent++
	}
	if r.answers == 0 {
		g.scout(i)
		return 0, err
	}
	if b.scout {
		g.target.healthy = true
		g.blocks = slices.Delete(g.blocks, i, i+1)
		return i, nil
	}
	if err != nil {
		return g.failed(i, err, now), nil
	}
	g.accept(b, data, r.ts)
	if b.trial {
		g.blocks = slices.Delete(g.blocks, i, i+1)
		return i, nil
	}
	return i + 1, nil
}

// failed handles the failure of block i while others answer, and returns the index of
// the block to read next.
func (g *group) failed(i int, err error, now time.Time) (next int) {
	if code, ok := refused(err); ok {
		g.refuse(i, code, err, now)
		return i
	}
	return g.fault(i, err, now)
}

// answered reports whether err is an answer of the device itself.
func answered(err error) bool {
	var e *Exception
	return errors.As(err, &e) && e.Code != GatewayPath && e.Code != GatewayTarget
}

// accept decodes data into the batch.
func (g *group) accept(b *block, data []byte, ts int64) {
	g.target.healthy = true
	if b.mute {
		g.log().Info("registers answer again", g.place(b)...)
	}
	g.replan = g.replan || b.mute || b.trial
	for _, it := range b.items {
		it.refused, it.mute = false, false
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
	b.faults, b.suspect, b.mute, b.hold = 0, false, false, time.Time{}
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
	if t.healthy && b.faults == 0 && !b.suspect {
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
		one := g.one(&g.blocks[0])
		_, err := t.read(&one)
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
