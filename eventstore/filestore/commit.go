package filestore

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A job is what one sync makes durable: the rest of one segment.
type job struct {
	seg    *segment
	create bool
	blocks []block
	next   uint64
	size   int64
}

// commit makes the oldest segment that is not durable durable, and ends the
// round of those who wait. A segment is written to only when those before it
// are durable.
func (s *Store) commit() {
	s.mu.Unlock()
	runtime.Gosched() // whoever is about to append shares this sync
	s.mu.Lock()
	j := s.plan()
	if j.seg == nil {
		s.target = s.durable
		return
	}
	r := s.round
	s.round = nil
	s.mu.Unlock()
	err := s.medium.write(j.seg, j.create, j.blocks)
	s.mu.Lock()
	r.end(s.settle(j, err))
}

func (s *Store) plan() job {
	i := slices.IndexFunc(s.segments, func(g *segment) bool { return g.next > s.durable+1 })
	if i < 0 {
		return job{}
	}
	g := s.segments[i]
	g.newest = time.Now()
	j := job{seg: g, create: !g.created, next: g.next, size: g.size, blocks: s.medium.blocks[:0]}
	for _, c := range s.tail {
		if c.seg == g && c.written < len(c.buf) {
			c.busy = true
			j.blocks = append(j.blocks, block{c, c.pos + int64(c.written), c.buf[c.written:]})
		}
	}
	s.medium.blocks = j.blocks
	return j
}

// settle notes the outcome of j. It returns what to tell those who wait for it.
func (s *Store) settle(j job, err error) error {
	g := j.seg
	for _, b := range j.blocks {
		b.chunk.busy = false
		if err == nil {
			b.chunk.written += len(b.data)
		}
	}
	clear(j.blocks)
	if err != nil {
		return s.fail(g, err)
	}
	s.syncs++
	s.failure, s.noSpace = nil, false
	g.created = true
	if !g.retired {
		s.dirty -= j.size - g.synced
		g.synced = j.size
		s.durable = max(s.durable, j.next-1)
	}
	s.freeRoom()
	s.trimMemory()
	return nil
}

// fail notes that g could not be written.
func (s *Store) fail(g *segment, err error) error {
	var unreliable unreliableError
	if errors.As(err, &unreliable) && !g.retired {
		s.abandon(g)
	}
	s.failure, s.noSpace = err, disk.IsFull(err)
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

// abandon gives up the file of g after what is durable, and moves the records
// that follow to a new segment.
func (s *Store) abandon(g *segment) {
	s.hint = hint{}
	if g.synced == headerSize {
		g.created = false // it is written anew from the start
		for _, c := range s.tail {
			if c.seg == g {
				c.written = 0
			}
		}
		return
	}
	n := newSegment(s.durable + 1)
	n.next, n.newest = g.next, g.newest
	n.size += g.size - g.synced
	g.next, g.size = n.first, g.synced
	s.total += headerSize
	s.segments = slices.Insert(s.segments, slices.Index(s.segments, g)+1, n)
	s.splitTail(g, n)
}

// splitTail hands the chunks of g that hold records of n over to n.
func (s *Store) splitTail(g, n *segment) {
	for i := 0; i < len(s.tail); i++ {
		c := s.tail[i]
		if c.seg != g || c.next <= n.first {
			continue
		}
		if c.first < n.first {
			k := g.synced - c.pos
			kept := *c
			kept.next, kept.buf, kept.written, kept.shared = n.first, c.buf[:k:k], int(k), true
			c.first, c.pos, c.buf, c.shared = n.first, g.synced, c.buf[k:], true
			s.tail = slices.Insert(s.tail, i, &kept)
			i++
		}
		c.seg, c.written = n, 0
		c.pos += headerSize - g.synced
	}
}

// cacheBytes bounds the memory of records that are also in a file.
const cacheBytes = 1 << 20

// trimMemory gives up chunks that are released, or durable and more than the
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
