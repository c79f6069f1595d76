// Package boltstore keeps events in a bbolt database. It shows what it takes to
// write an event store of one's own: the contract is that of eventstore, and
// storetest checks it.
//
// Records gather in memory until somebody waits for them, or a second has passed.
// One transaction then writes all of them, and deletes what was acknowledged.
// bbolt cannot be interrupted, so a Sync waits for a hung disk whatever its
// context says.
package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gridlinks/iot-gateway/eventstore"
)

var _ eventstore.EventStore = (*Store)(nil)

// Config configures a Store.
type Config struct {
	Path       string              // of the database file
	MaxRecords int                 // zero: 100000
	Overflow   eventstore.Overflow // what Append does when there is no room
}

const interval = time.Second // after which records are written that nobody waits for

func bucket() []byte      { return []byte("records") }
func nextKey() []byte     { return []byte("next") } // shorter than an offset, so it is none
func key(o uint64) []byte { return binary.BigEndian.AppendUint64(nil, o) }

// Store is an eventstore.EventStore in a bbolt database.
type Store struct {
	cfg     Config
	db      *bbolt.DB
	done    chan struct{}
	ticking sync.WaitGroup
	writing sync.Mutex // held by whoever writes; taken before mu

	mu       sync.Mutex
	closed   bool
	next     uint64        // offset of the next record
	durable  uint64        // the records up to here are in the database
	released uint64        // acknowledged or dropped
	deleted  uint64        // the records up to here are not in the database any more
	fresh    [][]byte      // the records after durable
	sizes    []int         // of the records after released
	changed  chan struct{} // closed when there may be room or a record
	stats    eventstore.Stats
}

// Open opens the store in the file cfg.Path, and creates it if it does not exist.
func Open(cfg Config) (*Store, error) {
	if cfg.MaxRecords <= 0 {
		cfg.MaxRecords = 100_000
	}
	db, err := bbolt.Open(cfg.Path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("boltstore: open: %w", err)
	}
	s := &Store{cfg: cfg, db: db, done: make(chan struct{}), changed: make(chan struct{})}
	if err := db.Update(s.load); err != nil {
		return nil, fmt.Errorf("boltstore: open: %w", errors.Join(err, db.Close()))
	}
	s.ticking.Go(s.tick)
	return s, nil
}

// tick writes what nobody waits for.
func (s *Store) tick() {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = s.write() // it is tried again
		case <-s.done:
			return
		}
	}
}

// load finds out what the database holds.
func (s *Store) load(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(bucket())
	if err != nil {
		return err
	}
	s.next = 1
	if v := b.Get(nextKey()); len(v) == 8 {
		s.next = binary.BigEndian.Uint64(v)
	}
	s.durable, s.released = s.next-1, s.next-1
	c := b.Cursor()
	for k, v := c.First(); len(k) == 8; k, v = c.Next() {
		if len(s.sizes) == 0 {
			s.released = binary.BigEndian.Uint64(k) - 1
		}
		s.sizes = append(s.sizes, len(v))
		s.stats.Bytes += int64(len(v))
	}
	s.deleted = s.released
	return nil
}

// Append implements eventstore.EventStore.
func (s *Store) Append(ctx context.Context, rec []byte) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && len(s.sizes) >= s.cfg.MaxRecords {
		switch s.cfg.Overflow {
		case eventstore.Reject:
			return 0, fmt.Errorf("boltstore: append: %w", eventstore.ErrFull)
		case eventstore.DropOldest:
			s.stats.Dropped++
			s.release(s.released + 1)
		default:
			if err := s.wait(ctx); err != nil {
				return 0, err
			}
		}
	}
	if s.closed {
		return 0, eventstore.ErrClosed
	}
	s.next++
	s.fresh = append(s.fresh, append([]byte{}, rec...))
	s.sizes = append(s.sizes, len(rec))
	s.stats.Appended++
	s.stats.Bytes += int64(len(rec))
	s.notify()
	return s.next - 1, nil
}

