package rest

import (
	"slices"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// waiters are the requests that wait for an attribute, by device, in their order.
type waiters struct {
	mu   sync.Mutex
	list map[string][]*waiter
}

// A waiter is a request that waits.
type waiter struct {
	key string // empty: any
	got chan telemetry.Point
}

// expect adds a waiter. Whoever calls it calls done afterwards.
func (w *waiters) expect(device, key string) (got <-chan telemetry.Point, done func()) {
	x := &waiter{key, make(chan telemetry.Point, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.list == nil {
		w.list = make(map[string][]*waiter)
	}
	w.list[device] = append(w.list[device], x)
	return x.got, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.remove(device, slices.Index(w.list[device], x))
	}
}

func (w *waiters) remove(device string, i int) {
	if i < 0 {
		return
	}
	if w.list[device] = slices.Delete(w.list[device], i, i+1); len(w.list[device]) == 0 {
		delete(w.list, device)
	}
}

// offer hands each attribute to the first request that waits for it.
func (w *waiters) offer(u connector.AttributeUpdate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range u.Attributes {
		i := slices.IndexFunc(w.list[u.Device], func(x *waiter) bool { return x.key == "" || x.key == p.Key })
		if i >= 0 {
			w.list[u.Device][i].got <- p
			w.remove(u.Device, i)
		}
	}
}
