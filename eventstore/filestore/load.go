package filestore

import (
	"errors"
	"fmt"
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

// load reads the chunk with the record of an offset into memory, or notes that
// the record is damaged. It gives up the lock meanwhile.
func (s *Store) load(offset uint64) error {
	i := slices.IndexFunc(s.segments, func(g *segment) bool { return offset < g.next })
	g := s.segments[i]
	start := place{g, g.first, headerSize}
	if s.place.seg == g && s.place.offset <= offset {
		start = s.place
	}
	r := reader{limit: g.synced, end: min(g.next, s.durable+1), chunk: s.memory.get(s.memory.chunkBytes)}
	s.mu.Unlock()
	lost, err := r.readAt(s.dir, start, offset)
	s.mu.Lock()
	if g.retired {
		s.memory.put(r.chunk)
		return nil
	}
	if err != nil {
		return fmt.Errorf("filestore: peek: segment %s: %w", g.name(), err)
	}
	s.place = r.place
	if lost.hi == 0 {
		s.keep(r.chunk)
		return nil
	}
	s.memory.put(r.chunk)
	if s.skip(lost) {
		s.mu.Unlock()
		defer s.mu.Lock()
		s.cfg.Logger.Warn("event store: damaged records skipped", slog.String("dir", s.cfg.Dir),
			slog.String("segment", g.name()), slog.Uint64("first", lost.lo), slog.Uint64("last", lost.hi))
	}
	return nil
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
	limit int64  // the size of the file that counts
	end   uint64 // the offset after the last record that counts
	chunk *chunk // what was read
	place place  // where it ends
}

// readAt reads from the file until r.chunk holds the record of an offset. It
// returns the damaged records instead if that is one of them.
func (r *reader) readAt(d disk.Dir, start place, offset uint64) (lost span, err error) {
	r.place = start
	f, err := d.Open(start.seg.name())
	if errors.Is(err, fs.ErrNotExist) {
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
	size := min(r.limit-r.place.pos, int64(cap(c.buf)))
	if c.buf, err = readPieces(f, c.buf[:max(0, size)], r.place.pos); err != nil {
		return r.resume(f)
	}
	if need := recordSize(c.buf); need > int64(cap(c.buf)) && need <= r.limit-r.place.pos {
		if c.buf, err = readPieces(f, make([]byte, need), r.place.pos); err != nil {
			return r.resume(f)
		}
	}
	n, next := validPrefix(c.buf, r.place.offset, r.end)
	if n == 0 {
		return r.resume(f)
	}
	c.seg, c.pos, c.first, c.next = r.place.seg, r.place.pos, r.place.offset, next
	c.buf = c.buf[:n]
	c.written = n
	r.place.offset, r.place.pos = next, r.place.pos+int64(n)
	return span{}, nil
}

// resume moves r.place from a damaged record to the next intact one, or to the
// end.
func (r *reader) resume(f disk.File) (lost span, err error) {
	rest, err := readPieces(f, make([]byte, max(0, r.limit-r.place.pos)), r.place.pos)
	if err != nil {
		return span{}, err
	}
	lost = span{r.place.offset, r.end - 1}
	pos, offset, ok := findRecord(rest, r.place.offset, r.end)
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
	for i := 0; i < len(b); i += sectorBytes {
		piece := b[i:min(i+sectorBytes, len(b))]
		n, err := f.ReadAt(piece, pos+int64(i))
		switch {
		case err == nil:
			good = true
		case errors.Is(err, io.EOF):
			return b[:i+n], nil
		default:
			clear(piece)
		}
	}
	if !good {
		return nil, whole
	}
	return b, nil
}
