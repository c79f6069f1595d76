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
	format *format
	file   disk.File // of the segment that was written last, or nil
	seg    *segment
	blocks []block // memory for the next job
	packed []byte  // memory for the next container

	end    int64  // of what was written to file
	filled int64  // end of the zeros that file was prepared with
	plain  bool   // file is not to be prepared
	zeros  []byte // memory for preparing

	later  bool        // what is not forced is forced by flush
	unsure bool        // file was written to since it was last forced
	names  bool        // a file was created since the folder was last forced
	behind []disk.File // files of older segments that are still to be forced
}

// A block is a piece of a segment that is to be written: n records from the
// offset first on.
type block struct {
	chunk *chunk
	first uint64
	n     uint64
	data  []byte
}

// An unreliableError says that it is unknown what a file holds.
type unreliableError struct{ error }

func (e unreliableError) Unwrap() error { return e.error }

// write writes the blocks of j to their file and, if j says so, forces them to
// the medium. It returns the size of what it wrote.
func (m *medium) write(j job) (size int64, err error) {
	if j.create {
		err = m.dir.Check() // a file is not to be begun in another folder
	}
	if err == nil {
		err = m.open(j.seg, j.create, j.pos)
	}
	if err == nil {
		size, err = m.append(j.pos, j.blocks)
	}
	if err == nil && j.force {
		m.prepare(size, j.room)
		err = m.force()
	}
	if err == nil {
		err = m.dir.Held() // else what was written is gone already
	}
	if err != nil {
		return 0, fmt.Errorf("segment %s: %w", j.seg.name(), err)
	}
	return size, nil
}

// append writes blocks from the position pos on.
func (m *medium) append(pos int64, blocks []block) (size int64, err error) {
	m.unsure = true
	for _, b := range blocks {
		data := b.data
		if m.format.packs() {
			if data, err = m.format.pack(m.packed[:0], b.first, b.n, b.data); err != nil {
				return 0, err
			}
			m.packed = data
		}
		if _, err := m.file.WriteAt(data, pos+size); disk.IsFull(err) {
			return 0, err // the same place is written again
		} else if err != nil {
			return 0, unreliableError{err}
		}
		size += int64(len(data))
	}
	m.end = pos + size
	if cap(m.packed) > 2*maxChunkBytes {
		m.packed = nil
	}
	return size, nil
}

// force makes the file that is open, and its name, durable.
func (m *medium) force() error {
	if err := m.file.Sync(); err != nil {
		return unreliableError{err}
	}
	m.unsure = false
	if !m.names {
		return nil
	}
	if err := m.dir.Sync(); err != nil {
		return unreliableError{err}
	}
	m.names = false
	return nil
}

// maxBehind bounds how many files are open because they are still to be forced.
const maxBehind = 8

// open makes g the segment that is written to, from pos on.
func (m *medium) open(g *segment, create bool, pos int64) error {
	if m.seg == g && !create {
		return nil
	}
	if err := m.leave(); err != nil {
		return err
	}
	var f disk.File
	var err error
	if create {
		f, err = m.dir.Create(g.name())
	} else {
		f, err = m.dir.Edit(g.name())
	}
	if err != nil {
		return err
	}
	m.file, m.seg = f, g
	m.end, m.filled, m.plain = pos, pos, false
	if create {
		m.names, m.unsure = true, true
		_, err = f.WriteAt(m.format.segmentHeader(g.first), 0)
	}
	return err
}

// leave closes the file that is open, or puts it off until it is forced.
func (m *medium) leave() error {
	if m.file == nil || !m.unsure || !m.later {
		_ = m.close() // it is durable, or given up, or nobody asks for more
		return nil
	}
	m.behind = append(m.behind, m.file)
	m.file, m.seg, m.unsure = nil, nil, false
	if len(m.behind) <= maxBehind {
		return nil
	}
	f := m.behind[0]
	m.behind = m.behind[1:]
	return errors.Join(f.Sync(), f.Close())
}

// flush forces all that was written to the medium.
func (m *medium) flush() error {
	var errs []error
	for _, f := range m.behind {
		errs = append(errs, f.Sync(), f.Close())
	}
	m.behind = nil
	if m.file != nil && m.unsure {
		m.unsure = false // after a failure it is given up
		errs = append(errs, m.file.Sync())
	}
	if m.names {
		err := m.dir.Sync()
		m.names = err != nil
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		m.names = true // so that the next flush has something to try
		return fmt.Errorf("force to the medium: %w", err)
	}
	return nil
}

// close closes the file that is open, if one is.
func (m *medium) close() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.cut()
	m.file, m.seg, m.unsure = nil, nil, false
	return f.Close()
}

// remove removes files, and returns those that are still there.
func (m *medium) remove(all []trash) (left []trash, err error) {
	for _, t := range all {
		e := m.discard(t)
		if e != nil && !errors.Is(e, fs.ErrNotExist) {
			left = append(left, t)
			err = errors.Join(err, e)
		}
	}
	return left, err
}
