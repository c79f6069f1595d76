package filestore

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// recordHead is the size of checksum, length and offset before the data.
const recordHead = 12

// checksum covers b and, as the value that it starts from, the upper half of
// the offset, of which b holds the lower half.
func checksum(offset uint64, b []byte) uint32 {
	return crc32.Update(uint32(offset>>32), crc32.MakeTable(crc32.Castagnoli), b)
}

func appendRecord(dst []byte, offset uint64, data []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(offset))
	dst = append(dst, data...)
	binary.LittleEndian.PutUint32(dst[start:], checksum(offset, dst[start+4:]))
	return dst
}

// recordSize returns the size of the record at the start of b as its header
// says, or MaxInt64 if b is too short to hold one.
func recordSize(b []byte) int64 {
	if len(b) < recordHead {
		return math.MaxInt64
	}
	return recordHead + int64(binary.LittleEndian.Uint32(b[4:]))
}

// validRecord reports whether b starts with the intact record of that offset.
func validRecord(b []byte, offset uint64) bool {
	size := recordSize(b)
	return size <= int64(len(b)) &&
		binary.LittleEndian.Uint32(b[8:]) == uint32(offset) &&
		binary.LittleEndian.Uint32(b) == checksum(offset, b[4:size])
}

// validPrefix returns the size of the intact records of the offsets from first
// up to, but not including, end that b starts with, and the offset after them.
func validPrefix(b []byte, first, end uint64) (size int, next uint64) {
	for next = first; next < end && validRecord(b[size:], next); next++ {
		size += int(recordSize(b[size:]))
	}
	return size, next
}

// findRecord looks for the first intact record in b after its first byte,
// where the record of offset damaged should be. The offset of what it finds is
// above damaged and below end.
//
// Data that looks like headers could make it compute checksums for ever; it
// gives up after a multiple of the size of b.
func findRecord(b []byte, damaged, end uint64) (pos int, offset uint64, ok bool) {
	budget := 16 * int64(len(b))
	for pos = 1; pos+recordHead <= len(b) && budget > 0; pos++ {
		size := recordSize(b[pos:])
		skipped := uint64(binary.LittleEndian.Uint32(b[pos+8:]) - uint32(damaged))
		mostSkipped := uint64(pos)/recordHead + 1
		if size > int64(len(b)-pos) || skipped == 0 || skipped > mostSkipped || damaged+skipped >= end {
			continue
		}
		budget -= size
		if validRecord(b[pos:], damaged+skipped) {
			return pos, damaged + skipped, true
		}
	}
	return 0, 0, false
}
