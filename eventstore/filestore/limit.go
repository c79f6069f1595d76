package filestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
)

const (
	flushBytes = 512 << 10 // so much is written without waiting for anybody
	maxDirty   = 8 << 20   // more than this does not wait in memory
)

func tooLarge(size int, limit int64) error {
	return fmt.Errorf("filestore: append: %w: %d bytes in a store of %d", eventstore.ErrTooLarge, size, limit)
}

// reserve returns when there is room for a record of need bytes in the last
// segment, as the overflow policy has it.
func (s *Store) reserve(ctx context.Context, need int64) error {
	for {
		if s.closed {
			return eventstore.ErrClosed
		}
		congested := s.dirty > 0 && s.dirty+need > maxDirty
		if !congested && s.fits(need) {
			return nil
		}
		wait := s.cfg.Overflow == eventstore.Block || congested && s.failure == nil
		switch {
		case wait:
			if err := s.awaitRoom(ctx); err != nil {
				return err
			}
		case congested || s.cfg.Overflow == eventstore.Reject || !s.dropOldest():
			return s.fullError()
		}
	}
}

// fits reports whether there is room for a record of need bytes, and begins a
// new segment for it if the last one is full.
func (s *Store) fits(need int64) bool {
	if s.noSpace && s.dirty > 0 && s.cfg.Overflow != eventstore.DropOldest {
		return false
	}
	g := s.active()
	full := !g.empty() && g.size()+need > s.cfg.SegmentBytes
	added := need
	if full {
		added += s.format.headerSize()
	}
	if s.total+added <= s.cfg.MaxBytes {
		if full {
			s.rotate()
			s.trim()
		}
		return true
	}
	if g.empty() || g.pending(s.released) > 0 {
		return false
	}
	s.rotate()
	s.trim()
	return s.total+need <= s.cfg.MaxBytes
}

// awaitRoom waits until there may be more room.
func (s *Store) awaitRoom(ctx context.Context) error {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room, failure := s.room, s.failure
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-room:
		return nil
	case <-s.done:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("filestore: no room: %w", errors.Join(ctx.Err(), failure))
	}
}

func (s *Store) freeRoom() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

func (s *Store) fullError() error {
	if s.failure != nil {
		return fmt.Errorf("filestore: append: %w: %w", eventstore.ErrFull, s.failure)
	}
	return fmt.Errorf("filestore: append: %w", eventstore.ErrFull)
}

// dropOldest gives up the oldest segment and reports whether there was one
// with records.
func (s *Store) dropOldest() bool {
	g := s.segments[0]
	if g.empty() {
		return false
	}
	if g == s.active() {
		s.rotate()
	}
	lost := g.pending(s.released)
	for _, d := range s.damage { // already counted
		lo, hi := max(d.lo, s.released+1), min(d.hi, g.next-1)
		lost -= max(lo, hi+1) - lo
	}
	s.dropped += lost
	s.release(g.next - 1)
	return true
}

// release lets go of all records up to and including upTo, and of damaged ones
// that follow.
func (s *Store) release(upTo uint64) {
	s.released = max(s.released, upTo)
	for len(s.damage) > 0 && s.damage[0].lo <= s.released+1 {
		s.released = max(s.released, s.damage[0].hi)
		s.damage = s.damage[1:]
	}
	if s.released+1 == s.next { // the last segment can go
		if s.noSpace && !s.active().empty() {
			s.rotate()
		}
		s.freeRoom()
	}
	s.trim()
}

// trim gives up the segments and the memory of released records.
func (s *Store) trim() {
	n := 0
	for n < len(s.segments)-1 && s.segments[n].next-1 <= s.released {
		s.retire(s.segments[n])
		n++
	}
	if n > 0 {
		s.segments = append(s.segments[:0], s.segments[n:]...)
		s.freeRoom()
		s.kick()
	}
	s.trimMemory()
}

func (s *Store) retire(g *segment) {
	s.total -= g.size()
	s.dirty -= g.waiting
	s.durable = max(s.durable, g.next-1)
	g.retired = true
	s.garbage = append(s.garbage, trash{g.name(), g.damaged && s.cfg.DamagedBytes > 0})
}

// expire drops the segments whose newest record is too old.
func (s *Store) expire() {
	if s.cfg.MaxAge <= 0 {
		return
	}
	for s.released+1 < s.next && s.segments[0].tooOld(s.cfg.MaxAge) {
		before := s.dropped
		if !s.dropOldest() {
			return
		}
		s.expired += s.dropped - before
	}
}

func (g *segment) tooOld(limit time.Duration) bool {
	return g.waiting == 0 && !g.newest.IsZero() && time.Since(g.newest) >= limit
}

// watchAge arranges for expire to be called when the oldest segment is too old.
func (s *Store) watchAge() {
	oldest := s.segments[0]
	if s.cfg.MaxAge <= 0 || s.released+1 >= s.next || oldest.newest.IsZero() {
		return
	}
	s.arm(&s.expiry, max(0, s.cfg.MaxAge-time.Since(oldest.newest)))
}
