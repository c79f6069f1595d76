package bacnet

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A device is a device that was found.
type device struct {
	s        *session
	entry    *entry
	instance uint32
	lane     *poll.Lane
	log      *slog.Logger

	silent atomic.Bool // it does not answer

	mu         sync.Mutex
	latest     wire.Address // what it said last of itself
	about      wire.IAm
	doubled    bool // that there are two of them was reported
	subs       map[wire.ObjectID]*subscription
	subscriber telemetry.Device // info, for who stores what arrives

	// The rest belongs to the lane.
	peer     *peer
	info     telemetry.Device
	ready    bool // info is known, and what is to be read
	online   bool // the platform was told so
	away     bool // it did not answer, and may have forgotten the subscriptions
	healthy  bool // the last request was answered
	single   bool // it does not understand ReadPropertyMultiple
	budget   int  // bytes of an answer that it can send, as far as is known
	points   []*point
	due      []*point
	refs     []wire.Reference
	reads    reads
	batch    telemetry.Batch
	ts       int64
	revision uint64 // of its objects
	partial  bool   // not all of its objects are known
	scanAt   time.Time
}

func newDevice(s *session, e *entry, from wire.Address, i wire.IAm, order int) (*device, error) {
	d := &device{s: s, entry: e, instance: i.Device.Instance(), latest: from, about: i, healthy: true}
	d.log = s.log.With(logAddress(from), slog.Int("instance", int(d.instance)))
	d.peer = newPeer(s.end, &s.c.cfg, e.Timeout)
	d.peer.alternatives = e.alternatives
	jobs := []poll.Job{{Interval: e.Poll, Poll: d.poll}}
	if interval := d.upkeep(); interval > 0 {
		jobs = append(jobs, poll.Job{Interval: interval, Poll: d.keep})
	}
	var err error
	d.lane, err = poll.NewLane(poll.Config{Shortest: s.c.cfg.Shortest, Longest: s.c.cfg.Longest, First: order}, poll.Device{
		Name: d.label(), Jobs: jobs, Probe: d.probe, Changed: d.changed,
	})
	return d, err
}

// upkeep returns how often subscriptions and the list of objects are looked after,
// or zero.
func (d *device) upkeep() time.Duration {
	interval := time.Duration(0)
	if d.entry.scans() {
		interval = d.s.c.cfg.Rescan
	}
	if d.entry.COV.Enabled {
		// Renewals are due in half the lifetime.
		if quarter := max(d.entry.COV.Lifetime/4, time.Second/4); interval == 0 || quarter < interval {
			interval = quarter
		}
	}
	return interval
}

// label names the device before its name is known.
func (d *device) label() string { return "device," + strconv.FormatUint(uint64(d.instance), 10) }

// heard notes what the device says of itself. A device that answers keeps its
// address; another that claims to be it is reported.
func (d *device) heard(from wire.Address, i wire.IAm) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if from != d.latest && !d.silent.Load() {
		if !d.doubled {
			d.doubled = true
			d.s.log.Warn("another device has the same instance, or the device has two addresses",
				slog.Int("instance", int(d.instance)), logAddress(d.latest), slog.String("other", from.String()))
		}
		return
	}
	d.latest, d.about = from, i
}

// adopt makes requests go to where the device said that it is.
func (d *device) adopt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peer.addr == d.latest {
		return
	}
	if d.peer.addr.IP.IsValid() {
		d.log = d.s.log.With(logAddress(d.latest), slog.Int("instance", int(d.instance)))
		d.log.Info("device has another address")
		d.unsubscribe()
	}
	d.peer.addr = d.latest
	d.peer.maxAPDU = wire.Length(wire.LengthCode(int(d.about.MaxAPDU)))
	d.budget = min(d.peer.maxAPDU, d.peer.own)
}

// retries returns how often a request is repeated: a device that did not answer the
// last time gets one chance.
func (d *device) retries() int {
	if d.healthy {
		return d.entry.Retries
	}
	return 0
}

// poll reads what is due.
func (d *device) poll(ctx context.Context, t *poll.Turn) error {
	if err := d.setup(ctx, t); err != nil {
		return d.outcome(err)
	}
	now := time.Now()
	d.ts = now.UnixMilli()
	d.batch.Reset()
	d.batch.Device(d.info.Name, d.info.Profile)
	d.due = d.due[:0]
	d.mu.Lock()
	for _, p := range d.points {
		if p.isDue(now) {
			d.due = append(d.due, p)
		}
	}
	d.mu.Unlock()
	var err error
	if len(d.due) == 0 {
		err = d.probe(ctx)
	} else {
		err = d.readAll(ctx, t, d.due, d.accept)
	}
	d.submit(ctx)
	return d.outcome(err)
}

// outcome notes whether the device answered.
func (d *device) outcome(err error) error {
	d.healthy = err == nil || answered(err)
	return err
}

