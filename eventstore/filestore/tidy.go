package filestore

import (
	"errors"
	"slices"
)

// chores are what one tidy does, and what came of it.
type chores struct {
	released uint64
	save     bool // the cursor
	trash    []trash
	stale    bool  // the file that is open is not needed any more
	sort     bool  // what is aside
	limit    int64 // of what is aside

	left            []trash
	kept            aside
	saving, sorting error
	err             error // all errors
}

// tidy writes the cursor and removes the files that are not needed.
func (s *Store) tidy() error {
	c := chores{
		released: s.released, trash: s.garbage,
		save:  s.released != s.cursor || s.probe == probeWanted,
		stale: s.medium.seg != nil && s.medium.seg.retired,
		limit: max(0, s.cfg.DamagedBytes),
	}
	c.sort = slices.ContainsFunc(c.trash, func(t trash) bool { return t.damaged })
	if s.noSpace && len(s.aside) > 0 {
		c.limit, c.sort = 0, true
	}
	s.garbage, s.cursorDue, s.shed = nil, false, false
	s.mu.Unlock()
	s.do(&c)
	s.mu.Lock()
	s.tidied(&c)
	return c.err
}

// do does c. The cursor goes first, because it alone remembers the offset when
// no segment is left; but it must not keep a full medium from being freed. In
// another folder there is nothing to do.
func (s *Store) do(c *chores) {
	if c.saving = s.dir.Check(); c.saving != nil {
		c.left, c.sort, c.err = c.trash, false, c.saving
		return
	}
	if c.save {
		c.saving = saveCursor(s.dir, c.released, s.cfg.Durability != None)
	}
	var closing, removing error
	if c.stale {
		closing = s.medium.close()
	}
	c.left, removing = s.medium.remove(c.trash)
	if c.sort {
		c.kept, c.sorting = keepAside(s.dir, c.limit)
	}
	c.err = errors.Join(c.saving, closing, removing, c.sorting)
}

// tidied notes what came of c.
func (s *Store) tidied(c *chores) {
	if c.saving == nil {
		s.cursor = c.released
		if s.probe == probeWanted {
			s.probe = probePassed
		}
	}
	freed := len(c.left) < len(c.trash)
	if c.sort && c.sorting == nil {
		freed = freed || len(c.kept) < len(s.aside)
		s.aside = c.kept
	}
	if s.noSpace && freed {
		s.want(s.next - 1)
	}
	s.untidy = c.err
	if c.err != nil {
		s.stuck = append(s.stuck, c.left...)
		s.arm(&s.retry, s.cfg.SyncInterval)
	}
}
