package filestore

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A place is where a record begins in a file.
type place struct {
	seg    *segment
	offset uint64
	pos    int64
}

var (
	errDamaged = errors.New("the file is damaged")
	errMissing = errors.New("the records are missing")
)

// segmentOf returns the segment that has or had the record of an offset.
func (s *Store) segmentOf(offset uint64) *segment {
	i := slices.IndexFunc(s.segments, func(g *segment) bool { return offset < g.next })
	return s.segments[i]
}

// load reads the chunk of g with the record of an offset into memory, or notes
// that the record is damaged. It gives up the lock meanwhile.
func (s *Store) load(g *segment, offset uint64) error {
	start := place{g, g.first, g.head}
	if s.place.seg == g && s.place.offset <= offset {
		start = s.place
	}
	r := reader{
		format: s.format, limit: g.written, end: min(g.next, s.durable+1), packed: g.packed,
		lenient: s.probe == probePassed, chunk: s.memory.get(s.memory.chunkBytes), raw: s.raw,
	}
	s.mu.Unlock()
	lost, err := r.readAt(s.dir, start, offset)
	s.mu.Lock()
	s.raw = r.raw
	if g.retired || err != nil {
		s.memory.put(r.chunk)
		if g.retired {
			return nil
		}
		return err
	}
	s.place = r.place
	if lost.hi == 0 {
		s.keep(r.chunk)
		return nil
	}
	s.memory.put(r.chunk)
	cause := errDamaged
	if r.missing {
		cause = errMissing
	} else {
		g.damaged = true
	}
	s.report(g, lost, cause)
	return nil
}

