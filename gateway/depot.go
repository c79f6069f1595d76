package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// A depot is the store in use, behind a gate that is shut while another store
// takes its place. One at a time may shut it.
type depot struct {
	stock atomic.Pointer[stock]
	gate  atomic.Int64 // appends under way, plus shut while the gate is

	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens again; nil while it is open
	empty  chan struct{} // gets a token when the last append has left; nil while the gate is open
}

// shut is what a gate that is shut is more than the number of those inside.
const shut = 1 << 32

// A stock is a store for as long as it is the one in use.
type stock struct {
	store eventstore.EventStore
	owned bool        // the gateway closes it
	moved atomic.Bool // its records are durable in the store that followed it
	leave atomic.Pointer[leave]
}

// A leave is done when appends that wait for room are to end.
type leave struct {
	context.Context
	expel context.CancelFunc
}

func newLeave() *leave {
	ctx, cancel := context.WithCancel(context.Background())
	return &leave{ctx, cancel}
}

func newStock(s eventstore.EventStore, owned bool) *stock {
	st := &stock{store: s, owned: owned}
	st.leave.Store(newLeave())
	return st
}

// sync waits until the records up to an offset are durable, here or where they
// were moved.
func (st *stock) sync(ctx context.Context, upTo uint64) error {
	if st.moved.Load() {
		return nil
	}
	err := st.store.Sync(ctx, upTo)
	if err != nil && st.moved.Load() {
		return nil
	}
	return err
}

// current returns the store in use.
func (d *depot) current() *stock { return d.stock.Load() }

// append adds rec to the store in use, and returns in which and where. It waits
// while the gate is shut. The interruptible belongs to the caller.
func (d *depot) append(ctx context.Context, in *interruptible, rec []byte) (*stock, uint64, error) {
	for {
		if err := d.enter(ctx); err != nil {
			return nil, 0, err
		}
		st := d.stock.Load()
		leave := st.leave.Load()
		if in.waited() {
			in = new(interruptible)
		}
		in.Context, in.leave = ctx, leave //nolint:fatcontext // it is used again, not nested
		offset, err := st.store.Append(in, rec)
		in.end()
		d.exit()
		if err == nil || ctx.Err() != nil || leave.Err() == nil || !errors.Is(err, context.Canceled) {
			return st, offset, err
		}
	}
}

// enter waits for the gate to be open.
func (d *depot) enter(ctx context.Context) error {
	for d.gate.Add(1) >= shut {
		d.exit()
		d.mu.Lock()
		opened := d.opened
		d.mu.Unlock()
		if opened == nil { // by now it is open
			continue
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (d *depot) exit() {
	if d.gate.Add(-1) != shut {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case d.empty <- struct{}{}:
	default: // it is open by now, or it is known
	}
}

// close shuts the gate and waits until nobody is inside. Whoever waits for room
// in the store is sent out, to come again when the gate is open. Also after an
// error the gate is shut.
func (d *depot) close(ctx context.Context) error {
	d.mu.Lock()
	d.opened, d.empty = make(chan struct{}), make(chan struct{}, 1)
	empty := d.empty
	d.mu.Unlock()
	d.stock.Load().leave.Load().expel()
	d.gate.Add(shut)
	for d.gate.Load() != shut {
		select {
		case <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// open opens the gate before st.
func (d *depot) open(st *stock) {
	if st.leave.Load().Err() != nil { // the same as before
		st.leave.Store(newLeave())
	}
	d.stock.Store(st)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate.Add(-shut)
	close(d.opened)
	d.opened, d.empty = nil, nil
}

// An interruptible is a context that is done when one of two others is. It costs
// nothing until somebody waits for it. Until then it can be used again, by setting
// both.
type interruptible struct {
	context.Context
	leave context.Context

	mu     sync.Mutex
	merged atomic.Pointer[merged] // nil until somebody waits
}

type merged struct {
	context.Context
	cancel func()
}

// waited reports whether somebody has waited, and may still know of in.
func (in *interruptible) waited() bool { return in.merged.Load() != nil }

// end releases what waits have cost.
func (in *interruptible) end() {
	if m := in.merged.Load(); m != nil {
		m.cancel()
	}
}

// Done implements context.Context.
func (in *interruptible) Done() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	m := in.merged.Load()
	if m == nil {
		ctx, cancel := context.WithCancel(in.Context)
		stop := context.AfterFunc(in.leave, cancel)
		m = &merged{ctx, func() { stop(); cancel() }}
		in.merged.Store(m)
	}
	return m.Done()
}

// Err implements context.Context.
func (in *interruptible) Err() error {
	if err := in.Context.Err(); err != nil {
		return err
	}
	return in.leave.Err()
}
