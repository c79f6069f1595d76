package storetest

import (
	"cmp"
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

var (
	_ disk.Dir  = (*simDir)(nil)
	_ disk.File = (*simFile)(nil)
)

// An inode is a file of a Medium, whatever its name.
type inode struct {
	data     []byte   // as a reader sees it
	durable  []byte   // as it is after a Crash
	dirty    []extent // where they differ and the next sync makes them equal
	modified time.Time
}

type extent struct {
	from, to int
	order    int // of all writes to the medium
}

// sync copies what is dirty.
func (n *inode) sync() {
	for _, e := range n.dirty {
		n.flush(e.from, e.to)
	}
	n.dirty = nil
}

func (n *inode) flush(from, to int) {
	to = min(to, len(n.data))
	if grow := to - len(n.durable); grow > 0 {
		n.durable = append(n.durable, make([]byte, grow)...)
	}
	if from < to {
		copy(n.durable[from:to], n.data[from:to])
	}
}

func copyNames(names map[string]*inode) map[string]*inode { return maps.Clone(names) }

// begin counts an operation, and returns an error if there is no power for it.
// The last one before the power fails may be done in part.
func (m *Medium) begin(p *power) (partly bool, err error) {
	if p.cut {
		return false, ErrPower
	}
	if err := cmp.Or(m.failWrite, m.gone); err != nil {
		return false, err
	}
	m.ops++
	if m.cutAt > 0 && m.ops >= m.cutAt {
		m.cutPower()
		return true, ErrPower
	}
	return false, nil
}

// beginSync is begin for a sync, which may be held and may fail.
func (m *Medium) beginSync(p *power) error {
	m.wait(p, &m.heldSync)
	if _, err := m.begin(p); err != nil {
		return err
	}
	return m.failSync
}

// beginRead is begin for what changes nothing.
func (m *Medium) beginRead(p *power) error {
	m.wait(p, &m.heldRead)
	if p.cut {
		return ErrPower
	}
	m.reads++
	return m.gone
}

// wait waits until h does not hold any more, or the power is cut.
func (m *Medium) wait(p *power, h *hold) {
	for h.until != nil && !p.cut {
		until := h.until
		h.waiting++
		m.mu.Unlock()
		select {
		case <-until:
		case <-p.off:
		}
		m.mu.Lock()
		h.waiting--
	}
}

func (m *Medium) used() (sum int64) {
	for _, n := range m.live {
		sum += int64(len(n.data))
	}
	return sum
}

// A simDir is a Medium as one store sees it.
type simDir struct {
	m *Medium
	p *power
}

func (d *simDir) List() ([]disk.Entry, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.m.beginRead(d.p); err != nil {
		return nil, err
	}
	var entries []disk.Entry
	for _, name := range slices.Sorted(maps.Keys(d.m.live)) {
		n := d.m.live[name]
		entries = append(entries, disk.Entry{Name: name, Size: int64(len(n.data)), Modified: n.modified})
	}
	return entries, nil
}

func (d *simDir) Create(name string) (disk.File, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, err := d.m.begin(d.p); err != nil {
		return nil, err
	}
	n := &inode{modified: time.Now()}
	d.m.live[name] = n
	return &simFile{d, n, name}, nil
}

func (d *simDir) Open(name string) (disk.File, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.m.beginRead(d.p); err != nil {
		return nil, err
	}
	return d.find(name)
}

func (d *simDir) Edit(name string) (disk.File, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.p.cut {
		return nil, ErrPower
	}
	if err := cmp.Or(d.m.failWrite, d.m.gone); err != nil {
		return nil, err
	}
	return d.find(name)
}

func (d *simDir) Held() error { return d.Check() }

func (d *simDir) find(name string) (disk.File, error) {
	n := d.m.live[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &simFile{d, n, name}, nil
}

func (d *simDir) Check() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.m.gone
}

func (d *simDir) Rename(from, to string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, err := d.m.begin(d.p); err != nil {
		return err
	}
	n := d.m.live[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(d.m.live, from)
	d.m.live[to] = n
	return nil
}

func (d *simDir) Remove(name string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, err := d.m.begin(d.p); err != nil {
		return err
	}
	if d.m.live[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.m.live, name)
	return nil
}

func (d *simDir) Sync() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.m.beginSync(d.p); err != nil {
		return err
	}
	d.m.durable = copyNames(d.m.live)
	return nil
}

func (d *simDir) Close() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.m.power == d.p {
		d.m.power, d.m.store = nil, nil
	}
	return nil
}

// A simFile is an open file of a Medium.
type simFile struct {
	d    *simDir
	n    *inode
	name string // when it was opened
}

func (f *simFile) ReadAt(b []byte, off int64) (int, error) {
	m := f.d.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.beginRead(f.d.p); err != nil {
		return 0, err
	}
	if m.failRead != nil {
		if err := m.failRead(f.name, off, len(b)); err != nil {
			return 0, err
		}
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) WriteAt(b []byte, off int64) (int, error) {
	m := f.d.m
	m.mu.Lock()
	defer m.mu.Unlock()
	partly, err := m.begin(f.d.p)
	if partly {
		b = b[:len(b)/2]
	} else if err != nil {
		return 0, err
	}
	end := int(off) + len(b)
	if room := m.capacity - m.used(); m.capacity > 0 && int64(end-len(f.n.data)) > room {
		err = syscall.ENOSPC
		end = max(int(off), len(f.n.data)+int(max(0, room)))
		end = min(end, int(off)+len(b))
		b = b[:end-int(off)]
	}
	if len(b) == 0 {
		return 0, err
	}
	if grow := end - len(f.n.data); grow > 0 {
		f.n.data = append(f.n.data, make([]byte, grow)...)
	}
	copy(f.n.data[off:], b)
	f.n.dirty = append(f.n.dirty, extent{int(off), end, m.ops})
	f.n.modified = time.Now()
	return len(b), err
}

func (f *simFile) Truncate(size int64) error {
	f.d.m.mu.Lock()
	defer f.d.m.mu.Unlock()
	if _, err := f.d.m.begin(f.d.p); err != nil {
		return err
	}
	f.n.data = f.n.data[:min(int(size), len(f.n.data))]
	f.n.durable = f.n.durable[:min(int(size), len(f.n.durable))]
	return nil
}

func (f *simFile) Sync() error {
	m := f.d.m
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.beginSync(f.d.p)
	if err == nil {
		f.n.sync()
	} else if !f.d.p.cut {
		f.n.dirty = nil // the error was reported, and that was it
	}
	return err
}

func (f *simFile) Close() error { return nil }
