package filestore

import "cmp"

// Condition describes a Store at one moment, beyond what eventstore.Stats says
// of all stores.
type Condition struct {
	// Failure is why the medium could not be used the last time, or nil. The
	// store keeps trying.
	Failure error

	// Of the records that eventstore.Stats counts as dropped, Expired are those
	// that were too old and Damaged those that could not be read; the others
	// had to make room.
	Expired, Damaged uint64

	// Unsettled is the size of what is in memory only, because it is not yet
	// durable to the configured level.
	Unsettled int64

	// Segments and FileBytes are the number and the size of the segment files,
	// AsideFiles and AsideBytes those of the damaged ones that are kept for
	// examination.
	Segments   int
	FileBytes  int64
	AsideFiles int
	AsideBytes int64
}

// Condition returns the condition of the store. It does not wait for the
// medium.
func (s *Store) Condition() Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Condition{
		Failure:    cmp.Or(s.failure, s.untidy, s.unread),
		Expired:    s.expired,
		Damaged:    s.ruined,
		Unsettled:  s.dirty,
		Segments:   len(s.segments),
		FileBytes:  s.total - s.dirty,
		AsideFiles: len(s.aside),
		AsideBytes: s.aside.size(),
	}
}
