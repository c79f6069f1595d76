package modbustest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// A Bus is a collection of units. The zero Bus is ready to use. Its methods may be
// called from any goroutine.
type Bus struct {
	mu       sync.Mutex
	units    map[uint8]*Unit
	requests int64
	opened   int64
	refuse   error
	open     map[*transport]bool
}

// Unit returns a unit, which is made on the first call.
func (b *Bus) Unit(id uint8) *Unit {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.units == nil {
		b.units = make(map[uint8]*Unit)
	}
	if b.units[id] == nil {
		b.units[id] = newUnit()
	}
	return b.units[id]
}

// Requests returns how many requests were sent on the bus.
func (b *Bus) Requests() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// Opened returns how often the bus was opened or connected to.
func (b *Bus) Opened() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

// SetUnreachable makes Open fail with err, and breaks the transports that are open.
// Nil makes it succeed again.
func (b *Bus) SetUnreachable(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
	if err != nil {
		b.closeAll()
	}
}

// Disconnect breaks the transports that are open.
func (b *Bus) Disconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeAll()
}

func (b *Bus) closeAll() {
	for t := range b.open {
		t.end()
	}
	clear(b.open)
}

// Open returns a transport to the units of b, in memory. It is a modbus.Opener; the
// URL does not matter.
func (b *Bus) Open(ctx context.Context, _ string) (modbus.Transport, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened++
	if b.refuse != nil {
		return nil, b.refuse
	}
	t := &transport{bus: b, closed: make(chan struct{})}
	if b.open == nil {
		b.open = make(map[*transport]bool)
	}
	b.open[t] = true
	return t, ctx.Err()
}

// answer appends what unit answers to pdu to dst; nothing if it does not answer.
func (b *Bus) answer(dst []byte, unit uint8, pdu []byte) ([]byte, time.Duration) {
	b.mu.Lock()
	b.requests++
	u := b.units[unit]
	b.mu.Unlock()
	if u == nil {
		return dst, 0
	}
	return u.answer(dst, pdu)
}

// A transport is a connection in memory.
type transport struct {
	bus    *Bus
	once   sync.Once
	closed chan struct{}
	out    []byte
}

func (t *transport) end() { t.once.Do(func() { close(t.closed) }) }

// Close implements modbus.Transport.
func (t *transport) Close() error {
	t.end()
	t.bus.mu.Lock()
	defer t.bus.mu.Unlock()
	delete(t.bus.open, t)
	return nil
}

// Exchange implements modbus.Transport.
func (t *transport) Exchange(ctx context.Context, unit uint8, request []byte, timeout time.Duration) ([]byte, error) {
	select {
	case <-t.closed:
		return nil, modbus.ErrLost
	default:
	}
	var delay time.Duration
	t.out, delay = t.bus.answer(t.out[:0], unit, request)
	if delay == 0 && len(t.out) > 0 {
		return t.out, nil
	}
	late := len(t.out) == 0 || delay > timeout
	if late {
		delay = timeout
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.closed:
		return nil, modbus.ErrLost
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, modbus.ErrTimeout
		}
		return nil, ctx.Err()
	}
	if late {
		return nil, modbus.ErrTimeout
	}
	return t.out, nil
}
