package framing

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Replies hands messages to those who wait for an answer of their device. The zero
// Replies is ready. Its methods may be called concurrently.
type Replies struct {
	mu      sync.Mutex
	waiting []*Waiter
}

// A Waiter waits for one message.
type Waiter struct {
	match  func(m []byte) bool
	answer chan []byte
	all    *Replies
}

// Expect begins to wait for the first message that match accepts, or for the next
// one if match is nil. It is called before the question is sent; Cancel ends it.
func (r *Replies) Expect(match func(m []byte) bool) *Waiter {
	w := &Waiter{match: match, answer: make(chan []byte, 1), all: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, w)
	return w
}

// Offer gives a message to the one who has waited for it the longest. It reports
// whether it was recognised as an answer: a message that is only the next one may
// be data as well.
func (r *Replies) Offer(m []byte) (recognised bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.waiting {
		if w.match == nil || w.match(m) {
			r.waiting = slices.Delete(r.waiting, i, i+1)
			w.answer <- bytes.Clone(m)
			return w.match != nil
		}
	}
	return false
}

// Wait returns the answer. It fails after the given time, or when ctx is done.
func (w *Waiter) Wait(ctx context.Context, atMost time.Duration) ([]byte, error) {
	t := time.NewTimer(atMost)
	defer t.Stop()
	select {
	case m := <-w.answer:
		return m, nil
	case <-t.C:
		return nil, fmt.Errorf("no answer within %v", atMost)
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
}

// Cancel gives up waiting.
func (w *Waiter) Cancel() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if i := slices.Index(w.all.waiting, w); i >= 0 {
		w.all.waiting = slices.Delete(w.all.waiting, i, i+1)
	}
}
