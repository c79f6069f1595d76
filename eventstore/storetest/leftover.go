package storetest

import (
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
)

// A Leftover is what a disk happens to have written when the power fails,
// although nobody has told it to. The zero value leaves 7 bytes of each file: a
// torn piece of a record.
type Leftover struct {
	Bytes int  // of each file, from the first that is not synced on; negative: none
	Names bool // files that are new, renamed or removed
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
	if l == (Leftover{}) {
		l.Bytes = defaultLeftover
	}
	if l.Names {
		m.durable = copyNames(m.live)
	}
	m.live = copyNames(m.durable)
	for _, n := range m.live {
		n.forget(max(0, l.Bytes))
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

// Outcomes cuts the power and yields what the disk may hold when it returns: a
// disk may lose, tear or make each write that was not synced, in any order, and
// make or lose each change of a name. If there are more than most possibilities
// it yields most of them: those with the least and the most left, and others at
// random, always the same. m itself cannot be used any more.
func (m *Medium) Outcomes(most int) iter.Seq[*Medium] {
	m.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	writes, names := m.unsynced()
	total := 1
	for range writes {
		total = min(3*total, most+1)
	}
	for range names {
		total = min(2*total, most+1)
	}
	return func(yield func(*Medium) bool) {
		random := rand.New(rand.NewPCG(uint64(m.ops), 1))
		for i := range min(total, most) {
			o := outcome{writes: make([]int, len(writes)), names: make([]bool, len(names))}
			switch {
			case total <= most:
				o.number(i)
			case i == 1:
				o.everything()
			case i > 1:
				o.random(random)
			}
			if !yield(m.after(o, writes, names)) {
				return
			}
		}
	}
}

// A write is one that is not synced.
type write struct {
	n *inode
	e extent
}

// unsynced returns the writes that are not synced, in their order, and the names
// that are not.
func (m *Medium) unsynced() (writes []write, names []string) {
	nodes := map[*inode]bool{}
	all := map[string]bool{}
	for _, known := range []map[string]*inode{m.live, m.durable} {
		for name, n := range known {
			nodes[n], all[name] = true, true
		}
	}
	for n := range nodes {
		for _, e := range n.dirty {
			writes = append(writes, write{n, e})
		}
	}
	slices.SortFunc(writes, func(a, b write) int { return a.e.order - b.e.order })
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if m.live[name] != m.durable[name] {
			names = append(names, name)
		}
	}
	return writes, names
}

// An outcome is what becomes of each write, in halves, and of each name.
type outcome struct {
	writes []int
	names  []bool
}

// number makes o the ith of all.
func (o *outcome) number(i int) {
	for j := range o.writes {
		o.writes[j], i = i%3, i/3
	}
	for j := range o.names {
		o.names[j], i = i%2 == 1, i/2
	}
}

func (o *outcome) everything() {
	for j := range o.writes {
		o.writes[j] = 2
	}
	for j := range o.names {
		o.names[j] = true
	}
}

func (o *outcome) random(r *rand.Rand) {
	for j := range o.writes {
		o.writes[j] = r.IntN(3)
	}
	for j := range o.names {
		o.names[j] = r.IntN(2) == 1
	}
}

// after returns the medium that o makes of m.
func (m *Medium) after(o outcome, writes []write, names []string) *Medium {
	left := copyNames(m.durable)
	for i, name := range names {
		if !o.names[i] {
			continue
		}
		if n := m.live[name]; n != nil {
			left[name] = n
		} else {
			delete(left, name)
		}
	}
	c := new(Medium)
	c.format()
	copies := map[*inode]*inode{}
	for name, n := range left {
		if copies[n] == nil {
			copies[n] = &inode{data: n.data, durable: slices.Clone(n.durable), modified: n.modified}
		}
		c.live[name] = copies[n]
	}
	for i, w := range writes {
		if n := copies[w.n]; n != nil {
			n.flush(w.e.from, w.e.from+(w.e.to-w.e.from)*o.writes[i]/2)
		}
	}
	for _, n := range copies {
		n.data = slices.Clone(n.durable)
	}
	c.durable = copyNames(c.live)
	return c
}
