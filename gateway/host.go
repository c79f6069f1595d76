package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/internal/record"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// host is the connector.Host of one connector, for all its runs.
type host struct {
	r *running

	// sem is held by whoever uses what follows. It is a channel so that a wait
	// for it, which lasts as long as the store is full, ends with a context.
	sem     chan struct{}
	out     telemetry.Batch // what passed of the batch at hand
	buf     []byte          // its record
	filter  filter
	timer   *time.Timer // fires when the filter has something due; nil between runs
	armed   bool        // it was set, and may fire
	renewed atomic.Bool // the policy has changed: what is held is due
	wait    *interruptible
	source  *source // of the receipts; nil before the first

	doors  *doors  // that guests are from
	guests *guests // the devices that the connector may speak for
}

// A source is the connector.Syncer of what was appended to one store.
type source struct {
	h  *host
	in *stock
}

var _ connector.Syncer = (*source)(nil)

// Sync implements connector.Syncer. After a failure the source delivers again,
// so the report policy must not take the same readings for old news.
func (s *source) Sync(ctx context.Context, upTo uint64) error {
	err := s.in.sync(ctx, upTo)
	if err != nil {
		s.h.filter.forget()
	}
	return err
}

var _ connector.Host = (*host)(nil)

func newHost(r *running) *host {
	return &host{r: r, sem: make(chan struct{}, 1), filter: newFilter(), wait: new(interruptible)}
}

func (h *host) lock(ctx context.Context) error {
	select {
	case h.sem <- struct{}{}:
		return nil
	default:
	}
	select {
	case h.sem <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *host) unlock() { <-h.sem }

// look brings the present device filter into effect, whose devices alone have
// readings held back. h.sem is held.
func (h *host) look() {
	now := h.r.g.doors.Load()
	if h.doors == now {
		return
	}
	h.doors, h.guests = now, now.of(h.r.name)
	for name := range h.filter.devices {
		if !h.guests.admit(h.r, name) {
			h.filter.drop(name)
		}
	}
}

// tryLook is look, unless h.sem is held; who holds it next looks then.
func (h *host) tryLook() {
	select {
	case h.sem <- struct{}{}:
		h.look()
		h.unlock()
	default:
	}
}

// Submit implements connector.Sink.
func (h *host) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return connector.Receipt{}, err
	}
	if err := h.lock(ctx); err != nil {
		return connector.Receipt{}, err
	}
	defer h.unlock()
	now := time.Now()
	h.look()
	h.filter.sweep(h.filter.at(now))
	tally, err := h.admit(b, now)
	h.r.count(tally)
	if h.r.g.doors.Load() != h.doors {
		h.turnOut(b)
	}
	if h.out.Empty() {
		h.filter.commit(h.filter.at(now))
		h.arm(now)
		return connector.Receipt{}, err
	}
	return h.append(ctx, now)
}

// encode writes the record of h.out to h.buf.
func (h *host) encode(now time.Time) {
	if h.r.g.cfg.origin {
		h.buf = record.AppendOrigin(h.buf[:0], h.r.name, now.UnixMilli(), h.out.Groups())
		return
	}
	h.buf = record.Append(h.buf[:0], h.out.Groups())
}

// append stores h.out and commits the decisions of the filter that led to it.
func (h *host) append(ctx context.Context, now time.Time) (connector.Receipt, error) {
	h.encode(now)
	in, offset, err := h.r.g.depot.append(ctx, h.wait, h.buf)
	if h.wait.waited() { // somebody may still look at it
		h.wait = new(interruptible)
	}
	if err != nil {
		h.filter.rollback()
		if errors.Is(err, eventstore.ErrTooLarge) {
			h.r.invalid.Add(uint64(h.out.Len()))
			err = connector.Invalid(err)
		}
		return connector.Receipt{}, err
	}
	h.filter.commit(h.filter.at(now))
	h.arm(now)
	h.r.records.Add(1)
	h.r.bytes.Add(uint64(len(h.buf)))
	h.r.stored.Add(uint64(h.out.Len()))
	if h.source == nil || h.source.in != in {
		h.source = &source{h, in}
	}
	return connector.NewReceipt(h.source, offset), nil
}

// turnOut sees to the devices of b that the filter has ceased to let pass while b
// was looked at.
func (h *host) turnOut(b *telemetry.Batch) {
	groups := b.Groups()
	for i := range groups {
		if name := groups[i].Device.Name; name != "" && !h.r.mayHave(name) {
			h.r.g.turnOut(h.r, name)
		}
	}
}

