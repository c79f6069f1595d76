package bacnet

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

const (
	// An object that cannot be subscribed to is polled, and tried again after these
	// delays, which double.
	retryShortest = 10 * time.Minute
	retryLongest  = 4 * time.Hour
)

// A subscription is that to the values of one object. It is guarded by the device's
// mutex.
type subscription struct {
	object  wire.ObjectID
	points  []*point
	active  bool
	renewAt time.Time
	refused int // in a row
}

// resubscribe makes the subscriptions fit the points. The device's mutex is held.
func (d *device) resubscribe() {
	if !d.entry.COV.Enabled {
		return
	}
	old := d.subs
	d.subs = make(map[wire.ObjectID]*subscription)
	for _, p := range d.points {
		p.sub = nil
		if p.ref.Property != wire.PresentValue && p.ref.Property != wire.StatusFlags || p.ref.Index != wire.WholeArray {
			continue
		}
		o := p.ref.Object
		if d.subs[o] == nil {
			if d.subs[o] = old[o]; d.subs[o] == nil {
				d.subs[o] = &subscription{object: o}
			}
			d.subs[o].points = nil
		}
		p.sub = d.subs[o]
		p.sub.points = append(p.sub.points, p)
	}
}

// unsubscribe forgets the subscriptions: the device does not know them any more. The
// device's mutex is held.
func (d *device) unsubscribe() {
	for _, s := range d.subs {
		if s.active {
			s.active, s.renewAt = false, time.Time{}
		}
		for _, p := range s.points {
			p.seen = false
		}
	}
}

// renew subscribes to what is due. It returns an error if the device does not
// answer.
func (d *device) renew(ctx context.Context, t *poll.Turn) error {
	now := time.Now()
	var due []*subscription
	d.mu.Lock()
	for _, p := range d.points { // in their order
		if s := p.sub; s != nil && s.points[0] == p && !now.Before(s.renewAt) {
			due = append(due, s)
		}
	}
	d.mu.Unlock()
	for _, s := range due {
		err := d.peer.subscribe(ctx, wire.Subscription{
			Process: d.s.c.cfg.Local.Instance, Object: s.object,
			Confirmed: !d.entry.COV.Unconfirmed, Lifetime: d.entry.COV.Lifetime,
		}, d.retries())
		if err != nil && !answered(err) {
			return err
		}
		d.healthy = true
		if stop := d.subscribed(s, err); stop {
			d.refuseAll(due)
			return nil
		}
		if err := t.Yield(ctx); err != nil {
			return err
		}
	}
	return nil
}

// subscribed notes what became of a subscription. It reports true if the device has
// no subscriptions at all.
func (d *device) subscribed(s *subscription, err error) (stop bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if err == nil {
		if s.refused > 0 {
			d.log.Info("object can be subscribed to again", slog.String("object", s.object.String()))
		}
		s.active, s.refused = true, 0
		s.renewAt = now.Add(d.entry.COV.Lifetime / 2)
		return false
	}
	var reject wire.Reject
	if errors.As(err, &reject) && reject == wire.RejectUnrecognizedService {
		if s.refused == 0 {
			d.log.Warn("device does not understand subscriptions, it is polled", slog.Any("error", err))
		}
		return true
	}
	if s.refused == 0 {
		d.log.Warn("object cannot be subscribed to, it is polled", slog.String("object", s.object.String()), slog.Any("error", err))
	}
	s.refuse(now)
	return false
}

func (s *subscription) refuse(now time.Time) {
	s.active = false
	s.renewAt = now.Add(min(retryShortest<<min(s.refused, 10), retryLongest))
	s.refused++
	for _, p := range s.points {
		p.seen = false
	}
}

func (d *device) refuseAll(list []*subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for _, s := range list {
		s.refuse(now)
	}
}
