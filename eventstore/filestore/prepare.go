package filestore

import (
	"bytes"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A file that grows with each write makes the file system note its new size and
// place each time that it is forced, which takes the medium longer than the
// records do. So a segment is prepared: zeros are written after its end now and
// then, a few dozen writes ahead, and later writes go in their place. What is left
// of the zeros is cut off when the segment is closed, and by the next Open.
const (
	leastPrepared = 64 << 10
	mostPrepared  = 1 << 20
	writesAhead   = 64       // that are prepared for at least
	bulkBytes     = 64 << 10 // a write of more needs no preparation
	zeroBytes     = 32 << 10
)

// prepare writes zeros after the end of the file, unless there are some left, for
// the sake of writes that follow one of the given size. The file does not grow
// beyond room. What goes wrong is of no consequence: the zeros are not needed.
func (m *medium) prepare(size, room int64) {
	if m.plain || m.later || m.end <= m.filled || size > bulkBytes {
		return
	}
	to := min(m.end+min(max(writesAhead*size, leastPrepared), mostPrepared), room)
	if to-m.end < sectorBytes {
		return
	}
	if m.zeros == nil {
		m.zeros = make([]byte, zeroBytes)
	}
	m.filled = m.end
	for m.filled < to {
		n, err := m.file.WriteAt(m.zeros[:min(zeroBytes, to-m.filled)], m.filled)
		m.filled += int64(n)
		if err != nil {
			m.plain = true
			m.cut() // above all, it must not fill the medium
			return
		}
	}
}

// cut cuts off the zeros that are left.
func (m *medium) cut() {
	if m.filled > m.end {
		_ = m.file.Truncate(m.end) // or else the next Open does
		m.filled = m.end
	}
}

// dataEnd returns the end of what is not zero in the file between pos and size.
func dataEnd(f disk.File, pos, size int64) (int64, error) {
	b := make([]byte, min(zeroBytes, max(0, size-pos)))
	for size > pos {
		from := max(pos, size-zeroBytes)
		piece, err := readPieces(f, b[:size-from], from)
		if err != nil {
			return 0, err
		}
		if n := len(bytes.TrimRight(piece, "\x00")); n > 0 {
			return from + int64(n), nil
		}
		size = from
	}
	return pos, nil
}
