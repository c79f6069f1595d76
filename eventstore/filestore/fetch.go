package filestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// mostReads is how often a segment is tried to be read before the store finds
// out whether it is the segment or the medium that is broken.
const mostReads = 3

// A probe is the question whether the medium works.
type probe uint8

const (
	probeIdle   probe = iota
	probeWanted       // the worker is to write the cursor
	probePassed       // it has done so since
)

// fetch waits until the record of an offset was read into memory, found
// damaged, or could not be read. The reading goes on when ctx ends; the next
// fetch waits for it.
func (s *Store) fetch(ctx context.Context, offset uint64) error {
	if s.fetching == nil {
		if s.unread != nil {
			if err := s.pause(ctx); err != nil {
				return err
			}
			if s.closed {
				return eventstore.ErrClosed
			}
		}
		s.fetching = make(chan struct{})
		s.wg.Go(func() { s.read(offset) })
	}
	return s.idle(ctx, s.fetching)
}

// pause waits before the medium is tried again.
func (s *Store) pause(ctx context.Context) error {
	over := make(chan struct{})
	t := time.AfterFunc(s.cfg.SyncInterval, func() { close(over) })
	defer t.Stop()
	return s.idle(ctx, over)
}

// idle waits for done, without the lock.
func (s *Store) idle(ctx context.Context, done <-chan struct{}) error {
	unread := s.unread
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-done:
		return nil
	case <-s.done:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("filestore: peek: %w", errors.Join(ctx.Err(), unread))
	}
}

// read is the goroutine that reads what a fetch waits for.
func (s *Store) read(offset uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		close(s.fetching)
		s.fetching = nil
	}()
	if offset <= s.released || offset >= s.next || s.closed {
		return
	}
	g := s.segmentOf(offset)
	err := s.load(g, offset)
	if err == nil {
		s.unread, s.reads, s.probe = nil, 0, probeIdle
		s.announce()
		return
	}
	s.unread = fmt.Errorf("segment %s: %w", g.name(), err)
	s.reads++
	switch {
	case s.reads < mostReads || g.retired:
	case s.probe == probePassed: // it is the segment
		s.giveUp(g, offset)
		s.unread, s.reads, s.probe = nil, 0, probeIdle
	default:
		s.probe, s.cursorDue = probeWanted, true
		s.kick()
	}
	s.announce()
}

// giveUp takes the rest of what g holds for damaged, since it cannot be read
// though the medium works.
func (s *Store) giveUp(g *segment, offset uint64) {
	end := min(g.next, s.durable+1)
	if offset < end {
		g.damaged = true
		s.report(g, span{offset, end - 1}, s.unread)
	}
}
