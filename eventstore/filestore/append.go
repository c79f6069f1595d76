package filestore

import (
	"context"
	"math"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// Append implements eventstore.EventStore. It costs a copy and does not wait
// for the medium, unless there is no room or too much waits to be written.
func (s *Store) Append(ctx context.Context, rec []byte) (uint64, error) {
	need := s.format.reserve(len(rec))
	if s.format.headerSize()+need > s.cfg.MaxBytes || need > math.MaxInt32 {
		return 0, tooLarge(len(rec), s.cfg.MaxBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reserve(ctx, need); err != nil {
		return 0, err
	}
	offset := s.next
	c := s.chunkFor(recordHead + len(rec))
	c.buf = appendRecord(c.buf, offset, rec)
	c.next++
	c.seg.next++
	c.seg.waiting += need
	c.seg.payload += int64(len(rec))
	s.next++
	s.appended++
	s.total += need
	s.dirty += need
	s.wakeReader()
	if s.dirty >= flushBytes {
		s.want(offset)
	}
	s.arm(&s.retry, s.cfg.SyncInterval)
	return offset, nil
}

// chunkFor returns the chunk of the last segment that has room for size bytes.
func (s *Store) chunkFor(size int) *chunk {
	g := s.active()
	if n := len(s.tail); n > 0 {
		if c := s.tail[n-1]; c.seg == g && cap(c.buf)-len(c.buf) >= size {
			return c
		}
	}
	c := s.memory.get(size)
	c.seg, c.first, c.next = g, s.next, s.next
	s.tail = append(s.tail, c)
	s.tailCap += cap(c.buf)
	return c
}

// active returns the segment that is appended to.
func (s *Store) active() *segment { return s.segments[len(s.segments)-1] }

// rotate begins a new segment.
func (s *Store) rotate() {
	g := s.format.newSegment(s.next)
	s.segments = append(s.segments, g)
	s.total += g.head
}

// wakeReader wakes a Peek that waits for a record.
func (s *Store) wakeReader() {
	if !s.reading {
		return
	}
	s.reading = false
	select {
	case s.grown <- struct{}{}:
	default:
	}
}

// Ack implements eventstore.EventStore. It costs no access to the medium; the
// cursor becomes durable within SyncInterval, and with Close. It accepts any
// offset: one beyond the last record means all records.
func (s *Store) Ack(_ context.Context, upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	upTo = min(upTo, s.next-1)
	if upTo <= s.acked {
		return nil
	}
	s.acked = upTo
	s.release(upTo)
	s.arm(&s.retry, s.cfg.SyncInterval)
	return nil
}
