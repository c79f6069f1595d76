package mqttx

import "sync"

// A pending is something that the broker has yet to answer.
type pending struct {
	expect byte // type of the packet that goes on with it or completes it
	done   chan struct{}
	codes  []byte // of a SUBACK
	err    error
}

var _ token = (*pending)(nil)

func newPending(expect byte) *pending { return &pending{expect: expect, done: make(chan struct{})} }

// Done implements token.
func (p *pending) Done() <-chan struct{} { return p.done }

// Error implements token.
func (p *pending) Error() error { return p.err }

func (p *pending) complete(err error) {
	p.err = err
	close(p.done)
}

// completed returns a pending that is complete.
func completed(err error) *pending {
	p := newPending(0)
	p.complete(err)
	return p
}

// inflight is what the broker has yet to answer, by packet identifier.
type inflight struct {
	mu      sync.Mutex
	last    uint16
	waiting map[uint16]*pending
}

// add gives p a packet identifier, which is never zero. It reports false if all
// are taken.
func (f *inflight) add(p *pending) (uint16, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.waiting = make(map[uint16]*pending)
	}
	for range maxString {
		if f.last++; f.last == 0 {
			f.last = 1
		}
		if _, taken := f.waiting[f.last]; !taken {
			f.waiting[f.last] = p
			return f.last, true
		}
	}
	return 0, false
}

// take removes what a packet of type kind completes, or returns nil if there is
// none.
func (f *inflight) take(id uint16, kind byte) *pending {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.waiting[id]
	if p == nil || p.expect != kind {
		return nil
	}
	delete(f.waiting, id)
	return p
}

// advance makes what expects a packet of type from expect one of type to.
func (f *inflight) advance(id uint16, from, to byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.waiting[id]; p != nil && p.expect == from {
		p.expect = to
	}
}
