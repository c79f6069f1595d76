package memstore

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/gridlinks/iot-gateway/eventstore"
)

var _ eventstore.EventStore = (*Store)(nil)

// Config configures a Store.
type Config struct {
	MaxRecords int                 // zero: 100000
	MaxBytes   int64               // of the records; zero: 64 MiB
	Overflow   eventstore.Overflow // what Append does when there is no room
	Logger     *slog.Logger        // receives damage to the file of Open; nil: slog.Default()
}

const (
	defaultMaxRecords = 100_000
	defaultMaxBytes   = 64 << 20
)

// Store is an in-memory eventstore.EventStore: a ring of records in chunks of
// memory that it uses again. The memory that it takes follows what it holds, with
// up to 512 KiB kept for later, and is bounded by MaxBytes and 40 bytes for each
// of MaxRecords.
type Store struct {
	cfg   Config
	path  string        // of the snapshot, or ""
	done  chan struct{} // closed by Close
	grown chan struct{} // has room for one token, for the reader

	mu       sync.Mutex
	closed   bool
	next     uint64 // offset of the next record
	acked    uint64 // by the reader
	released uint64 // acknowledged or dropped
	handed   uint64 // the highest offset that the reader was given
	bytes    int64  // size of the records
	records  ring
	memory   memory

	reading bool          // the reader waits for grown
	room    chan struct{} // closed when there may be room

	appended, dropped uint64
}

// New returns an empty store, whose records are lost at its end.
func New(cfg Config) *Store {
	if cfg.MaxRecords <= 0 {
		cfg.MaxRecords = defaultMaxRecords
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	return &Store{
		cfg:   cfg,
		done:  make(chan struct{}),
		grown: make(chan struct{}, 1),
		next:  1,
	}
}

// Append implements eventstore.EventStore.
func (s *Store) Append(ctx context.Context, rec []byte) (uint64, error) {
	if int64(len(rec)) > s.cfg.MaxBytes {
		return 0, fmt.Errorf("memstore: append: %w: %d bytes in a store of %d",
			eventstore.ErrTooLarge, len(rec), s.cfg.MaxBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reserve(ctx, int64(len(rec))); err != nil {
		return 0, err
	}
	offset := s.push(rec)
	s.appended++
	if s.reading {
		s.reading = false
		select {
		case s.grown <- struct{}{}:
		default:
		}
	}
	return offset, nil
}

// push adds a copy of rec.
func (s *Store) push(rec []byte) (offset uint64) {
	offset = s.next
	s.records.push(eventstore.Record{Offset: offset, Data: s.memory.copy(rec, offset)}, s.pending())
	s.next++
	s.bytes += int64(len(rec))
	return offset
}

// reserve returns when there is room for size bytes, as the overflow policy
// has it.
func (s *Store) reserve(ctx context.Context, size int64) error {
	for {
		switch {
		case s.closed:
			return eventstore.ErrClosed
		case s.pending() < s.cfg.MaxRecords && s.bytes+size <= s.cfg.MaxBytes:
			return nil
		case s.cfg.Overflow == eventstore.Reject:
			return fmt.Errorf("memstore: append: %w", eventstore.ErrFull)
		case s.cfg.Overflow == eventstore.DropOldest:
			s.dropped++
			s.release(s.released + 1)
		default:
			if err := s.awaitRoom(ctx); err != nil {
				return err
			}
		}
	}
}

func (s *Store) pending() int { return int(s.next - 1 - s.released) }

func (s *Store) awaitRoom(ctx context.Context) error {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room := s.room
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-room:
		return nil
	case <-s.done:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("memstore: no room: %w", ctx.Err())
	}
}

// release lets go of all records up to and including upTo.
func (s *Store) release(upTo uint64) {
	if upTo <= s.released {
		return
	}
	for s.released < upTo {
		s.released++
		s.bytes -= int64(len(s.records.pop(s.released)))
	}
	s.memory.release(upTo, s.acked, s.handed)
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// Sync implements eventstore.EventStore. Memory is as durable as this store
// gets, so it returns at once.
func (s *Store) Sync(context.Context, uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	return nil
}

// Peek implements eventstore.EventStore.
func (s *Store) Peek(ctx context.Context, after uint64, dst []eventstore.Record, lim eventstore.Limit) ([]eventstore.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return dst, eventstore.ErrClosed
		}
		if from := max(after, s.released); from < s.next-1 {
			return s.collect(from+1, dst, lim), nil
		}
		if err := s.awaitRecord(ctx); err != nil {
			return dst, err
		}
	}
}

func (s *Store) collect(from uint64, dst []eventstore.Record, lim eventstore.Limit) []eventstore.Record {
	records, bytes := 0, 0
	for ; from < s.next; from++ {
		r := s.records.at(from)
		records++
		bytes += len(r.Data)
		if records > 1 && (lim.Records > 0 && records > lim.Records || lim.Bytes > 0 && bytes > lim.Bytes) {
			break
		}
		dst = append(dst, r)
	}
	s.handed = max(s.handed, from-1)
	return dst
}

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
		return fmt.Errorf("memstore: peek: %w", ctx.Err())
	}
}

// Ack implements eventstore.EventStore. It accepts any offset: one beyond the
// last record means all records.
func (s *Store) Ack(_ context.Context, upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	s.acked = max(s.acked, min(upTo, s.next-1))
	s.release(s.acked)
	return nil
}

// Stats implements eventstore.EventStore.
func (s *Store) Stats() eventstore.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return eventstore.Stats{
		Pending:  uint64(s.pending()),
		Bytes:    s.bytes,
		Appended: s.appended,
		Dropped:  s.dropped,
	}
}

// Close unblocks all calls under way with eventstore.ErrClosed. A store that
// Open has opened is saved; of any other the records are lost.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	s.closed = true
	close(s.done)
	var err error
	if s.path != "" {
		err = s.save()
	}
	s.records, s.memory = ring{}, memory{}
	return err
}
