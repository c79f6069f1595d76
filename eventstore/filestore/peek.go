package filestore

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// A hint is where a record begins in memory.
type hint struct {
	chunk  *chunk
	offset uint64
	pos    int
}

// Peek implements eventstore.EventStore. Records may be returned before they
// are durable. Those that are not in memory are read from the medium; a damaged
// one is skipped. While the medium cannot be read Peek waits, and tries again
// every SyncInterval. The end of ctx ends the wait at once, also while the medium
// does not answer.
func (s *Store) Peek(ctx context.Context, after uint64, dst []eventstore.Record, lim eventstore.Limit) ([]eventstore.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return dst, eventstore.ErrClosed
		}
		from := s.readable(after)
		if from >= s.next {
			if err := s.awaitRecord(ctx); err != nil {
				return dst, err
			}
			continue
		}
		if c := s.inMemory(from); c != nil {
			return s.collect(c, from, dst, lim), nil
		}
		if err := s.fetch(ctx, from); err != nil {
			return dst, err
		}
	}
}

// readable returns the first offset after the given one that is not released
// or known to be damaged.
func (s *Store) readable(after uint64) uint64 {
	after = max(after, s.released)
	for _, d := range s.damage {
		if d.lo <= after+1 {
			after = max(after, d.hi)
		}
	}
	return min(after, s.next) + 1 // no overflow
}

func (s *Store) inMemory(offset uint64) *chunk {
	if len(s.tail) > 0 && offset >= s.tail[0].first {
		return find(s.tail, offset)
	}
	return find(s.loaded, offset)
}

// collect appends to dst records from the one of the offset from, in c, on, as
// far as they are in memory.
func (s *Store) collect(c *chunk, from uint64, dst []eventstore.Record, lim eventstore.Limit) []eventstore.Record {
	pos := s.seek(c, from)
	records, bytes := 0, 0
	for {
		if from == c.next {
			next := s.inMemory(from)
			if next == nil {
				break
			}
			c, pos = next, s.seek(next, from)
		}
		n := int(binary.LittleEndian.Uint32(c.buf[pos+4:]))
		if records > 0 && (lim.Records > 0 && records >= lim.Records || lim.Bytes > 0 && bytes+n > lim.Bytes) {
			break
		}
		data := c.buf[pos+recordHead : pos+recordHead+n : pos+recordHead+n]
		dst = append(dst, eventstore.Record{Offset: from, Data: data})
		records++
		bytes += n
		pos += recordHead + n
		from++
	}
	s.hint = hint{c, from, pos}
	s.handed = max(s.handed, from-1)
	return dst
}

// seek returns where in c the record of an offset begins.
func (s *Store) seek(c *chunk, offset uint64) int {
	at, pos := c.first, 0
	if h := s.hint; h.chunk == c && h.offset <= offset {
		at, pos = h.offset, h.pos
	}
	for ; at < offset; at++ {
		pos += int(recordSize(c.buf[pos:]))
	}
	return pos
}

// awaitRecord waits until there may be another record.
func (s *Store) awaitRecord(ctx context.Context) error {
	s.reading = true
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-s.grown:
		return nil
	case <-s.done:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("filestore: peek: %w", ctx.Err())
	}
}
