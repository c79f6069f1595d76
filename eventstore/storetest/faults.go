package storetest

// faults are what is wrong with a Medium.
type faults struct {
	capacity  int64 // 0: no limit
	failSync  error
	failWrite error
	failRead  func(name string, pos int64, size int) error
	gone      error
	heldSync  hold
	heldRead  hold
}

// A hold makes operations wait.
type hold struct {
	until   chan struct{} // closed at its end; nil: it does not hold
	waiting int
}

// SetCapacity makes the medium full, as an operating system reports it, at so
// many bytes. Zero means no limit.
func (m *Medium) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// FailSync makes syncs fail with err, or work again if err is nil.
func (m *Medium) FailSync(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failSync = err
}

// FailWrite makes everything that changes the medium, and syncs, fail with err,
// as if it had become read-only, or work again if err is nil.
func (m *Medium) FailWrite(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failWrite = err
}

// FailRead makes f decide which reads fail, and how. Nil means none.
func (m *Medium) FailRead(f func(name string, pos int64, size int) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failRead = f
}

// Detach makes the folder disappear: everything fails with err until it is
// called with nil.
func (m *Medium) Detach(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = err
}

// HoldSync makes syncs wait until the returned function is called.
func (m *Medium) HoldSync() (release func()) { return m.hold(&m.heldSync) }

// HoldRead makes reads wait until the returned function is called.
func (m *Medium) HoldRead() (release func()) { return m.hold(&m.heldRead) }

func (m *Medium) hold(h *hold) (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.until == nil {
		h.until = make(chan struct{})
	}
	until := h.until
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if h.until == until {
			close(until)
			h.until = nil
		}
	}
}

// Waiting returns the number of syncs and reads that HoldSync and HoldRead hold.
// A store syncs once for all who wait.
func (m *Medium) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heldSync.waiting + m.heldRead.waiting
}
