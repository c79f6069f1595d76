package tbtest

import (
	"sync"
	"time"
)

// faults are what is to go wrong.
type faults struct {
	mu            sync.Mutex
	down          bool
	delay         time.Duration
	window        int // of acknowledgements that are reordered
	lose          int
	dropAcks      int
	closeAfter    int // telemetry publications; 0: never
	traps         int
	trapAfter     time.Duration
	backend       bool
	connects      int // to refuse
	loseChunks    int
	corruptChunks int
	frozen        chan struct{}
}

// SetLink takes the network down, which ends all connections and refuses new
// ones, or up again.
func (s *Server) SetLink(up bool) {
	s.faults.mu.Lock()
	s.faults.down = !up
	s.faults.mu.Unlock()
	if !up {
		s.Cut()
	}
}

// Cut ends all connections. New ones are taken.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for se := range s.sessions {
		se.cut()
	}
}

// Freeze makes the server stop reading and writing, with all connections open,
// or go on.
func (s *Server) Freeze(on bool) { s.faults.freeze(on) }

// Delay makes every acknowledgement, and the answer that follows it, come d
// after its message.
func (s *Server) Delay(d time.Duration) { s.faults.set(func(f *faults) { f.delay = d }) }

// Reorder makes the server send each window of acknowledgements in the opposite
// order. Those that wait for others longer than 100 milliseconds are sent without
// them. A window of 0 or 1 keeps the order.
func (s *Server) Reorder(window int) { s.faults.set(func(f *faults) { f.window = window }) }

// Lose makes the server lose the next publications of telemetry or attributes,
// and then accept some more without acknowledging them.
func (s *Server) Lose(publications, acks int) {
	s.faults.set(func(f *faults) { f.lose, f.dropAcks = publications, acks })
}

// DropAcks makes the server accept the next n publications of telemetry or
// attributes without acknowledging them.
func (s *Server) DropAcks(n int) { s.Lose(0, n) }

// CloseAfter makes the server end the connection when it has accepted n more
// publications of telemetry or attributes; the last is not acknowledged.
func (s *Server) CloseAfter(n int) { s.faults.set(func(f *faults) { f.closeAfter = n }) }

// Trap makes the server acknowledge the next n publications of telemetry or
// attributes with success, store nothing of them, and end their connections a
// while after each, as the platform does to clients of MQTT 3.1.1 that exceed a
// rate limit.
func (s *Server) Trap(n int, after time.Duration) {
	s.faults.set(func(f *faults) { f.traps, f.trapAfter = n, after })
}

// FailBackend makes what is behind the platform's MQTT transport fail, or work
// again. Connections are refused; messages of gateways are acknowledged with
// reason 128, those of devices are not, and both end the connection.
func (s *Server) FailBackend(on bool) { s.faults.set(func(f *faults) { f.backend = on }) }

// RefuseConnects makes the server refuse the next n connections because there
// were too many.
func (s *Server) RefuseConnects(n int) { s.faults.set(func(f *faults) { f.connects = n }) }

// LoseChunks makes the server acknowledge the next n requests for chunks of
// firmware or software, and not answer them.
func (s *Server) LoseChunks(n int) { s.faults.set(func(f *faults) { f.loseChunks = n }) }

// CorruptChunks makes the server answer the next n requests for chunks with one
// byte changed.
func (s *Server) CorruptChunks(n int) { s.faults.set(func(f *faults) { f.corruptChunks = n }) }

func (f *faults) set(change func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faults) isDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}

func (f *faults) ackDelay() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.delay
}

func (f *faults) reorderWindow() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.window
}

func (f *faults) backendDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backend
}

// refuseConnect returns the code of CONNACK if a connection is to be refused.
func (f *faults) refuseConnect(version byte) byte {
	const unavailable = 3
	f.mu.Lock()
	defer f.mu.Unlock()
	var reason byte
	switch {
	case f.backend:
		reason = reasonUnavailable
	case f.connects > 0:
		f.connects--
		reason = reasonConnectRate
	default:
		return 0
	}
	if version != 5 {
		return unavailable
	}
	return reason
}

// nextChunk decides on one chunk.
func (f *faults) nextChunk() (lose, corrupt bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loseChunks > 0 {
		f.loseChunks--
		return true, false
	}
	if f.corruptChunks > 0 {
		f.corruptChunks--
		return false, true
	}
	return false, false
}

func (f *faults) freeze(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case on && f.frozen == nil:
		f.frozen = make(chan struct{})
	case !on && f.frozen != nil:
		close(f.frozen)
		f.frozen = nil
	}
}

// thaw returns a channel that is closed when the server is not frozen any more,
// or nil.
func (f *faults) thaw() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frozen
}

// A fate is what happens to a publication of data.
type fate struct {
	kind  fateKind
	after time.Duration
}

type fateKind uint8

const (
	accepted fateKind = iota
	lost
	unacknowledged
	acceptedAndClosed
	trapped
)

// next decides on one publication of data.
func (f *faults) next() fate {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.lose > 0:
		f.lose--
		return fate{kind: lost}
	case f.dropAcks > 0:
		f.dropAcks--
		return fate{kind: unacknowledged}
	case f.traps > 0:
		f.traps--
		return fate{trapped, f.trapAfter}
	case f.closeAfter > 0:
		f.closeAfter--
		if f.closeAfter == 0 {
			return fate{kind: acceptedAndClosed}
		}
	}
	return fate{}
}
