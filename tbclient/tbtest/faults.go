package tbtest

import (
	"sync"
	"time"
)

// faults are what is to go wrong.
type faults struct {
	mu         sync.Mutex
	down       bool
	delay      time.Duration
	lose       int
	dropAcks   int
	closeAfter int // telemetry publications; 0: never
	frozen     chan struct{}
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

// Delay makes every acknowledgement come d after its message.
func (s *Server) Delay(d time.Duration) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.delay = d
}

// Lose makes the server lose the next publications of telemetry or attributes,
// and then accept some more without acknowledging them.
func (s *Server) Lose(publications, acks int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.lose, s.faults.dropAcks = publications, acks
}

// DropAcks makes the server accept the next n publications of telemetry or
// attributes without acknowledging them.
func (s *Server) DropAcks(n int) { s.Lose(0, n) }

// CloseAfter makes the server end the connection when it has accepted n more
// publications of telemetry or attributes; the last is not acknowledged.
func (s *Server) CloseAfter(n int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.closeAfter = n
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
type fate uint8

const (
	accepted fate = iota
	lost
	unacknowledged
	acceptedAndClosed
)

// next decides on one publication of data.
func (f *faults) next() fate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lose > 0 {
		f.lose--
		return lost
	}
	if f.dropAcks > 0 {
		f.dropAcks--
		return unacknowledged
	}
	if f.closeAfter > 0 {
		f.closeAfter--
		if f.closeAfter == 0 {
			return acceptedAndClosed
		}
	}
	return accepted
}
