package bacnet

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const (
	maxNotices  = 4096 // that wait to be stored; each is one datagram
	maxTogether = 256  // notifications that are stored together
)

// A queued notification waits to be stored.
type queued struct {
	from      wire.Address
	contents  []byte
	confirmed bool
	id        uint8
	at        int64 // Unix milliseconds
}

// notified implements listener. It queues the notification if it is one of a
// subscription. When the queue is full it is dropped: the device repeats it if it is
// to be confirmed, and otherwise the next Resync brings the value.
func (s *session) notified(from wire.Address, n *notice) bool {
	if len(s.subscribers(from, n.Notification)) == 0 {
		return false
	}
	var buf []byte
	select {
	case buf = <-s.spare:
	default:
	}
	q := queued{from: from, contents: append(buf[:0], n.contents...), confirmed: n.confirmed, id: n.id, at: time.Now().UnixMilli()}
	full := false
	select {
	case s.notices <- q:
	default:
		full = true
	}
	s.mu.Lock()
	report := full && !s.dropping
	s.dropping = full
	s.mu.Unlock()
	if report {
		s.log.Warn("values arrive faster than they can be stored, notifications are dropped", slog.Int("waiting", maxNotices))
	}
	return true
}

// subscribers returns the devices that have subscribed to what a notification is
// about.
func (s *session) subscribers(from wire.Address, n wire.Notification) (list []*device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.byInstance[n.Device.Instance()] {
		d.mu.Lock()
		if d.subs[n.Object] != nil && (d.latest == from || slices.Contains(d.entry.alternatives, from)) {
			list = append(list, d)
		}
		d.mu.Unlock()
	}
	return list
}

// store stores notifications, many together if many wait, and acknowledges those
// that are to be confirmed when they are durable.
func (s *session) store(ctx context.Context) {
	var batch telemetry.Batch
	var out []byte
	list := make([]queued, 0, maxTogether)
	for {
		list = s.gather(ctx, list[:0])
		if len(list) == 0 {
			return
		}
		stored := s.storeTogether(ctx, &batch, list)
		for _, q := range list {
			if q.confirmed && stored {
				ack := wire.APDU{Type: wire.SimpleACK, InvokeID: q.id, Service: wire.ServiceConfirmedCOVNotification}
				out, _ = s.end.send(out, q.from, &ack) // the device repeats what is not acknowledged
			}
			select {
			case s.spare <- q.contents:
			default:
			}
		}
	}
}

// gather waits for a notification, and returns it with those that wait too. It
// returns none when ctx is done.
func (s *session) gather(ctx context.Context, list []queued) []queued {
	select {
	case q := <-s.notices:
		list = append(list, q)
	case <-ctx.Done():
		return nil
	}
	for len(list) < maxTogether {
		select {
		case q := <-s.notices:
			list = append(list, q)
		default:
			return list
		}
	}
	return list
}

// storeTogether reports whether the notifications are durable, or can never be.
func (s *session) storeTogether(ctx context.Context, b *telemetry.Batch, list []queued) bool {
	b.Reset()
	confirmed := false
	for i := range list {
		s.addNotice(b, &list[i])
		confirmed = confirmed || list[i].confirmed
	}
	if b.Empty() {
		return true
	}
	receipt, err := s.Submit(ctx, b)
	switch {
	case err == nil:
	case connector.IsInvalid(err) && len(list) > 1:
		for i := range list { // one of them is at fault
			if !s.storeTogether(ctx, b, list[i:i+1]) {
				return false
			}
		}
		return true
	case connector.IsInvalid(err):
		s.log.Warn("readings were rejected", slog.String("device", b.Groups()[0].Device.Name), slog.Any("error", err))
		return true
	default:
		if ctx.Err() == nil {
			s.fail(err)
		}
		return false
	}
	if !confirmed {
		return true
	}
	if err := receipt.Wait(ctx); err != nil {
		if ctx.Err() == nil {
			s.log.Warn("values were not stored, the devices repeat them", slog.Any("error", err))
		}
		return false
	}
	return true
}

// addNotice adds the readings of a notification.
func (s *session) addNotice(b *telemetry.Batch, q *queued) {
	n, err := wire.ParseNotification(q.contents)
	if err != nil {
		return // it was parsed before
	}
	for _, d := range s.subscribers(q.from, n) {
		d.addNotice(b, n, q.at)
	}
}

func (d *device) addNotice(b *telemetry.Batch, n wire.Notification, at int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sub := d.subs[n.Object]
	if sub == nil {
		return
	}
	readAt := time.UnixMilli(at).Add(d.entry.COV.Resync)
	started := false
	_ = n.Each(func(r wire.Reference, value []byte) bool { // what is malformed ends it
		for _, p := range sub.points {
			if p.ref != r {
				continue
			}
			if !started {
				started = true
				d.begin(b)
			}
			p.seen, p.readAt = true, readAt
			d.report(b, p, value, at)
		}
		return true
	})
}

// begin starts the device's group in a batch, unless that is the one at its end.
func (d *device) begin(b *telemetry.Batch) {
	if groups := b.Groups(); len(groups) > 0 && groups[len(groups)-1].Device == d.subscriber {
		return
	}
	b.Device(d.subscriber.Name, d.subscriber.Profile)
}
