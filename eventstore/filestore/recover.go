package filestore

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
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
	if err != nil {
		s.cfg.Logger.Warn("event store: cursor lost, reading starts at the oldest record",
			slog.String("dir", s.cfg.Dir), slog.Any("error", err))
	}
	s.findSegments(entries)
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
		s.total += g.size
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

func (s *Store) findSegments(entries []disk.Entry) {
	for _, e := range entries {
		if e.Name == cursorTemp {
			s.garbage = append(s.garbage, e.Name)
		}
		first, ok := parseSegmentName(e.Name)
		if !ok {
			continue
		}
		if n := len(s.segments); n > 0 {
			s.segments[n-1].next = first
		}
		g := &segment{first: first, next: first, size: e.Size, synced: e.Size, newest: e.Modified, created: true}
		if g.newest.Year() < 2020 {
			g.newest = time.Now()
		}
		s.segments = append(s.segments, g)
	}
}

// recoverLast reads the newest segment, removes what a crash has left of an
// incomplete record, and makes the rest durable. It reports whether g can be
// appended to, and which of its records are damaged.
func (s *Store) recoverLast(g *segment) (usable bool, lost []span, err error) {
	f, err := s.dir.Open(g.name())
	if err != nil {
		return false, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head, err := readPieces(f, make([]byte, headerSize), 0)
	if err != nil {
		return false, nil, err
	}
	first, bad := parseHeader(head, segmentMagic)
	if errors.Is(bad, errNewVersion) {
		return false, nil, bad
	}
	end, lost, err := s.scan(f, g)
	if err != nil {
		return false, nil, err
	}
	torn := g.size - end.pos
	if torn < 0 { // not even the header is complete
		torn = g.size
	}
	g.next, g.size, g.synced = end.offset, end.pos, end.pos
	if torn > 0 {
		s.cfg.Logger.Warn("event store: incomplete record removed", slog.String("dir", s.cfg.Dir),
			slog.String("segment", g.name()), slog.Int64("bytes", torn))
	}
	if bad == nil && first != g.first {
		bad = errBadHeader
	}
	if bad != nil && g.empty() {
		g.created = false // it is written anew
		return true, nil, nil
	}
	if torn > 0 {
		if err := f.Truncate(end.pos); err != nil {
			return false, nil, err
		}
	}
	return bad == nil, lost, f.Sync()
}

// scan returns the end of the last intact record of g, and the damaged ones
// before.
func (s *Store) scan(f disk.File, g *segment) (end place, lost []span, err error) {
	r := reader{limit: g.size, end: math.MaxUint64, place: place{g, g.first, headerSize}}
	r.chunk = &chunk{buf: make([]byte, 0, maxChunkBytes)}
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
