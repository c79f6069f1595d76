package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// ErrPower is what a Medium returns to a store that was open on it when the
// power was cut.
var ErrPower = errors.New("storetest: no power")

var errInUse = errors.New("storetest: the medium is in use")

// A Medium is a simulated disk for testing what survives a loss of power. It
// holds files in memory, and forgets at a Crash what was not synced: contents,
// sizes and names. Open opens a filestore.Store on it. The zero value is an
// empty disk. All methods may be called concurrently.
//
// It is as unforgiving as POSIX allows: the name of a new file, and the effect
// of a rename or removal, last only after a sync of the folder, and what a
// failed sync should have written is not written by a later one either.
type Medium struct {
	mu       sync.Mutex
	live     map[string]*inode
	durable  map[string]*inode
	power    *power // of the store that has it open, or nil
	store    *filestore.Store
	leftover Leftover
	ops      int
	reads    int
	cutAt    int // of ops; 0: never
	faults
}

// power is the power of one opening of the medium.
type power struct {
	off chan struct{}
	cut bool
}

// Open opens a store that holds what the medium holds. A second store, or a
// medium that fails, makes it panic.
func (m *Medium) Open() eventstore.EventStore {
	s, err := m.OpenConfig(filestore.Config{})
	if err != nil {
		panic(err)
	}
	return s
}

// OpenConfig is Open with a configuration, of which Dir is not used.
func (m *Medium) OpenConfig(cfg filestore.Config) (*filestore.Store, error) {
	d, err := m.mount()
	if err != nil {
		return nil, err
	}
	cfg.Dir = "simulated disk"
	s, err := filestore.OpenOn(d, cfg)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store = s
	return s, nil
}

// Repair repairs the files on the medium, as filestore.Repair does.
func (m *Medium) Repair(cfg filestore.Config) (filestore.Repaired, error) {
	d, err := m.mount()
	if err != nil {
		return filestore.Repaired{}, err
	}
	return filestore.RepairOn(d, cfg, nil)
}

func (m *Medium) mount() (*simDir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.power != nil {
		return nil, errInUse
	}
	m.format()
	m.power = &power{off: make(chan struct{})}
	return &simDir{m, m.power}, nil
}

// Crash cuts the power: the open store stops working, and what was not synced
// is gone. It closes the store, and returns when the medium can be opened again.
func (m *Medium) Crash() {
	m.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
}

// stop cuts the power and closes the store.
func (m *Medium) stop() {
	m.mu.Lock()
	m.cutPower()
	s := m.store
	m.store, m.power, m.cutAt = nil, nil, 0
	m.mu.Unlock()
	if s != nil {
		_ = s.Close() // cannot succeed without power
	}
}

func (m *Medium) cutPower() {
	if p := m.power; p != nil && !p.cut {
		p.cut = true
		close(p.off)
	}
}

// CutAfter cuts the power in the middle of the nth operation from now on that
// changes or syncs something. Crash, later, shows what is left.
func (m *Medium) CutAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cutAt = m.ops + n
}

// Operations returns the number of operations so far that have changed or
// synced something.
func (m *Medium) Operations() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

// Reads returns the number of times that files were opened, listed or read.
func (m *Medium) Reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// Files returns the sizes of the files on the medium.
func (m *Medium) Files() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	sizes := map[string]int{}
	for name, n := range m.live {
		sizes[name] = len(n.data)
	}
	return sizes
}

// String describes what is on the medium, for messages of failed tests.
func (m *Medium) String() string { return fmt.Sprint(m.Files()) }

// ReadFile returns the contents of a file, and whether there is one.
func (m *Medium) ReadFile(name string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.live[name]
	if n == nil {
		return nil, false
	}
	return slices.Clone(n.data), true
}

// WriteFile puts a file on the medium, durably.
func (m *Medium) WriteFile(name string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.format()
	n := &inode{data: slices.Clone(content), durable: slices.Clone(content), modified: time.Now()}
	m.live[name], m.durable[name] = n, n
}

// format makes the zero value an empty disk.
func (m *Medium) format() {
	if m.live == nil {
		m.live, m.durable = map[string]*inode{}, map[string]*inode{}
	}
}
