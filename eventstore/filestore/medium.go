package filestore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A medium is where segments are written to. It is used by one goroutine at a
// time.
type medium struct {
	dir    disk.Dir
	file   disk.File // of the segment that was written last, or nil
	seg    *segment
	blocks []block // memory for the next job
}

// A block is a piece of a segment that is to be written.
type block struct {
	chunk *chunk
	pos   int64
	data  []byte
}

// An unreliableError says that it is unknown what a file holds.
type unreliableError struct{ error }

func (e unreliableError) Unwrap() error { return e.error }

// write writes blocks to the file of g and makes them durable.
func (m *medium) write(g *segment, create bool, blocks []block) error {
	if err := m.open(g, create); err != nil {
		return fmt.Errorf("segment %s: %w", g.name(), err)
	}
	err := m.force(create, blocks)
	if err != nil {
		return fmt.Errorf("segment %s: %w", g.name(), err)
	}
	return nil
}

func (m *medium) force(create bool, blocks []block) error {
	for _, b := range blocks {
		if _, err := m.file.WriteAt(b.data, b.pos); disk.IsFull(err) {
			return err // the same place is written again
		} else if err != nil {
			return unreliableError{err}
		}
	}
	if err := m.file.Sync(); err != nil {
		return unreliableError{err}
	}
	if !create {
		return nil
	}
	if err := m.dir.Sync(); err != nil {
		return unreliableError{err}
	}
	return nil
}

// open makes g the segment that is written to.
func (m *medium) open(g *segment, create bool) error {
	if m.seg == g && !create {
		return nil
	}
	_ = m.close() // it is durable, or given up
	var f disk.File
	var err error
	if create {
		f, err = m.dir.Create(g.name())
	} else {
		f, err = m.dir.Open(g.name())
	}
	if err != nil {
		return err
	}
	m.file, m.seg = f, g
	if create {
		_, err = f.WriteAt(header(segmentMagic, g.first), 0)
	}
	return err
}

// close closes the file that is open, if one is.
func (m *medium) close() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file, m.seg = nil, nil
	return f.Close()
}

// remove removes files, and returns the names of those that are still there.
func (m *medium) remove(names []string) (left []string, err error) {
	for _, name := range names {
		e := m.dir.Remove(name)
		if e != nil && !errors.Is(e, fs.ErrNotExist) {
			left = append(left, name)
			err = errors.Join(err, e)
		}
	}
	return left, err
}
