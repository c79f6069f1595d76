package mqtt

import (
	"context"
	"sync"
)

// A budget bounds the bytes that wait in a queue. One goroutine takes from it;
// any may give back.
type budget struct {
	limit int
	room  chan struct{}

	mu   sync.Mutex
	used int
}

func newBudget(limit int) *budget { return &budget{limit: limit, room: make(chan struct{}, 1)} }

// take waits until n bytes fit. More than the limit fits if there is nothing
// else.
func (b *budget) take(ctx context.Context, n int) error {
	for !b.try(n) {
		select {
		case <-b.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (b *budget) try(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && b.used+n > b.limit {
		return false
	}
	b.used += n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
	select {
	case b.room <- struct{}{}:
	default:
	}
}
