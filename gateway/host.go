package gateway

import (
	"context"
	"errors"
	"log/slog"
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
	sem    chan struct{}
	out    telemetry.Batch // what passed of the batch at hand
	buf    []byte          // its record
	filter filter
	timer  *time.Timer // fires when the filter has something due; nil between runs
}

var (
	_ connector.Host   = (*host)(nil)
	_ connector.Syncer = (*host)(nil)
)

func newHost(r *running) *host {
	return &host{r: r, sem: make(chan struct{}, 1)}
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
	tally, err := h.admit(b, now)
	h.r.invalid.Add(tally.invalid)
	h.r.filtered.Add(tally.filtered)
	if h.out.Empty() {
		h.filter.commit(now)
		h.arm(now)
		return connector.Receipt{}, err
	}
	offset, err := h.append(ctx, now)
	if err != nil {
		return connector.Receipt{}, err
	}
	return connector.NewReceipt(h, offset), nil
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
func (h *host) append(ctx context.Context, now time.Time) (uint64, error) {
	h.encode(now)
	offset, err := h.r.g.store.Append(ctx, h.buf)
	if err != nil {
		h.filter.rollback()
		if errors.Is(err, eventstore.ErrTooLarge) {
			h.r.invalid.Add(uint64(h.out.Len()))
			err = connector.Invalid(err)
		}
		return 0, err
	}
	h.filter.commit(now)
	h.arm(now)
	h.r.stored.Add(uint64(h.out.Len()))
	return offset, nil
}

// tally counts the points of a batch that are not stored.
type tally struct{ invalid, filtered uint64 }

var errNoName = connector.Invalid(errors.New("gateway: a device without a name"))

// admit fills h.out with the points of b that are to be stored, stamped. It
// returns an error if something is wrong with b and nothing of it is stored.
func (h *host) admit(b *telemetry.Batch, now time.Time) (t tally, err error) {
	h.out.Reset()
	groups := b.Groups()
	for i := range groups {
		g := &groups[i]
		if g.Device.Name == "" {
			t.invalid += uint64(len(g.Telemetry) + len(g.Attributes))
			err = errNoName
			continue
		}
		h.admitGroup(g, now, &t)
	}
	if !h.out.Empty() {
		err = nil
	}
	return t, err
}

func (h *host) admitGroup(g *telemetry.Group, now time.Time, t *tally) {
	device := h.r.g.devices.touch(g.Device, h.r)
	begun := false
	begin := func() {
		if !begun {
			h.out.Device(g.Device.Name, g.Device.Profile)
			begun = true
		}
	}
	stamp := int64(0)
	for j := range g.Telemetry {
		p := g.Telemetry[j]
		if p.TS == 0 {
			if stamp == 0 {
				stamp = device.stamp(now.UnixMilli())
			}
			p.TS = stamp
		}
		if h.passes(g, &p, false, now, t) {
			begin()
			h.out.AddTelemetry(p)
		}
	}
	for j := range g.Attributes {
		p := g.Attributes[j]
		if h.passes(g, &p, true, now, t) {
			begin()
			h.out.AddAttribute(p)
		}
	}
}

func (h *host) passes(g *telemetry.Group, p *telemetry.Point, attribute bool, now time.Time, t *tally) bool {
	if p.Key == "" || !p.Value.Valid() {
		t.invalid++
		return false
	}
	policy := p.Report
	if policy == nil {
		policy = h.r.policy
	}
	if policy == nil {
		policy = h.r.g.policy
	}
	if policy == nil || policy.Mode == telemetry.OnReceived {
		return true
	}
	if h.filter.pass(g.Device, p, attribute, policy, now) {
		return true
	}
	t.filtered++
	return false
}

// Sync implements connector.Syncer. After a failure the source delivers again,
// so the report policy must not take the same readings for old news.
func (h *host) Sync(ctx context.Context, upTo uint64) error {
	err := h.r.g.store.Sync(ctx, upTo)
	if err != nil {
		h.filter.forget()
	}
	return err
}

// Ready implements connector.Host.
func (h *host) Ready() { h.r.ready() }

// DeviceOnline implements connector.Host.
func (h *host) DeviceOnline(ctx context.Context, d telemetry.Device) error {
	if d.Name == "" {
		return errNoName
	}
	h.r.g.devices.touch(d, h.r)
	return h.r.g.platform.DeviceOnline(ctx, d)
}

// DeviceOffline implements connector.Host.
func (h *host) DeviceOffline(ctx context.Context, name string) error {
	if err := h.lock(ctx); err != nil {
		return err
	}
	err := h.release(ctx, func(e *entry) bool { return e.device.Name == name })
	if err == nil {
		h.filter.drop(name)
	}
	h.unlock()
	return errors.Join(err, h.r.g.platform.DeviceOffline(ctx, name))
}

// Attributes implements connector.Host.
func (h *host) Attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	return h.r.g.platform.Attributes(ctx, q)
}

// Logger implements connector.Host.
func (h *host) Logger() *slog.Logger { return h.r.log }

// begin prepares a run of the connector. What the source could not get
// acknowledged in the run before it delivers again, so every reading is news.
func (h *host) begin() {
	h.sem <- struct{}{}
	defer h.unlock()
	h.filter.forget()
	h.timer = time.AfterFunc(time.Hour, h.flushDue)
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
	if err := h.release(ctx, func(*entry) bool { return true }); err != nil {
		h.r.log.Warn("readings held back by the report policy are lost", "error", err)
	}
}

// arm sets the timer to when the filter has something due.
func (h *host) arm(now time.Time) {
	if h.timer == nil {
		return
	}
	if due, ok := h.filter.due(); ok {
		h.timer.Reset(due.Sub(now))
	} else {
		h.timer.Stop()
	}
}

// flushDue stores the held readings whose period is over. The timer calls it.
func (h *host) flushDue() {
	h.sem <- struct{}{}
	defer h.unlock()
	if h.timer == nil {
		return
	}
	now := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := h.release(ctx, func(e *entry) bool { return !e.due.After(now) })
	if err != nil {
		h.r.log.Warn("readings held back by the report policy were not stored, will try again", "error", err)
		h.timer.Reset(time.Second)
	}
}

// release stores the held readings that which selects, and arms the timer.
func (h *host) release(ctx context.Context, which func(*entry) bool) error {
	now := time.Now()
	h.out.Reset()
	h.filter.stageHeld(&h.out, which)
	if h.out.Empty() {
		h.arm(now)
		return nil
	}
	_, err := h.append(ctx, now)
	return err
}
