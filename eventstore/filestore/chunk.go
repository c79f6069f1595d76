package filestore

// A chunk is a run of consecutive records of one segment in memory. They are
// encoded as in a file without containers.
type chunk struct {
	seg    *segment
	first  uint64 // offset of its first record
	next   uint64 // offset after its last record
	buf    []byte
	stored int  // how much of buf is settled
	busy   bool // it is being written
	shared bool // another chunk uses the same memory
}

// find returns the chunk that holds offset, or nil.
func find(chunks []*chunk, offset uint64) *chunk {
	for _, c := range chunks {
		if c.first <= offset && offset < c.next {
			return c
		}
	}
	return nil
}

// A memory keeps chunks that are not in use, so that a store that is read as
// fast as it is written allocates nothing.
type memory struct {
	chunkBytes int
	free       []*chunk
}

const (
	maxChunkBytes = 64 << 10
	maxFree       = 16
)

// get returns an empty chunk with room for at least size bytes.
func (m *memory) get(size int) *chunk {
	if size > m.chunkBytes {
		return &chunk{buf: make([]byte, 0, size)}
	}
	if n := len(m.free); n > 0 {
		c := m.free[n-1]
		m.free = m.free[:n-1]
		return c
	}
	return &chunk{buf: make([]byte, 0, m.chunkBytes)}
}

// put takes back a chunk that nobody uses any more.
func (m *memory) put(c *chunk) {
	if cap(c.buf) == m.chunkBytes && !c.shared && len(m.free) < maxFree {
		*c = chunk{buf: c.buf[:0]}
		m.free = append(m.free, c)
	}
}