// probe asks for the cheapest there is.
func (d *device) probe(ctx context.Context) error {
	d.adopt()
	ref := wire.Reference{Object: wire.NewObjectID(wire.DeviceObject, d.instance), Property: wire.SystemStatus, Index: wire.WholeArray}
	_, err := d.peer.read(ctx, ref, d.retries())
	if err != nil && answered(err) {
		return nil
	}
	return err
}

// keep renews subscriptions and finds out whether the device has other objects now.
func (d *device) keep(ctx context.Context, t *poll.Turn) error {
	if err := d.setup(ctx, t); err != nil {
		return d.outcome(err)
	}
	if err := d.rescan(ctx, t); err != nil {
		return d.outcome(err)
	}
	return d.outcome(d.renew(ctx, t))
}

// changed is told that the device answers, or does not.
func (d *device) changed(ctx context.Context, online bool, cause error) {
	d.silent.Store(!online)
	log := d.log
	var err error
	switch {
	case online:
		log.Info("device answers")
		d.s.Ready()
		err = d.s.DeviceOnline(ctx, d.info)
	default:
		log.Warn("device does not answer", slog.Any("error", cause))
		d.away = true
		d.mu.Lock()
		d.unsubscribe()
		d.mu.Unlock()
		if d.online {
			err = d.s.DeviceOffline(ctx, d.info.Name)
		}
	}
	d.online = online
	if err != nil && ctx.Err() == nil {
		log.Warn("platform was not told of the device", slog.Bool("online", online), slog.Any("error", err))
	}
}

// setup finds out the device's name, and what is to be read of it.
func (d *device) setup(ctx context.Context, t *poll.Turn) error {
	d.adopt()
	if d.ready {
		if d.away && d.entry.COV.Enabled {
			d.away = false
			return d.renew(ctx, t)
		}
		return nil
	}
	if d.info.Name == "" {
		info, err := d.describe(ctx)
		if err != nil {
			return err
		}
		d.info = info
		d.mu.Lock()
		d.subscriber = info
		d.mu.Unlock()
		d.log = d.log.With(slog.String("device", info.Name))
		d.s.name(d)
	}
	if err := d.scan(ctx, t); err != nil {
		return err
	}
	d.ready = true
	if d.entry.COV.Enabled {
		return d.renew(ctx, t)
	}
	return nil
}

// describe expands the templates of the device's name and profile.
func (d *device) describe(ctx context.Context) (telemetry.Device, error) {
	vars := map[string]string{
		"objectName": strconv.FormatUint(uint64(d.instance), 10), "objectId": strconv.FormatUint(uint64(d.instance), 10),
		"vendorId": strconv.FormatUint(uint64(d.about.Vendor), 10), "address": d.peer.addr.String(),
	}
	if d.entry.needsName {
		v, err := d.peer.readAs(ctx, wire.NewObjectID(wire.DeviceObject, d.instance), wire.ObjectName, wire.CharacterString)
		if err != nil && !answered(err) {
			return telemetry.Device{}, err
		}
		if s, bad := v.Text(); err == nil && bad == nil && s != "" {
			vars["objectName"] = s
		} else {
			d.log.Warn("the device's name cannot be read, its instance takes its place", slog.Any("error", errors.Join(err, bad)))
		}
	}
	if d.entry.needsRouter {
		if err := d.describeRouter(ctx, vars); err != nil {
			return telemetry.Device{}, err
		}
	}
	lookup := func(name string, _ bool) (string, error) { return vars[name], nil }
	name, _ := d.entry.name.Expand(lookup) // lookup has no errors
	profile, _ := d.entry.profile.Expand(lookup)
	if d.entry.literalName {
		name = d.entry.Name
	}
	if d.entry.literalProfile {
		profile = d.entry.Profile
	}
	return telemetry.Device{Name: name, Profile: profile}, nil
}

// describeRouter asks the router that the device is behind for its device object. A
// device that is behind none is its own.
func (d *device) describeRouter(ctx context.Context, vars map[string]string) error {
	p := newPeer(d.s.end, &d.s.c.cfg, d.entry.Timeout)
	p.addr = wire.Address{IP: d.peer.addr.IP}
	vars["routerAddress"] = p.addr.String()
	i, err := p.introduce(ctx)
	if err != nil {
		if answered(err) {
			d.log.Warn("the router has no device object", slog.Any("error", err))
			return nil
		}
		return err
	}
	vars["routerId"] = strconv.FormatUint(uint64(i.Device.Instance()), 10)
	vars["routerVendorId"] = strconv.FormatUint(uint64(i.Vendor), 10)
	vars["routerName"] = vars["routerId"]
	p.maxAPDU = wire.Length(wire.LengthCode(int(i.MaxAPDU)))
	if v, err := p.readAs(ctx, i.Device, wire.ObjectName, wire.CharacterString); err == nil {
		if s, bad := v.Text(); bad == nil && s != "" {
			vars["routerName"] = s
		}
	}
	return nil
}
