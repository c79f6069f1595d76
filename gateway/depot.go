package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// A depot is the store in use, behind a gate that is shut while another store
// takes its place.
type depot struct {
	mu     sync.Mutex
	stock  *stock
	inside int           // appends under way
	shut   chan struct{} // closed when the gate opens again; nil while it is open
	empty  chan struct{} // closed when nobody is inside; nil unless that is awaited
}

// A stock is a store for as long as it is the one in use.
type stock struct {
	store eventstore.EventStore
	owned bool        // the gateway closes it
	moved atomic.Bool // its records are durable in the store that followed it

	leave context.Context // done when appends that wait for room are to end
	expel context.CancelFunc
}

func newStock(s eventstore.EventStore, owned bool) *stock {
	st := &stock{store: s, owned: owned}
	st.leave, st.expel = context.WithCancel(context.Background())
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
func (d *depot) current() *stock {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stock
}

// append adds rec to the store in use, and returns in which and where. It waits
// while the gate is shut. The interruptible belongs to the caller.
func (d *depot) append(ctx context.Context, in *interruptible, rec []byte) (*stock, uint64, error) {
	for {
		st, leave, err := d.enter(ctx)
		if err != nil {
			return nil, 0, err
		}
		in.begin(ctx, leave)
		offset, err := st.store.Append(in, rec)
		in.end()
		d.exit()
		if err == nil || ctx.Err() != nil || leave.Err() == nil || !errors.Is(err, context.Canceled) {
			return st, offset, err
		}
	}
}

// enter waits for the gate to be open, and returns the store behind it and the
// context that is done when appends have to leave.
func (d *depot) enter(ctx context.Context) (*stock, context.Context, error) {
	for {
		d.mu.Lock()
		shut := d.shut
		if shut == nil {
			d.inside++
			st, leave := d.stock, d.stock.leave
			d.mu.Unlock()
			return st, leave, nil
		}
		d.mu.Unlock()
		select {
		case <-shut:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (d *depot) exit() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	if d.inside == 0 && d.empty != nil {
		close(d.empty)
		d.empty = nil
	}
}

// close shuts the gate and waits until nobody is inside. Whoever waits for room
// in the store is sent out, to come again when the gate is open.
func (d *depot) close(ctx context.Context) error {
	d.mu.Lock()
	d.shut = make(chan struct{})
	d.stock.expel()
	var empty chan struct{}
	if d.inside > 0 {
		empty = make(chan struct{})
		d.empty = empty
	}
	d.mu.Unlock()
	if empty == nil {
		return nil
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open opens the gate before st.
func (d *depot) open(st *stock) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if st.leave.Err() != nil { // the same as before
		st.leave, st.expel = context.WithCancel(context.Background())
	}
	d.stock, d.empty = st, nil
	close(d.shut)
	d.shut = nil
}

// An interruptible is a context that is done when one of two others is. It costs
// nothing until somebody waits for it, and can be used again.
type interruptible struct {
	context.Context

	mu     sync.Mutex
	leave  context.Context
	merged context.Context // nil until somebody waits
	cancel func()
}

func (in *interruptible) begin(ctx, leave context.Context) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.Context, in.leave = ctx, leave
}

// end releases what waits have cost.
func (in *interruptible) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cancel != nil {
		in.cancel()
	}
	in.merged, in.cancel = nil, nil
}

// Done implements context.Context.
func (in *interruptible) Done() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.merged == nil {
		merged, cancel := context.WithCancel(in.Context)
		stop := context.AfterFunc(in.leave, cancel)
		in.merged, in.cancel = merged, func() { stop(); cancel() }
	}
	return in.merged.Done()
}

// Err implements context.Context.
func (in *interruptible) Err() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.Context.Err(); err != nil {
		return err
	}
	return in.leave.Err()
}
