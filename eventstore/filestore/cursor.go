package filestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

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
	names, released := s.garbage, s.released
	s.garbage, s.cursorDue = nil, false
	stale := s.medium.seg != nil && s.medium.seg.retired
	changed := released != s.cursor
	s.mu.Unlock()
	var saving error
	if changed {
		saving = saveCursor(s.dir, released)
	}
	var closing error
	if stale {
		closing = s.medium.close()
	}
	left, removing := s.medium.remove(names)
	s.mu.Lock()

	if saving == nil {
		s.cursor = released
	}
	if s.noSpace && len(left) < len(names) {
		s.want(s.next - 1)
	}
	err := errors.Join(saving, closing, removing)
	s.untidy = err
	if err != nil {
		s.stuck = append(s.stuck, left...)
		s.arm(&s.retry, s.cfg.SyncInterval)
	}
	return err
}

// saveCursor replaces the cursor file, so that there is an intact one at every
// moment.
func saveCursor(d disk.Dir, released uint64) error {
	f, err := d.Create(cursorTemp)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	_, err = f.WriteAt(header(cursorMagic, released), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	if err := d.Rename(cursorTemp, cursorName); err != nil {
		return fmt.Errorf("cursor: %w", err)
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
	return parseHeader(b[:n], cursorMagic)
}
