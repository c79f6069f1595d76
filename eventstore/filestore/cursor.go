package filestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

const (
	cursorName = "cursor"
	cursorTemp = "cursor.new"
)

// tidy writes the cursor and removes the files that are not needed. The cursor
// goes first, because it alone remembers the offset when no segment is left;
// but it must not keep a full medium from being freed.
func (s *Store) tidy() error {
	all, released := s.garbage, s.released
	s.garbage, s.cursorDue, s.shed = nil, false, false
	stale := s.medium.seg != nil && s.medium.seg.retired
	changed := released != s.cursor || s.probe == probeWanted
	limit, sort := max(0, s.cfg.DamagedBytes), slices.ContainsFunc(all, func(t trash) bool { return t.damaged })
	if s.noSpace && len(s.aside) > 0 {
		limit, sort = 0, true
	}
	s.mu.Unlock()
	var saving, closing, sorting error
	if changed {
		saving = saveCursor(s.dir, released, s.cfg.Durability != None)
	}
	if stale {
		closing = s.medium.close()
	}
	left, removing := s.medium.remove(all)
	var kept aside
	if sort {
		kept, sorting = keepAside(s.dir, limit)
	}
	s.mu.Lock()

	if saving == nil {
		s.cursor = released
		if s.probe == probeWanted {
			s.probe = probePassed
		}
	}
	freed := len(left) < len(all)
	if sort && sorting == nil {
		freed = freed || len(kept) < len(s.aside)
		s.aside = kept
	}
	if s.noSpace && freed {
		s.want(s.next - 1)
	}
	err := errors.Join(saving, closing, removing, sorting)
	s.untidy = err
	if err != nil {
		s.stuck = append(s.stuck, left...)
		s.arm(&s.retry, s.cfg.SyncInterval)
	}
	return err
}

// saveCursor replaces the cursor file, so that there is an intact one at every
// moment.
func saveCursor(d disk.Dir, released uint64, force bool) error {
	f, err := d.Create(cursorTemp)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	_, err = f.WriteAt(header(cursorMagic, plainVersion, released), 0)
	if err == nil && force {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	if err := d.Rename(cursorTemp, cursorName); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	if !force {
		return nil
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	return nil
}

// loadCursor returns the offset in the cursor file, or 0 if there is none.
func loadCursor(d disk.Dir) (uint64, error) {
	f, err := d.Open(cursorName)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	_, offset, err := parseHeader(b[:n], cursorMagic, plainVersion)
	return offset, err
}