// report counts damaged records of g, and logs them unless they are known.
func (s *Store) report(g *segment, lost span, cause error) {
	if !s.skip(lost) {
		return
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	s.cfg.Logger.Warn("event store: records that cannot be read are skipped", slog.String("dir", s.cfg.Dir),
		slog.String("segment", g.name()), slog.Uint64("first", lost.lo), slog.Uint64("last", lost.hi), slog.Any("cause", cause))
}

// keep adds a chunk that was read, and gives up others if they are too many.
func (s *Store) keep(c *chunk) {
	size := cap(c.buf)
	for _, o := range s.loaded {
		size += cap(o.buf)
	}
	for size > cacheBytes && len(s.loaded) > 0 {
		size -= cap(s.loaded[0].buf)
		s.recycle(s.loaded[0])
		s.loaded = slices.Delete(s.loaded, 0, 1)
	}
	s.loaded = append(s.loaded, c)
}

// skip notes that records are damaged, and reports whether that is news.
func (s *Store) skip(lost span) bool {
	lo := max(lost.lo, s.released+1)
	if lo > lost.hi {
		return false
	}
	for _, d := range s.damage {
		if d.lo <= lo && lost.hi <= d.hi {
			return false
		}
	}
	s.dropped += lost.hi + 1 - lo
	s.ruined += lost.hi + 1 - lo
	s.damage = append(s.damage, span{lo, lost.hi})
	slices.SortFunc(s.damage, func(a, b span) int {
		if a.lo < b.lo {
			return -1
		}
		return 1
	})
	s.release(s.released)
	return true
}

// A reader reads records of one segment.
type reader struct {
	format  *format
	limit   int64  // the size of the file that counts
	end     uint64 // the offset after the last record that counts
	packed  bool   // there may be containers
	lenient bool   // what cannot be read is damaged, rather than an error
	chunk   *chunk // what was read
	raw     []byte // memory for containers
	place   place  // where it ends
	missing bool   // the file has no more, rather than something else
}

// readAt reads from the file until r.chunk holds the record of an offset. It
// returns the damaged records instead if that is one of them.
func (r *reader) readAt(d disk.Dir, start place, offset uint64) (lost span, err error) {
	r.place = start
	f, err := d.Open(start.seg.name())
	if errors.Is(err, fs.ErrNotExist) {
		if gone := d.Check(); gone != nil {
			return span{}, gone
		}
		r.missing = true
		return span{start.offset, r.end - 1}, nil
	}
	if err != nil {
		return span{}, err
	}
	for r.place.offset <= offset && lost.hi < offset {
		if lost, err = r.next(f); err != nil {
			break
		}
	}
	err = errors.Join(err, f.Close())
	return lost, err
}

// next reads the next records into r.chunk. It returns the damaged records, and
// leaves the chunk empty, if they come first.
func (r *reader) next(f disk.File) (lost span, err error) {
	c := r.chunk
	into := &c.buf
	if r.packed {
		into = &r.raw
	}
	if err := r.fill(f, into); err != nil && !r.lenient {
		return span{}, err
	} else if err != nil {
		return r.resume(f)
	}
	var used int
	var next uint64
	if r.packed {
		used, next = r.unpack()
	} else {
		used, next = validPrefix(c.buf, r.place.offset, r.end)
		c.buf = c.buf[:used]
	}
	if used == 0 {
		return r.resume(f)
	}
	c.seg, c.first, c.next, c.stored = r.place.seg, r.place.offset, next, len(c.buf)
	r.place.offset, r.place.pos = next, r.place.pos+int64(used)
	return span{}, nil
}

// fill reads into b as much as it holds, but at least the first record.
func (r *reader) fill(f disk.File, b *[]byte) (err error) {
	if cap(*b) < r.chunkBytes() {
		*b = make([]byte, 0, r.chunkBytes())
	}
	left := max(0, r.limit-r.place.pos)
	size := min(left, int64(cap(*b)))
	if *b, err = r.read(f, (*b)[:size]); err != nil {
		return err
	}
	if need := recordSize(*b); need > int64(cap(*b)) && need <= left {
		*b, err = r.read(f, make([]byte, need))
	}
	return err
}

// read reads from r.place into b and returns b up to the end of the file.
func (r *reader) read(f disk.File, b []byte) ([]byte, error) {
	if r.lenient {
		return readPieces(f, b, r.place.pos)
	}
	n, err := f.ReadAt(b, r.place.pos)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// chunkBytes returns how much is read at once.
func (r *reader) chunkBytes() int {
	if r.packed {
		return maxChunkBytes + sealOverhead
	}
	return cap(r.chunk.buf)
}

// unpack puts the records at the start of r.raw into r.chunk, as many as it
// holds but at least those of one container. It returns how much of r.raw they
// are, and the offset after them.
func (r *reader) unpack() (used int, next uint64) {
	c := r.chunk
	c.buf, next = c.buf[:0], r.place.offset
	for next < r.end && intact(r.raw[used:], next) {
		b := r.raw[used:]
		b = b[:recordSize(b)]
		n, size := uint64(1), int64(len(b))
		if isContainer(b) {
			n, size = containerSize(b)
		}
		if len(c.buf) > 0 && int64(len(c.buf))+size > int64(cap(c.buf)) || n > r.end-next {
			break
		}
		if !isContainer(b) {
			c.buf = append(c.buf, b...)
		} else if out, err := r.format.unpack(c.buf, b, next); err == nil {
			c.buf = out
		} else {
			break
		}
		used += len(b)
		next += n
	}
	return used, next
}

// resume moves r.place from a damaged record to the next intact one, or to the
// end.
func (r *reader) resume(f disk.File) (lost span, err error) {
	rest, err := r.read(f, make([]byte, max(0, r.limit-r.place.pos)))
	if err != nil {
		return span{}, err
	}
	r.missing = len(rest) == 0
	lost = span{r.place.offset, r.end - 1}
	pos, offset, ok := findRecord(rest, r.place.offset, r.end, r.packed)
	if !ok {
		pos, offset = len(rest), r.end
	}
	lost.hi = offset - 1
	r.place.offset = offset
	r.place.pos += int64(pos)
	r.chunk.buf = r.chunk.buf[:0]
	return lost, nil
}

// sectorBytes is the unit in which media lose data.
const sectorBytes = 4 << 10

// readPieces reads from pos into b and returns b up to the end of the file.
// Where the medium cannot be read b is zero, which no record is; but if nothing
// can be read, that is an error.
func readPieces(f io.ReaderAt, b []byte, pos int64) ([]byte, error) {
	n, err := f.ReadAt(b, pos)
	if err == nil || errors.Is(err, io.EOF) {
		return b[:n], nil
	}
	whole, good := err, false
	for i := 0; i < len(b); {
		at := pos + int64(i)
		size := min(len(b)-i, int(sectorBytes-at%sectorBytes))
		piece := b[i : i+size]
		n, err := f.ReadAt(piece, at)
		switch {
		case err == nil:
			good = true
		case errors.Is(err, io.EOF):
			return b[:i+n], nil
		default:
			clear(piece)
		}
		i += size
	}
	if !good {
		return nil, whole
	}
	return b, nil
}
