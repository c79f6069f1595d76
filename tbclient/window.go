package tbclient

import (
	"context"
	"sync"
)

// A window bounds the publications under way, in number and in bytes.
type window struct {
	mu       sync.Mutex
	max      int
	maxBytes int
	n, bytes int
	freed    chan struct{} // closed when room was made; nil if nobody waits
}

func newWindow(n, bytes int) *window { return &window{max: n, maxBytes: bytes} }

// acquire takes room for a publication of the given size. One that is larger
// than the whole window waits until it is alone. It fails when ctx or the
// session is done.
func (w *window) acquire(ctx context.Context, s Session, size int) error {
	for {
		freed := w.try(size)
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Done():
			return s.Err()
		}
	}
}

// try takes room and returns nil, or returns a channel to wait on.
func (w *window) try(size int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 || w.n < w.max && w.bytes+size <= w.maxBytes {
		w.n++
		w.bytes += size
		return nil
	}
	if w.freed == nil {
		w.freed = make(chan struct{})
	}
	return w.freed
}

func (w *window) release(size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n--
	w.bytes -= size
	w.wake()
}

// limit sets the number of publications.
func (w *window) limit(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.max = n
	w.wake()
}

func (w *window) wake() {
	if w.freed != nil {
		close(w.freed)
		w.freed = nil
	}
}
