package filestore

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

const (
	// recordHead is the size of checksum, length and offset before the data.
	recordHead = 12

	// containerBit in the length says that it is a container.
	containerBit = 1 << 31
)

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

// recordSize returns the size of the record or container at the start of b as
// its header says, or MaxInt64 if b is too short to hold one.
func recordSize(b []byte) int64 {
	if len(b) < recordHead {
		return math.MaxInt64
	}
	return recordHead + int64(binary.LittleEndian.Uint32(b[4:])&^containerBit)
}

// isContainer reports whether b starts with a container.
func isContainer(b []byte) bool {
	return len(b) >= recordHead && binary.LittleEndian.Uint32(b[4:])&containerBit != 0
}

// intact reports whether b starts with the intact record or container of that
// offset.
func intact(b []byte, offset uint64) bool {
	size := recordSize(b)
	return size <= int64(len(b)) &&
		binary.LittleEndian.Uint32(b[8:]) == uint32(offset) &&
		binary.LittleEndian.Uint32(b) == checksum(offset, b[4:size])
}

// validRecord reports whether b starts with the intact record of that offset.
func validRecord(b []byte, offset uint64) bool { return !isContainer(b) && intact(b, offset) }

// validPrefix returns the size of the intact records of the offsets from first
// up to, but not including, end that b starts with, and the offset after them.
func validPrefix(b []byte, first, end uint64) (size int, next uint64) {
	for next = first; next < end && validRecord(b[size:], next); next++ {
		size += int(recordSize(b[size:]))
	}
	return size, next
}

// findRecord looks for the first intact record or container in b after its
// first byte, where the record of offset damaged should be. The offset of what
// it finds is above damaged and below end. If packed, there may be containers.
//
// Data that looks like headers could make it compute checksums for ever; it
// gives up after a multiple of the size of b.
func findRecord(b []byte, damaged, end uint64, packed bool) (pos int, offset uint64, ok bool) {
	budget := 16 * int64(len(b))
	for pos = 1; pos+recordHead <= len(b) && budget > 0; pos++ {
		size := recordSize(b[pos:])
		skipped := uint64(binary.LittleEndian.Uint32(b[pos+8:]) - uint32(damaged))
		if size > int64(len(b)-pos) || skipped == 0 || skipped > mostRecords(pos, packed) || damaged+skipped >= end {
			continue
		}
		budget -= size
		if intact(b[pos:], damaged+skipped) {
			return pos, damaged + skipped, true
		}
	}
	return 0, 0, false
}

// mostRecords returns how many records at most n bytes of a segment hold, the
// last of which may be cut off.
func mostRecords(n int, packed bool) uint64 {
	if packed {
		return (uint64(n)/(recordHead+containerHead) + 1) * (maxChunkBytes/recordHead + 1)
	}
	return uint64(n)/recordHead + 1
}
