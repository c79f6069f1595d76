package filestore

import (
	"cmp"
	"log/slog"
)

// want asks for everything up to offset to be made durable.
func (s *Store) want(offset uint64) {
	s.target = max(s.target, offset)
	if s.target > s.durable {
		s.kick()
	}
}

// kick starts the worker, unless it works already.
func (s *Store) kick() {
	if s.working || s.closed {
		return
	}
	s.working = true
	s.wg.Go(s.work)
}

// work does all that needs the medium, except reading, until there is no more
// to do.
func (s *Store) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		s.expire()
		switch {
		case s.untidyNow():
			_ = s.tidy() // it is tried again, and announced
		case s.target > s.durable:
			s.commit()
		case s.flushDue && s.unsynced:
			s.flush()
		default:
			s.watchAge()
			s.round.end(nil) // who joined late, and has what it waits for
			s.round = nil
			s.cursorDue, s.flushDue, s.working = false, false, false
			return
		}
		s.announce()
	}
	s.working = false
}

// untidyNow reports whether there is something to tidy that cannot wait.
func (s *Store) untidyNow() bool {
	return len(s.garbage) > 0 || s.shed || s.cursorDue && (s.cursor != s.released || s.probe == probeWanted)
}

// told is what the log has been told.
type told struct {
	failing bool
	dropped uint64
	losing  bool
}

// announce logs what has changed: once when the medium begins to fail and when
// it works again, and once when the store begins to drop records.
func (s *Store) announce() {
	failure, was := cmp.Or(s.failure, s.untidy, s.unread), s.told
	losing := s.dropped > was.dropped || was.losing && s.released+1 < s.next
	s.told = told{failing: failure != nil, dropped: s.dropped, losing: losing}
	if s.told == was {
		return
	}
	dropped := s.dropped
	s.mu.Unlock()
	defer s.mu.Lock()
	log := s.cfg.Logger.With(slog.String("dir", s.cfg.Dir))
	switch {
	case failure != nil && !was.failing:
		log.Warn("event store: the medium fails, records stay in memory or in their files", slog.Any("error", failure))
	case failure == nil && was.failing:
		log.Info("event store: the medium works again")
	}
	if losing && !was.losing {
		log.Warn("event store: records are lost to a limit or to damage", slog.Uint64("lost", dropped))
	}
}