// tally counts the points of a batch, and those of them that are not stored.
type tally struct{ telemetry, attributes, invalid, filtered, denied uint64 }

// count counts a batch.
func (c *counters) count(t tally) {
	c.received.Add(1)
	add(&c.telemetry, t.telemetry)
	add(&c.attributes, t.attributes)
	add(&c.invalid, t.invalid)
	add(&c.filtered, t.filtered)
	add(&c.denied, t.denied)
}

// add spares the bus most of the counters, which do not change.
func add(counter *atomic.Uint64, n uint64) {
	if n > 0 {
		counter.Add(n)
	}
}

var errNoName = connector.Invalid(errors.New("gateway: a device without a name"))

// admit fills h.out with the points of b that are to be stored, stamped. It
// returns an error if something is wrong with b and nothing of it is stored.
func (h *host) admit(b *telemetry.Batch, now time.Time) (t tally, err error) {
	h.out.Reset()
	groups := b.Groups()
	for i := range groups {
		g := &groups[i]
		t.telemetry += uint64(len(g.Telemetry))
		t.attributes += uint64(len(g.Attributes))
		if g.Device.Name == "" {
			t.invalid += uint64(len(g.Telemetry) + len(g.Attributes))
			err = errNoName
			continue
		}
		if !h.guests.admit(h.r, g.Device.Name) {
			t.denied += uint64(len(g.Telemetry) + len(g.Attributes))
			continue
		}
		more := h.admitGroup(g, now)
		t.invalid += more.invalid
		t.filtered += more.filtered
	}
	if !h.out.Empty() {
		err = nil
	}
	return t, err
}

// admission is the admission of one group.
type admission struct {
	*telemetry.Group
	policy *telemetry.ReportPolicy // of the points without one; may be nil
	at     int64                   // the filter's time
	tally
}

func (h *host) admitGroup(g *telemetry.Group, now time.Time) tally {
	device := h.r.g.heard(g.Device, h.r, now)
	device.messages.Add(1)
	device.points.Add(uint64(len(g.Telemetry) + len(g.Attributes)))
	a := admission{Group: g, policy: h.r.policyOf(g.Device.Name), at: h.filter.at(now)}
	h.out.Device(g.Device.Name, g.Device.Profile)
	n := len(h.out.Groups()) - 1
	out := &h.out.Groups()[n]
	stamp := int64(0)
	for j := range g.Telemetry { // the points are copied once, for they are many
		out.Telemetry = append(out.Telemetry, g.Telemetry[j])
		p := &out.Telemetry[len(out.Telemetry)-1]
		if p.TS == 0 {
			if stamp == 0 {
				stamp = device.stamp(now.UnixMilli())
			}
			p.TS = stamp
		}
		if !h.passes(&a, p, false) {
			out.Telemetry = out.Telemetry[:len(out.Telemetry)-1]
		}
	}
	for j := range g.Attributes {
		if p := &g.Attributes[j]; h.passes(&a, p, true) {
			out.Attributes = append(out.Attributes, *p)
		}
	}
	if len(out.Telemetry)+len(out.Attributes) == 0 {
		h.out.Truncate(n)
	}
	return a.tally
}

// passes decides whether p is to be stored now.
func (h *host) passes(a *admission, p *telemetry.Point, attribute bool) bool {
	if p.Key == "" || !p.Value.Valid() {
		a.invalid++
		return false
	}
	policy := p.Report
	if policy == nil {
		policy = a.policy
	}
	if policy != nil {
		policy = policy.Of(attribute)
		all := policy.Mode == telemetry.OnReceived && policy.MinInterval == 0
		if !all && !h.filter.pass(a.Device, p, attribute, policy, a.at) {
			a.filtered++
			return false
		}
	}
	return true
}

// Ready implements connector.Host.
func (h *host) Ready() { h.r.ready() }

// DeviceOnline implements connector.Host.
func (h *host) DeviceOnline(ctx context.Context, d telemetry.Device) error {
	if d.Name == "" {
		return errNoName
	}
	g := h.r.g
	doors := g.doors.Load()
	if !h.r.mayHave(d.Name) {
		return nil
	}
	dev := g.devices.touch(d, h.r)
	dev.active.Store(int64(time.Since(g.begun)))
	dev.kept.Store(false)
	g.devices.set(dev, present)
	err := g.north.Load().DeviceOnline(ctx, d)
	if g.doors.Load() != doors && !h.r.mayHave(d.Name) {
		g.turnOut(h.r, d.Name)
	}
	return err
}

