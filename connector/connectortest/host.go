package connectortest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Reading is a point that was submitted.
type Reading struct {
	Device telemetry.Device
	telemetry.Point

	// Attribute says that the point is a client-side attribute.
	Attribute bool
}

// Host is a connector.Host that remembers what it is given. Tests that need
// more embed it. Its methods may be called concurrently.
type Host struct {
	log      *slog.Logger
	patience time.Duration // of Eventually

	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, when anything below changes
	readings []Reading
	ends     []int // ends[i] is the number of readings up to batch i+1
	durable  uint64
	held     bool
	submit   func() error
	sync     func() error
	ready    bool
	retired  bool
	misused  string
	online   map[string]telemetry.Device
	attrs    []telemetry.Point
	queries  []connector.AttributeQuery
}

var _ connector.Host = (*Host)(nil)

// NewHost returns a Host that logs to t.
func NewHost(t testing.TB) *Host {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &Host{log: log, patience: 10 * time.Second, changed: make(chan struct{}), online: make(map[string]telemetry.Device)}
}

// update runs f under the lock and wakes everybody who waits for a change.
func (h *Host) update(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

// used notes that a method was called, which must not happen after Run has
// returned.
func (h *Host) used(method string) {
	if h.retired && h.misused == "" {
		h.misused = method
	}
}

// Submit implements connector.Sink. Points without a time are stamped.
func (h *Host) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return connector.Receipt{}, err
	}
	h.mu.Lock()
	refuse := h.submit
	h.mu.Unlock()
	if refuse != nil {
		if err := refuse(); err != nil {
			return connector.Receipt{}, err
		}
	}
	var upTo uint64
	h.update(func() {
		h.used("Submit")
		now := time.Now().UnixMilli()
		for _, g := range b.Groups() {
			for _, p := range g.Telemetry {
				if p.TS == 0 {
					p.TS = now
				}
				h.readings = append(h.readings, Reading{Device: g.Device, Point: p})
			}
			for _, p := range g.Attributes {
				h.readings = append(h.readings, Reading{Device: g.Device, Point: p, Attribute: true})
			}
		}
		h.ends = append(h.ends, len(h.readings))
		upTo = uint64(len(h.ends))
	})
	return connector.NewReceipt(h, upTo), nil
}

// Sync implements connector.Syncer.
func (h *Host) Sync(ctx context.Context, upTo uint64) error {
	for {
		h.mu.Lock()
		held, fail, changed := h.held, h.sync, h.changed
		h.mu.Unlock()
		if fail != nil {
			if err := fail(); err != nil {
				return err
			}
		}
		if !held {
			h.update(func() { h.durable = max(h.durable, upTo) })
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Fail sets functions whose errors Submit and Receipt.Wait return. Nil means
// that they succeed.
func (h *Host) Fail(submit, sync func() error) {
	h.update(func() { h.submit, h.sync = submit, sync })
}

// Hold makes receipts wait, or go on.
func (h *Host) Hold(on bool) { h.update(func() { h.held = on }) }

// Ready implements connector.Host.
func (h *Host) Ready() { h.update(func() { h.used("Ready"); h.ready = true }) }

// IsReady reports whether Ready was called.
func (h *Host) IsReady() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready
}

// DeviceOnline implements connector.Host.
func (h *Host) DeviceOnline(_ context.Context, d telemetry.Device) error {
	if d.Name == "" {
		return connector.Invalid(errors.New("connectortest: device without a name"))
	}
	h.update(func() { h.used("DeviceOnline"); h.online[d.Name] = d })
	return nil
}

// DeviceOffline implements connector.Host.
func (h *Host) DeviceOffline(_ context.Context, name string) error {
	h.update(func() { h.used("DeviceOffline"); delete(h.online, name) })
	return nil
}

// Online returns the devices that were announced and have not gone offline.
func (h *Host) Online() []telemetry.Device {
	h.mu.Lock()
	defer h.mu.Unlock()
	ds := make([]telemetry.Device, 0, len(h.online))
	for _, d := range h.online {
		ds = append(ds, d)
	}
	return ds
}

// SetAttributes sets what Attributes answers.
func (h *Host) SetAttributes(ps ...telemetry.Point) { h.update(func() { h.attrs = ps }) }

// Attributes implements connector.Host. It answers those of the attributes set
// with SetAttributes that q names, or all of them if q names none.
func (h *Host) Attributes(_ context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used("Attributes")
	h.queries = append(h.queries, q)
	var found []telemetry.Point
	for _, p := range h.attrs {
		if len(q.Keys) == 0 {
			found = append(found, p)
		}
		for _, k := range q.Keys {
			if k == p.Key {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// Queries returns the attribute queries that were made.
func (h *Host) Queries() []connector.AttributeQuery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]connector.AttributeQuery(nil), h.queries...)
}

// Readings returns what was submitted, or only what is durable.
func (h *Host) Readings(durable bool) []Reading {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.readings)
	if durable {
		n = 0
		if h.durable > 0 {
			n = h.ends[h.durable-1]
		}
	}
	return append([]Reading(nil), h.readings[:n]...)
}

// Logger implements connector.Host.
func (h *Host) Logger() *slog.Logger { return h.log }

// Eventually waits until cond, which looks at h or at anything else, is true.
// It fails the test if that takes more than 10 seconds, or the harness's
// patience.
func (h *Host) Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(h.patience)
	for !cond() {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("never happened within %v: %s", h.patience, what)
		}
	}
}

// retire says that Run has returned; misuse reports what was called since.
func (h *Host) retire(yes bool) { h.update(func() { h.retired = yes }) }

func (h *Host) misuse() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.misused
}
