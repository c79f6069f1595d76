package filestore

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A round is one sync of the medium, for all who wait for it.
type round struct {
	done    chan struct{} // closed at its end
	err     error         // then set
	ended   bool
	waiters int
}

// Sync implements eventstore.EventStore. All callers who arrive during one sync
// share the next. An offset beyond the last record means all records. The end
// of ctx ends the wait at once, also while the medium does not answer.
func (s *Store) Sync(ctx context.Context, upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	upTo = min(upTo, s.next-1)
	for {
		if s.closed {
			return eventstore.ErrClosed
		}
		if upTo <= max(s.durable, s.released) {
			return nil
		}
		patient := s.noSpace && s.cfg.Overflow == eventstore.Block
		if !patient { // else the next try comes by itself
			s.want(upTo)
		}
		err := s.await(ctx, s.join())
		if err != nil && upTo > max(s.durable, s.released) {
			return err
		}
	}
}

// join returns the round that begins next.
func (s *Store) join() *round {
	if s.round == nil {
		s.round = &round{done: make(chan struct{})}
	}
	s.round.waiters++
	return s.round
}

// gather lets those append again who have waited for the last round, so that
// they share the next one with those who came too late for it, instead of taking
// turns with them.
func (s *Store) gather() {
	const patience = 64 // yields in vain
	for idle, joined := 0, 0; idle < patience && s.joined() < s.expected; idle++ {
		if n := s.joined(); n > joined {
			joined, idle = n, 0
		}
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
	}
}

// joined returns how many wait for the next round.
func (s *Store) joined() int {
	if s.round == nil {
		return 0
	}
	return s.round.waiters
}

// finish ends r and notes who can be expected to wait for the next round.
func (s *Store) finish(r *round, err error) {
	s.expected = s.joined()
	if r != nil {
		s.expected += r.waiters
	}
	r.end(err)
}

// end lets those go on who wait for r, once. Nobody waits for nil.
func (r *round) end(err error) {
	if r != nil && !r.ended {
		r.err, r.ended = err, true
		close(r.done)
	}
}

// wait waits for the end of r. It fails when ctx is done before. Many wait at a
// time, and each channel more that they have in common costs them dearly.
func (r *round) wait(ctx context.Context) error {
	canceled := ctx.Done()
	if canceled == nil {
		<-r.done
		return nil
	}
	select {
	case <-r.done:
		return nil
	case <-canceled:
		return ctx.Err()
	}
}

// await waits for the end of r. Under Block, a full medium is no error but a
// reason to wait longer.
func (s *Store) await(ctx context.Context, r *round) error {
	failure := s.failure
	s.mu.Unlock()
	defer s.mu.Lock()
	if err := r.wait(ctx); err != nil {
		return fmt.Errorf("filestore: sync: %w", errors.Join(err, failure))
	}
	switch {
	case errors.Is(r.err, eventstore.ErrClosed):
		return eventstore.ErrClosed
	case r.err == nil || disk.IsFull(r.err) && s.cfg.Overflow == eventstore.Block:
		return nil
	case disk.IsFull(r.err):
		return fmt.Errorf("filestore: sync: %w: %w", eventstore.ErrFull, r.err)
	default:
		return fmt.Errorf("filestore: sync: %w", r.err)
	}
}