// wait waits until something has changed, without the lock.
func (s *Store) wait(ctx context.Context) error {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-s.done:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// release lets go of the records up to an offset.
func (s *Store) release(upTo uint64) {
	for ; s.released < upTo; s.released++ {
		s.stats.Bytes -= int64(s.sizes[0])
		s.sizes = s.sizes[1:]
	}
	s.notify()
}

// Sync implements eventstore.EventStore.
func (s *Store) Sync(_ context.Context, upTo uint64) error {
	s.mu.Lock()
	closed, durable := s.closed, min(upTo, s.next-1) <= s.durable
	s.mu.Unlock()
	if closed {
		return eventstore.ErrClosed
	}
	if durable {
		return nil
	}
	return s.write()
}

// write makes the database hold what the store holds.
func (s *Store) write() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	first, fresh, released, deleted := s.durable+1, s.fresh, s.released, s.deleted
	s.mu.Unlock()
	if len(fresh) == 0 && released == deleted {
		return nil // another one has written it
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket())
		for o := deleted + 1; o <= released && o < first; o++ {
			if err := b.Delete(key(o)); err != nil {
				return err
			}
		}
		for i, rec := range fresh {
			if o := first + uint64(i); o > released {
				if err := b.Put(key(o), rec); err != nil {
					return err
				}
			}
		}
		return b.Put(nextKey(), key(first+uint64(len(fresh))))
	})
	if errors.Is(err, bbolt.ErrDatabaseNotOpen) {
		return eventstore.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("boltstore: write: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable += uint64(len(fresh))
	s.fresh = s.fresh[len(fresh):]
	s.deleted = released
	s.stats.Syncs++
	return nil
}

// Peek implements eventstore.EventStore.
func (s *Store) Peek(ctx context.Context, after uint64, dst []eventstore.Record, lim eventstore.Limit) ([]eventstore.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && max(after, s.released) >= s.next-1 {
		if err := s.wait(ctx); err != nil {
			return dst, err
		}
	}
	if s.closed {
		return dst, eventstore.ErrClosed
	}
	p := page{dst: dst, lim: lim, next: max(after, s.released) + 1}
	if p.next <= s.durable {
		if err := s.db.View(func(tx *bbolt.Tx) error { p.read(tx, s.durable); return nil }); err != nil {
			return dst, fmt.Errorf("boltstore: peek: %w", err)
		}
	}
	for p.next > s.durable && p.next < s.next && p.add(s.fresh[p.next-s.durable-1]) {
	}
	return p.dst, nil
}

// A page is what one Peek returns.
type page struct {
	dst            []eventstore.Record
	lim            eventstore.Limit
	next           uint64
	records, bytes int
}

// add adds the record p.next, and reports whether there was room for it.
func (p *page) add(data []byte) bool {
	if p.records > 0 && (p.lim.Records > 0 && p.records >= p.lim.Records || p.lim.Bytes > 0 && p.bytes+len(data) > p.lim.Bytes) {
		return false
	}
	p.dst = append(p.dst, eventstore.Record{Offset: p.next, Data: data})
	p.next++
	p.records++
	p.bytes += len(data)
	return true
}

// read adds records from the database, up to an offset.
func (p *page) read(tx *bbolt.Tx, last uint64) {
	c := tx.Bucket(bucket()).Cursor()
	for k, v := c.Seek(key(p.next)); len(k) == 8 && p.next <= last && p.add(append([]byte{}, v...)); k, v = c.Next() {
	}
}

// Ack implements eventstore.EventStore.
func (s *Store) Ack(_ context.Context, upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	s.release(min(upTo, s.next-1))
	return nil
}

// Stats implements eventstore.EventStore.
func (s *Store) Stats() eventstore.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Pending = uint64(len(s.sizes))
	return st
}

// Close implements eventstore.EventStore.
func (s *Store) Close() error {
	if !s.end() {
		return eventstore.ErrClosed
	}
	return errors.Join(s.write(), s.db.Close())
}

// end unblocks all calls, and reports whether it was the first to.
func (s *Store) end() bool {
	s.mu.Lock()
	was := s.closed
	if s.closed = true; !was {
		close(s.done)
	}
	s.mu.Unlock()
	s.ticking.Wait()
	return !was
}