// DeviceOffline implements connector.Host.
func (h *host) DeviceOffline(ctx context.Context, name string) error {
	err := h.leave(ctx, name)
	g := h.r.g
	if dev := g.devices.find(name); dev != nil {
		g.devices.set(dev, away)
	}
	return errors.Join(err, g.north.Load().DeviceOffline(ctx, name))
}

// leave stores what is held back of a device, and forgets the rest.
func (h *host) leave(ctx context.Context, name string) error {
	if err := h.lock(ctx); err != nil {
		return err
	}
	defer h.unlock()
	h.look()
	err := h.release(ctx, func(e *entry) bool { return e.of.device.Name == name })
	if err == nil {
		h.filter.drop(name)
	}
	return err
}

// forget drops what the filter knows and holds back of a device. If ctx ends
// before the filter is free, that stays until its time is over.
func (h *host) forget(ctx context.Context, name string) {
	if h.lock(ctx) == nil {
		h.filter.drop(name)
		h.unlock()
	}
}

// Attributes implements connector.Host. If another platform takes over, that is
// asked.
func (h *host) Attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	for {
		nb := h.r.g.north.Load()
		points, err := nb.attributes(ctx, q)
		if err == nil || ctx.Err() != nil || nb.unused.Err() == nil {
			return points, err
		}
	}
}

// Logger implements connector.Host.
func (h *host) Logger() *slog.Logger { return h.r.log }

// begin prepares a run of the connector. What the source could not get
// acknowledged in the run before it delivers again, so every reading is news.
func (h *host) begin() {
	h.sem <- struct{}{}
	defer h.unlock()
	h.filter.forget()
	h.timer, h.armed = time.AfterFunc(time.Hour, h.flushDue), true
	h.arm(time.Now())
}

// end stores what the report policies hold back, since nobody else will.
func (h *host) end(ctx context.Context) {
	h.sem <- struct{}{}
	h.timer.Stop()
	h.timer = nil
	h.unlock()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	h.sem <- struct{}{}
	defer h.unlock()
	h.look()
	if err := h.release(ctx, func(*entry) bool { return true }); err != nil {
		h.r.log.Warn("readings held back by the report policy are lost", "error", err)
	}
	h.filter.silence()
}

// arm sets the timer to when the filter has something due.
func (h *host) arm(now time.Time) {
	if h.timer == nil {
		return
	}
	wake, ok := h.filter.wake()
	switch {
	case ok && h.renewed.Load():
		h.timer.Reset(0)
	case ok:
		h.timer.Reset(time.Duration(wake - h.filter.at(now)))
	case h.armed:
		h.timer.Stop()
	}
	h.armed = ok
}

// renew makes a new report policy count: what is held back is due now, and every
// reading is news. It does not block.
func (h *host) renew() {
	h.filter.forget()
	h.renewed.Store(true)
	select {
	case h.sem <- struct{}{}:
		h.arm(time.Now())
		h.unlock()
	default: // whoever holds it arms the timer
	}
}

// flushDue stores the held readings whose period is over. The timer calls it.
func (h *host) flushDue() {
	h.sem <- struct{}{}
	defer h.unlock()
	if h.timer == nil {
		return
	}
	now := h.filter.at(time.Now())
	h.look()
	h.filter.sweep(now)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	all := h.renewed.Swap(false)
	err := h.release(ctx, func(e *entry) bool { return all || e.held.wake <= now })
	if err != nil {
		h.renewed.CompareAndSwap(false, all)
		h.r.log.Warn("readings held back by the report policy were not stored, will try again", "error", err)
		h.timer.Reset(time.Second)
		h.armed = true
	}
}

// release stores the held readings that which selects, and arms the timer.
func (h *host) release(ctx context.Context, which func(*entry) bool) error {
	now := time.Now()
	h.out.Reset()
	h.r.invalid.Add(h.filter.release(&h.out, which, h.filter.at(now), now.UnixMilli()))
	if h.out.Empty() {
		h.filter.commit(h.filter.at(now))
		h.arm(now)
		return nil
	}
	_, err := h.append(ctx, now)
	return err
}
