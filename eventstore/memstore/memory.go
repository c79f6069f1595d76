package memstore

// A chunk is memory for consecutive records.
type chunk struct {
	first, last uint64 // offsets
	buf         []byte
}

// A memory holds the data of records in chunks, which it uses again.
type memory struct {
	used []*chunk // oldest first; the last one is filled
	free []*chunk
}

const (
	chunkBytes = 64 << 10
	maxFree    = 8
)

// copy returns a copy of rec, which is the record of the given offset.
func (m *memory) copy(rec []byte, offset uint64) []byte {
	n := len(m.used)
	if n == 0 || cap(m.used[n-1].buf)-len(m.used[n-1].buf) < len(rec) {
		m.used = append(m.used, m.get(len(rec)))
		m.used[n].first = offset
		n++
	}
	c := m.used[n-1]
	start := len(c.buf)
	c.buf = append(c.buf, rec...)
	c.last = offset
	return c.buf[start:len(c.buf):len(c.buf)]
}

func (m *memory) get(size int) *chunk {
	n := len(m.free)
	if size > chunkBytes || n == 0 {
		return &chunk{buf: make([]byte, 0, max(size, chunkBytes))}
	}
	c := m.free[n-1]
	m.free = m.free[:n-1]
	return c
}

// release gives up the chunks whose records are all released. One that the
// reader may still use, because it was given a record that was then dropped, is
// left to the garbage collector.
func (m *memory) release(released, acked, handed uint64) {
	n := 0
	for n < len(m.used)-1 && m.used[n].last <= released {
		c := m.used[n]
		if (c.last <= acked || c.first > handed) && cap(c.buf) == chunkBytes && len(m.free) < maxFree {
			c.buf = c.buf[:0]
			m.free = append(m.free, c)
		}
		n++
	}
	if n > 0 {
		left := copy(m.used, m.used[n:])
		clear(m.used[left:])
		m.used = m.used[:left]
	}
}
