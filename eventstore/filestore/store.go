package filestore

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

var _ eventstore.EventStore = (*Store)(nil)

// Store is an eventstore.EventStore in files.
type Store struct {
	cfg    Config
	dir    disk.Dir
	format *format
	done   chan struct{} // closed by Close
	grown  chan struct{} // has room for one token, for the reader
	medium medium        // only for the goroutine that works

	wg sync.WaitGroup // work, reading and alarms
	mu sync.Mutex     // never held while the medium is used

	closed   bool
	next     uint64 // offset of the next record
	acked    uint64 // by the reader
	released uint64 // acknowledged or dropped
	durable  uint64 // all up to here is as durable as configured, or released
	target   uint64 // all up to here is to become so

	segments []*segment // oldest first; the last one is appended to
	tail     []*chunk   // the newest records; includes all that are not durable
	tailCap  int        // memory of tail
	loaded   []*chunk   // read from files, in no particular order
	memory   memory
	total    int64 // size of segments
	dirty    int64 // size reserved for the records that are not durable

	reading  bool          // the reader waits for grown
	handed   uint64        // the highest offset that the reader was given
	hint     hint          // where it will probably go on in memory
	place    place         // where it will probably go on in the files
	raw      []byte        // memory for reading containers
	damage   []span        // records that cannot be read, in order
	fetching chan struct{} // closed when the reading under way ends, or nil
	unread   error         // of the last attempt to read, or nil
	reads    int           // attempts that failed in a row
	probe    probe

	working   bool // the goroutine of work exists
	round     *round
	running   *round        // the sync that is under way
	expected  int           // how many will probably wait for the next round
	room      chan struct{} // closed when there may be room
	garbage   []trash       // files to remove
	cursor    uint64        // as it is in the file
	cursorDue bool
	stuck     []trash // files that could not be removed
	aside     aside
	shed      bool  // what is aside is to be removed
	unsynced  bool  // what was written is still to be forced to the medium
	flushDue  bool  // and it is time to
	failure   error // of the last attempt to make records durable, or nil
	untidy    error // of the last attempt to tidy, or nil
	noSpace   bool  // failure is that the medium is full
	told      told
	retry     alarm
	expiry    alarm

	appended, dropped, syncs uint64
	expired, ruined          uint64 // of dropped
}

// A span is a range of offsets, both ends included.
type span struct{ lo, hi uint64 }

// Open opens the store in cfg.Dir, which it creates if needed, and removes an
// incomplete record at its end. It fails if another store has the folder open,
// if the folder cannot be read and written, if its files were written by a newer
// version, or with a key or codec that cfg does not name; never because of
// damaged files. When it fails it has changed nothing.
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
		memory: memory{chunkBytes: int(min(maxChunkBytes, cfg.SegmentBytes))},
	}
	s.retry.call, s.expiry.call = s.onRetry, s.onExpiry
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("filestore: open %s: %w", cfg.Dir, err), d.Close())
	}
	s.mu.Lock()
	s.watchAge()
	s.mu.Unlock()
	return s, nil
}

func (s *Store) prepare() (err error) {
	if err := s.cfg.validate(); err != nil {
		return err
	}
	if s.format, err = newFormat(s.cfg); err != nil {
		return err
	}
	s.medium = medium{dir: s.dir, format: s.format, later: s.cfg.Durability == Interval}
	return s.recover()
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
			st.Bytes += int64(float64(g.payload) * (float64(pending) / float64(g.next-g.first)))
		}
	}
	return st
}

// pending returns the number of records after released.
func (g *segment) pending(released uint64) uint64 {
	return g.next - min(g.next, max(g.first, released+1))
}

// Close unblocks all calls under way with eventstore.ErrClosed, makes the
// records and the cursor durable, and gives up the folder. If the medium does
// not answer within CloseTimeout it returns an error; what it has begun ends when
// the medium answers, and until then the folder is in use.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return eventstore.ErrClosed
	}
	s.closed = true
	close(s.done)
	s.round.end(eventstore.ErrClosed)
	s.running.end(eventstore.ErrClosed)
	s.round = nil
	s.disarm(&s.retry)
	s.disarm(&s.expiry)
	s.mu.Unlock()

	ended := make(chan error, 1)
	go func() { ended <- s.shut() }()
	patience := time.NewTimer(s.cfg.CloseTimeout)
	defer patience.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("filestore: close: %w", err)
		}
		return nil
	case <-patience.C:
		return fmt.Errorf("filestore: close: %w for %v; records that are not durable may be lost", ErrHung, s.cfg.CloseTimeout)
	}
}

// ErrHung is wrapped by the error of Close if the medium does not answer.
var ErrHung = errors.New("the medium has not answered")

// shut waits until nobody uses the medium, and does the rest of Close.
func (s *Store) shut() error {
	s.wg.Wait()
	return errors.Join(s.settleAll(), s.medium.flush(), s.medium.close(), s.dir.Close())
}

// settleAll makes all durable, after the worker has ended.
func (s *Store) settleAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
	for s.target = s.next - 1; s.target > s.durable; {
		s.commit()
		if s.noSpace && (len(s.garbage) > 0 || s.shed) {
			_ = s.tidy() // makes room, and is tried again below
		}
	}
	return errors.Join(s.failure, s.tidy())
}
