package request

import (
	"sync"
	"time"
)

// An endpointState is what an endpoint remembers from one poll to the next. Only err
// is read by others than the poll.
type endpointState struct {
	last      time.Time // start of the last poll that was successful
	notBefore time.Time // what the server asked for by Retry-After
	faulty    bool      // a message of the last answer did not convert

	etag, modified string // of the last answer that was taken; empty unless only changes are asked for

	mu  sync.Mutex
	err error // of the last poll
}

func (s *endpointState) begin(last time.Time) {
	s.last, s.notBefore, s.faulty, s.etag, s.modified = last, time.Time{}, false, "", ""
	s.settle(nil)
}

// settle notes how a poll has ended. It reports whether that is a change between
// success and failure.
func (s *endpointState) settle(err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = (s.err != nil) != (err != nil)
	s.err = err
	return changed
}

func (s *endpointState) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// conditions returns the headers that ask only for what has changed.
func (s *endpointState) conditions() map[string]string {
	h := make(map[string]string)
	if s.etag != "" {
		h["If-None-Match"] = s.etag
	}
	if s.modified != "" {
		h["If-Modified-Since"] = s.modified
	}
	return h
}
