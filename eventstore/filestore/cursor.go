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
