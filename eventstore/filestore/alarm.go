package filestore

import "time"

// An alarm calls a function once, a while after it was armed. The store waits
// for the call when it is closed.
type alarm struct {
	call  func()
	timer *time.Timer
	armed bool
}

// arm arms a, unless it is armed already.
func (s *Store) arm(a *alarm, d time.Duration) {
	if a.armed || s.closed {
		return
	}
	a.armed = true
	s.wg.Add(1)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.call)
		return
	}
	a.timer.Reset(d)
}

// disarm cancels a call that has not begun.
func (s *Store) disarm(a *alarm) {
	if a.armed && a.timer.Stop() {
		a.armed = false
		s.wg.Done()
	}
}

// onRetry makes durable what nobody waits for, and tries again what failed.
func (s *Store) onRetry() {
	defer s.wg.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retry.armed = false
	s.cursorDue = true
	s.flushDue = s.cfg.Durability == Interval || s.failure != nil
	s.garbage, s.stuck = append(s.garbage, s.stuck...), nil
	s.untidy = nil
	s.want(s.next - 1)
	s.kick()
}

// onExpiry makes the worker look for segments that are too old.
func (s *Store) onExpiry() {
	defer s.wg.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiry.armed = false
	s.kick()
}
