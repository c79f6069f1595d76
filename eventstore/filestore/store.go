package filestore

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

var _ eventstore.EventStore = (*Store)(nil)

// Store is an eventstore.EventStore in files.
type Store struct {
	cfg    Config
	dir    disk.Dir
	done   chan struct{} // closed by Close
	grown  chan struct{} // has room for one token, for the reader
	medium medium        // only for the goroutine that works

	wg sync.WaitGroup // work and alarms
	mu sync.Mutex     // never held while the medium is used

	closed   bool
	next     uint64 // offset of the next record
	acked    uint64 // by the reader
	released uint64 // acknowledged or dropped
	durable  uint64 // all up to here is durable, or released
	target   uint64 // all up to here is to become durable

	segments []*segment // oldest first; the last one is appended to
	tail     []*chunk   // the newest records; includes all that are not durable
	tailCap  int        // memory of tail
	loaded   []*chunk   // read from files, in no particular order
	memory   memory
	total    int64 // size of segments
	dirty    int64 // size of the records that are not durable

	reading bool   // the reader waits for grown
	handed  uint64 // the highest offset that the reader was given
	hint    hint   // where it will probably go on in memory
	place   place  // where it will probably go on in the files
	damage  []span // records that cannot be read, in order

	working   bool // the goroutine of work exists
	round     *round
	room      chan struct{} // closed when there may be room
	garbage   []string      // files to remove
	cursor    uint64        // as it is in the file
	cursorDue bool
	stuck     []string // files that could not be removed
	failure   error    // of the last attempt to make records durable, or nil
	untidy    error    // of the last attempt to tidy, or nil
	noSpace   bool     // failure is that the medium is full
	told      told
	retry     alarm
	expiry    alarm

	appended, dropped, syncs uint64
}

// A span is a range of offsets, both ends included.
type span struct{ lo, hi uint64 }

// Open opens the store in cfg.Dir, which it creates if needed, and removes an
// incomplete record at its end. It fails if another store has the folder open,
// if the folder cannot be read and written, or if its files were written by a
// newer version; never because of damaged files.
func Open(cfg Config) (*Store, error) {
	d, err := disk.OpenFolder(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	return OpenOn(d, cfg)
}

// OpenOn opens the store in d, which the store closes, instead of cfg.Dir. It
// is for package storetest.
func OpenOn(d disk.Dir, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{
		cfg:    cfg,
		dir:    d,
		done:   make(chan struct{}),
		grown:  make(chan struct{}, 1),
		medium: medium{dir: d},
		memory: memory{chunkBytes: int(min(maxChunkBytes, cfg.SegmentBytes))},
	}
	s.retry.call, s.expiry.call = s.onRetry, s.onExpiry
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("filestore: open %s: %w", cfg.Dir, err), d.Close())
	}
	s.mu.Lock()
	s.watchAge()
	s.mu.Unlock()
	return s, nil
}

// Stats implements eventstore.EventStore. Bytes is exact for segments of which
// all records or none are released, and an estimate for the one between. It
// does not wait for the medium.
func (s *Store) Stats() eventstore.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := eventstore.Stats{
		Pending:  s.next - 1 - s.released,
		Appended: s.appended,
		Dropped:  s.dropped,
		Syncs:    s.syncs,
	}
	for _, g := range s.segments {
		if pending := g.pending(s.released); pending > 0 {
			st.Bytes += int64(float64(g.data()) * (float64(pending) / float64(g.next-g.first)))
		}
	}
	return st
}

// pending returns the number of records after released.
func (g *segment) pending(released uint64) uint64 {
	return g.next - min(g.next, max(g.first, released+1))
}

// Close unblocks all calls under way with eventstore.ErrClosed, makes the
// records and the cursor durable, and gives up the folder. It waits for the
// medium.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return eventstore.ErrClosed
	}
	s.closed = true
	close(s.done)
	s.disarm(&s.retry)
	s.disarm(&s.expiry)
	s.mu.Unlock()
	s.wg.Wait()

	err := errors.Join(s.flush(), s.medium.close(), s.dir.Close())
	if err != nil {
		return fmt.Errorf("filestore: close: %w", err)
	}
	return nil
}

// flush makes all durable, after the worker has ended.
func (s *Store) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
	for s.target = s.next - 1; s.target > s.durable; {
		s.commit()
		if s.noSpace && len(s.garbage) > 0 {
			_ = s.tidy() // makes room, and is tried again below
		}
	}
	return errors.Join(s.failure, s.tidy())
}
