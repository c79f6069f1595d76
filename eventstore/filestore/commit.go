package filestore

import (
	"errors"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A job is what one commit settles: the rest of one segment.
type job struct {
	seg      *segment
	create   bool
	force    bool // to the medium
	pos      int64
	blocks   []block
	next     uint64
	reserved int64 // size reserved for the blocks
	room     int64 // how large the file may become
}

// commit settles the oldest segment that is not settled, and ends the round of
// those who wait. A segment is written to only when those before it are
// settled.
func (s *Store) commit() {
	s.gather()
	j := s.plan()
	if j.seg == nil {
		s.target = s.durable
		return
	}
	r := s.round
	s.round, s.running = nil, r
	s.mu.Unlock()
	size, err := s.medium.write(j)
	s.mu.Lock()
	s.running = nil
	s.finish(r, s.settle(j, size, err))
}

func (s *Store) plan() job {
	i := slices.IndexFunc(s.segments, func(g *segment) bool { return g.next > s.durable+1 })
	if i < 0 {
		return job{}
	}
	g := s.segments[i]
	g.newest = time.Now()
	j := job{
		seg: g, create: !g.created, pos: g.written, next: g.next, reserved: g.waiting, blocks: s.medium.blocks[:0],
		force: s.cfg.Durability == Always || s.failure != nil, // a medium that fails has to prove itself
		room:  g.size() + min(s.cfg.SegmentBytes-g.size(), s.cfg.MaxBytes-s.total),
	}
	for _, c := range s.tail {
		if c.seg == g && c.stored < len(c.buf) {
			c.busy = true
			first := max(c.first, s.durable+1)
			j.blocks = append(j.blocks, block{c, first, c.next - first, c.buf[c.stored:]})
		}
	}
	s.medium.blocks = j.blocks
	return j
}

// settle notes the outcome of j. It returns what to tell those who wait for it.
func (s *Store) settle(j job, size int64, err error) error {
	g := j.seg
	for _, b := range j.blocks {
		b.chunk.busy = false
		if err == nil {
			b.chunk.stored += len(b.data)
		}
	}
	clear(j.blocks)
	if err != nil {
		return s.fail(g, err)
	}
	if j.force {
		s.syncs++
	} else {
		s.unsynced = true
	}
	s.failure, s.noSpace = nil, false
	g.created = true
	if !g.retired {
		s.dirty -= j.reserved
		s.total += size - j.reserved
		g.written += size
		g.waiting -= j.reserved
		s.durable = max(s.durable, j.next-1)
	}
	s.freeRoom()
	s.trimMemory()
	return nil
}

// flush forces what was only written to the medium.
func (s *Store) flush() {
	s.unsynced, s.flushDue = false, false
	s.mu.Unlock()
	err := s.medium.flush()
	s.mu.Lock()
	if err == nil {
		s.syncs++
		if s.dirty == 0 { // else the next commit shows whether the medium works
			s.failure, s.noSpace = nil, false
		}
		return
	}
	s.failure, s.unsynced = err, true
	if !s.active().empty() {
		s.rotate()
		s.trim()
	}
	s.arm(&s.retry, s.cfg.SyncInterval)
}

// fail notes that g could not be written.
func (s *Store) fail(g *segment, err error) error {
	var unreliable unreliableError
	if errors.As(err, &unreliable) && !g.retired {
		s.abandon(g)
	}
	s.failure, s.noSpace = err, disk.IsFull(err)
	if s.noSpace && len(s.aside) > 0 && s.untidy == nil {
		s.shed = true
		return nil // and go on
	}
	if s.noSpace && s.cfg.Overflow == eventstore.DropOldest {
		if g.retired || s.segments[0] != g && s.dropOldest() {
			return nil // and go on
		}
	}
	s.target = s.durable
	s.freeRoom() // who waits there may have to give up
	s.arm(&s.retry, s.cfg.SyncInterval)
	return err
}

// abandon gives up the file of g after what is settled, and moves the records
// that follow to a new segment.
func (s *Store) abandon(g *segment) {
	s.hint = hint{}
	if g.written == g.head {
		g.created = false // it is written anew from the start
		for _, c := range s.tail {
			if c.seg == g {
				c.stored = 0
			}
		}
		return
	}
	n := s.format.newSegment(s.durable + 1)
	n.next, n.newest, n.waiting = g.next, g.newest, g.waiting
	n.payload = s.waitingPayload(g)
	g.next, g.waiting = n.first, 0
	g.payload -= n.payload
	s.total += n.head
	s.segments = slices.Insert(s.segments, slices.Index(s.segments, g)+1, n)
	s.splitTail(g, n)
}

// waitingPayload returns the size of the data of the records of g that are not
// settled.
func (s *Store) waitingPayload(g *segment) (sum int64) {
	for _, c := range s.tail {
		if c.seg == g {
			first := max(c.first, s.durable+1)
			sum += int64(len(c.buf)-c.stored) - recordHead*int64(c.next-min(c.next, first))
		}
	}
	return sum
}

// splitTail hands the chunks of g that hold records of n over to n.
func (s *Store) splitTail(g, n *segment) {
	for i := 0; i < len(s.tail); i++ {
		c := s.tail[i]
		if c.seg != g || c.next <= n.first {
			continue
		}
		if c.first < n.first {
			k := c.stored
			kept := *c
			kept.next, kept.buf, kept.shared = n.first, c.buf[:k:k], true
			c.first, c.buf, c.shared = n.first, c.buf[k:], true
			s.tail = slices.Insert(s.tail, i, &kept)
			i++
		}
		c.seg, c.stored = n, 0
	}
}

// cacheBytes bounds the memory of records that are also in a file.
const cacheBytes = 1 << 20

// trimMemory gives up chunks that are released, or settled and more than the
// cache holds.
func (s *Store) trimMemory() {
	n := 0
	for n < len(s.tail)-1 {
		c := s.tail[n]
		if last := c.next - 1; last > s.durable || last > s.released && s.tailCap <= cacheBytes {
			break
		}
		s.tailCap -= cap(c.buf)
		s.recycle(c)
		n++
	}
	s.tail = slices.Delete(s.tail, 0, n)
	s.loaded = slices.DeleteFunc(s.loaded, func(c *chunk) bool {
		gone := c.next-1 <= s.released
		if gone {
			s.recycle(c)
		}
		return gone
	})
}

// recycle uses the memory of c again, if the reader cannot have a part of it.
func (s *Store) recycle(c *chunk) {
	if s.hint.chunk == c {
		s.hint = hint{}
	}
	if !c.busy && (c.next-1 <= s.acked || c.first > s.handed) {
		s.memory.put(c)
	}
}
