package storetest

import "slices"

// A Leftover is what a disk happens to have written when the power fails,
// although nobody has told it to. The zero value leaves 7 bytes of each file: a
// torn piece of a record.
type Leftover struct {
	Bytes int  // of each file, from the first that is not synced on; negative: none
	Names bool // files that are new, renamed or removed

	// Write, if it is not nil, is asked instead of Bytes for each write that
	// is not synced, in the order in which they were made, and returns how much
	// of it is left: a disk may write them in another order than it was given.
	Write func(i, size int) (left int)
}

// defaultLeftover is a torn piece of a record, too short to be a whole one.
const defaultLeftover = 7

// Leave sets what a Crash leaves of that which is not synced.
func (m *Medium) Leave(l Leftover) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leftover = l
}

// forget makes the medium what it is when the power returns.
func (m *Medium) forget() {
	l := m.leftover
	if l.Bytes == 0 && !l.Names {
		l.Bytes = defaultLeftover
	}
	if l.Names {
		m.durable = copyNames(m.live)
	}
	if l.Write != nil {
		m.reorder(l.Write)
	}
	m.live = copyNames(m.durable)
	for _, n := range m.live {
		n.forget(max(0, l.Bytes))
	}
}

// reorder makes durable what left says of each write that is not synced.
func (m *Medium) reorder(left func(i, size int) int) {
	type write struct {
		n *inode
		e extent
	}
	var all []write
	for _, n := range m.durable {
		for _, e := range n.dirty {
			all = append(all, write{n, e})
		}
		n.dirty = nil
	}
	slices.SortFunc(all, func(a, b write) int { return a.e.order - b.e.order })
	for i, w := range all {
		size := w.e.to - w.e.from
		w.n.flush(w.e.from, w.e.from+min(max(0, left(i, size)), size))
	}
}

// forget drops what is dirty, but for the first bytes of it.
func (n *inode) forget(leave int) {
	for _, e := range n.dirty {
		part := min(leave, e.to-e.from)
		n.flush(e.from, e.from+part)
		leave -= part
		if leave == 0 {
			break
		}
	}
	n.dirty = nil
	n.data = slices.Clone(n.durable)
}
