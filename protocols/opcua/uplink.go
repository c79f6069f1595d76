package opcua

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// statusSuffix makes the name of the attribute that tells a value's quality.
const statusSuffix = "_status"

// good is the quality of a value that was bad before and is not any more.
const good = "Good"

// overflow is the information bit of a status that says that the server's queue of
// a monitored item ran over (Part 4, 7.39.1).
const overflow = 0x480

// An uplink converts values into batches and submits them. It is used by one
// goroutine.
type uplink struct {
	host       connector.Host
	log        *slog.Logger
	types      *typeTable
	compatible bool
	most       int // points of a batch
	count      *counters

	batch   telemetry.Batch
	device  *device // whose group is the last
	points  int
	unknown []*item // whose values are structures of unknown types
	worse   quality
	better  quality
}

// A quality collects what is said about values that turned bad, or good again.
type quality struct {
	items  int
	first  *item
	status ua.StatusCode
}

func (q *quality) add(it *item, status ua.StatusCode) {
	if q.items == 0 {
		q.first, q.status = it, status
	}
	q.items++
}

// counters count what a connector does, over all of its runs.
type counters struct {
	values, bad, overflows, lost, stalls, reconnects, badNow, items, devices atomic.Int64
	stalled                                                                  atomic.Int64 // nanoseconds
	backlog                                                                  atomic.Int64 // messages
}

// add converts a value of it that came at now, in Unix milliseconds.
func (u *uplink) add(it *item, v *ua.DataValue, now int64) {
	if v == nil {
		return
	}
	if v.Status&overflow == overflow {
		u.count.overflows.Add(1)
	}
	if bad(v.Status) {
		u.refuse(it, v.Status, now)
		return
	}
	value, ok := valueOf(v.Value, u.types, u.compatible)
	if !ok {
		if unexplained(v.Value) && it.quality() != ua.StatusBadDataTypeIDUnknown {
			u.unknown = append(u.unknown, it)
		}
		return // there is no value, which is no fault
	}
	u.accept(it, now)
	if !value.Valid() {
		return
	}
	u.count.values.Add(1)
	u.put(it, telemetry.Point{Key: it.Key, Value: value, TS: it.time(v, now), Report: it.report}, it.attribute)
}

// time returns the time of a value in Unix milliseconds.
func (it *item) time(v *ua.DataValue, now int64) int64 {
	switch {
	case it.Time == SourceTime && v.SourceTimestamp.Unix() > 0:
		return v.SourceTimestamp.UnixMilli()
	case it.Time == ServerTime && v.ServerTimestamp.Unix() > 0:
		return v.ServerTimestamp.UnixMilli()
	default:
		return now
	}
}

// quality returns the status of a value that is bad, or zero.
func (it *item) quality() ua.StatusCode { return ua.StatusCode(it.status.Load()) }

func (u *uplink) put(it *item, p telemetry.Point, attribute bool) {
	if u.device != it.device {
		u.device = it.device
		u.batch.Device(it.device.Name, it.device.Profile)
	}
	if attribute {
		u.batch.AddAttribute(p)
	} else {
		u.batch.AddTelemetry(p)
	}
	u.points++
}

// refuse reports a value of bad quality, once.
func (u *uplink) refuse(it *item, status ua.StatusCode, now int64) {
	u.count.bad.Add(1)
	if it.quality() == status {
		return
	}
	if it.quality() == 0 {
		u.count.badNow.Add(1)
		u.worse.add(it, status)
	}
	it.status.Store(uint32(status))
	u.put(it, telemetry.Point{Key: it.Key + statusSuffix, Value: telemetry.String(statusName(status)), TS: now}, true)
}

// accept reports that a value is good again.
func (u *uplink) accept(it *item, now int64) {
	if it.quality() == 0 {
		return
	}
	u.better.add(it, it.quality())
	it.status.Store(0)
	u.count.badNow.Add(-1)
	u.put(it, telemetry.Point{Key: it.Key + statusSuffix, Value: telemetry.String(good), TS: now}, true)
}

// full reports whether the batch is to be submitted.
func (u *uplink) full() bool { return u.points >= u.most }

// submit hands the batch to the gateway. An error means that the gateway does not
// accept data.
func (u *uplink) submit(ctx context.Context) error {
	u.say()
	if u.points == 0 {
		return nil
	}
	_, err := u.host.Submit(ctx, &u.batch)
	u.batch.Reset()
	u.device, u.points = nil, 0
	if connector.IsInvalid(err) {
		u.log.Warn("values were rejected", slog.Any("error", err))
		return nil
	}
	return err
}

// say logs what changed in quality, however many values did.
func (u *uplink) say() {
	if q := u.worse; q.items > 0 {
		u.log.Warn("values are bad", slog.Int("values", q.items), slog.String("device", q.first.device.Name),
			slog.String("key", q.first.Key), slog.String("node", q.first.id.String()), slog.String("status", statusName(q.status)))
	}
	if q := u.better; q.items > 0 {
		u.log.Info("values are good again", slog.Int("values", q.items), slog.String("device", q.first.device.Name),
			slog.String("key", q.first.Key), slog.String("node", q.first.id.String()))
	}
	u.worse, u.better = quality{}, quality{}
}

// explain learns the types of the structures that were not understood, and reads
// these values again, since the library has dropped what it does not know.
func (u *uplink) explain(ctx context.Context, l *link) error {
	items := u.unknown
	u.unknown = nil
	if len(items) == 0 {
		return nil
	}
	for _, again := range []bool{true, false} {
		values, err := l.readItems(ctx, items)
		if err != nil {
			return err
		}
		now := time.Now().UnixMilli()
		learned := false
		for i, v := range values {
			if again && v.Value != nil {
				learned = l.types.learnAll(ctx, v.Value) || learned
				continue
			}
			u.add(items[i], v, now)
		}
		if again && !learned {
			// Another value may have taught the type meanwhile.
			for i, v := range values {
				u.add(items[i], v, now)
			}
			break
		}
	}
	for _, it := range u.unknown {
		u.refuse(it, ua.StatusBadDataTypeIDUnknown, time.Now().UnixMilli())
	}
	u.unknown = nil
	return u.fatal(ctx)
}

// learnAll learns the types of the structures in v.
func (t *typeTable) learnAll(ctx context.Context, v *ua.Variant) (learned bool) {
	switch x := v.Value().(type) {
	case *ua.ExtensionObject:
		return t.learnOf(ctx, x)
	case []*ua.ExtensionObject:
		for _, o := range x {
			learned = t.learnOf(ctx, o) || learned
		}
	}
	return learned
}

func (t *typeTable) learnOf(ctx context.Context, x *ua.ExtensionObject) bool {
	return encoded(x) && t.learn(ctx, x.TypeID.NodeID)
}

// encoded reports whether x has a body and says in which encoding.
func encoded(x *ua.ExtensionObject) bool {
	return x != nil && x.TypeID != nil && x.TypeID.NodeID != nil && x.EncodingMask == ua.ExtensionObjectBinary
}

// unexplained reports whether v, which has no value that can be reported, holds a
// structure.
func unexplained(v *ua.Variant) bool {
	if v == nil {
		return false
	}
	switch x := v.Value().(type) {
	case *ua.ExtensionObject:
		return encoded(x)
	case []*ua.ExtensionObject:
		return slices.ContainsFunc(x, encoded)
	default:
		return false
	}
}
