package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// recover finds out what the folder holds.
func (s *Store) recover() error {
	entries, err := s.dir.List()
	if err != nil {
		return err
	}
	s.cursor, err = loadCursor(s.dir)
	if errors.Is(err, errNewVersion) {
		return fmt.Errorf("cursor: %w", err)
	}
	if err != nil {
		s.cfg.Logger.Warn("event store: cursor lost, reading starts at the oldest record",
			slog.String("dir", s.cfg.Dir), slog.Any("error", err))
	}
	if err := s.findSegments(entries); err != nil {
		return err
	}
	s.next = s.cursor + 1
	var lost []span
	usable := false
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		if usable, lost, err = s.recoverLast(last); err != nil {
			return fmt.Errorf("segment %s: %w", last.name(), err)
		}
		s.next = max(s.next, last.next)
		usable = usable && s.next == last.next
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		g.estimatePayload()
		s.total += g.size()
	}
	if !usable {
		s.rotate()
	}
	s.durable = s.next - 1
	s.acked = max(s.cursor, s.segments[0].first-1)
	s.release(s.acked)
	for _, l := range lost {
		s.skip(l)
	}
	return nil
}

// findSegments lists the segments, with what their headers say.
func (s *Store) findSegments(entries []disk.Entry) error {
	for _, e := range entries {
		if e.Name == cursorTemp || strings.HasSuffix(e.Name, repairSuffix) {
			s.garbage = append(s.garbage, trash{name: e.Name})
		}
		if isAside(e.Name) {
			s.aside = append(s.aside, e)
		}
		first, ok := parseSegmentName(e.Name)
		if !ok {
			continue
		}
		if n := len(s.segments); n > 0 {
			s.segments[n-1].next = first
		}
		g := &segment{first: first, next: first, written: e.Size, newest: e.Modified, created: true}
		if g.newest.Year() < 2020 {
			g.newest = time.Now()
		}
		s.segments = append(s.segments, g)
		l, err := identify(s.dir, g)
		if err == nil {
			err = s.format.readable(l)
		}
		if err != nil && !errors.Is(err, errBadHeader) {
			return fmt.Errorf("segment %s: %w", g.name(), err)
		}
	}
	return nil
}

// identify sets how the file of g is to be read, and returns what its header
// says. Without one that can be read, which is an errBadHeader, it finds out by
// the first record.
func identify(d disk.Dir, g *segment) (label, error) {
	g.head, g.packed = headerSize, true
	file, err := d.Open(g.name())
	if err != nil {
		return label{}, fmt.Errorf("%w: %w", errBadHeader, err)
	}
	b, err := readPieces(file, make([]byte, min(g.written, maxChunkBytes)), 0)
	_ = file.Close() // it was only read
	if err != nil {
		return label{}, fmt.Errorf("%w: %w", errBadHeader, err)
	}
	l, err := readLabel(b, g.first)
	switch {
	case err != nil && len(b) > packedStart && intact(b[packedStart:], g.first):
		g.head = packedStart
	case err == nil && l.version == packedVersion:
		g.head = packedStart
	case err == nil:
		g.packed = false
	}
	return l, err
}

// recoverLast reads the newest segment, removes what a crash has left of an
// incomplete record, and makes the rest durable. It reports whether g can be
// appended to, and which of its records are damaged.
func (s *Store) recoverLast(g *segment) (usable bool, lost []span, err error) {
	f, err := s.dir.Edit(g.name())
	if err != nil {
		return false, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, lost, err := scan(f, s.format, g)
	if err != nil {
		s.cfg.Logger.Warn("event store: newest segment cannot be read", slog.String("dir", s.cfg.Dir),
			slog.String("segment", g.name()), slog.Any("error", err))
		g.next, g.damaged = g.first+mostRecords(int(g.written), g.packed), true // no offset is used again
		return false, nil, nil
	}
	size := g.written
	torn := size
	if end.pos <= size { // else not even the header is complete
		data, err := dataEnd(f, end.pos, size)
		if err != nil {
			return false, nil, err
		}
		torn = data - end.pos
	}
	g.next, g.written, g.damaged = end.offset, end.pos, len(lost) > 0
	if torn > 0 {
		s.cfg.Logger.Warn("event store: incomplete record removed", slog.String("dir", s.cfg.Dir),
			slog.String("segment", g.name()), slog.Int64("bytes", torn))
	}
	same := hasHeader(f, s.format.segmentHeader(g.first))
	if !same && g.empty() {
		s.begin(g)
		return true, nil, nil
	}
	if size > end.pos {
		if err := f.Truncate(end.pos); err != nil {
			return false, nil, err
		}
	}
	return same, lost, f.Sync()
}

// begin makes g a segment whose file is to be written anew.
func (s *Store) begin(g *segment) {
	fresh := s.format.newSegment(g.first)
	g.head, g.written, g.packed, g.created = fresh.head, fresh.written, fresh.packed, false
}

// hasHeader reports whether f starts with a header.
func hasHeader(f disk.File, header []byte) bool {
	b, err := readPieces(f, make([]byte, len(header)), 0)
	return err == nil && bytes.Equal(b, header)
}

// newScan returns a reader of all that the file of g holds.
func newScan(form *format, g *segment) *reader {
	r := &reader{format: form, limit: g.written, end: math.MaxUint64, packed: g.packed, lenient: true}
	if g.next > g.first {
		r.end = g.next
	}
	r.place = place{g, g.first, g.head}
	r.chunk = &chunk{buf: make([]byte, 0, maxChunkBytes)}
	return r
}

// scan returns the end of the last intact record of g, which is the newest
// segment, and the damaged ones before.
func scan(f disk.File, form *format, g *segment) (end place, lost []span, err error) {
	r := newScan(form, g)
	for r.place.pos < r.limit {
		end = r.place
		damaged, err := r.next(f)
		if err != nil {
			return end, nil, err
		}
		if r.place.offset == r.end {
			return end, lost, nil
		}
		if damaged.hi > 0 {
			lost = append(lost, damaged)
		}
	}
	return r.place, lost, nil
}
