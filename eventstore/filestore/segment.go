package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

const (
	segmentSuffix = ".seg"
	offsetDigits  = 20 // of the largest uint64
	formatVersion = 1
	headerSize    = 20
)

var (
	errBadHeader  = errors.New("damaged header")
	errNewVersion = errors.New("written by a newer version of this package")
)

// A segment is a run of consecutive records and the file that they are in, or
// will be in.
type segment struct {
	first  uint64    // offset of its first record
	next   uint64    // offset after its last record
	size   int64     // of the file with all of its records
	synced int64     // how much of the file is durable
	newest time.Time // when its newest record was written, or zero

	created bool // its file exists
	retired bool // its file is to be removed
}

func newSegment(first uint64) *segment {
	return &segment{first: first, next: first, size: headerSize, synced: headerSize}
}

func (g *segment) name() string { return segmentName(g.first) }

func (g *segment) empty() bool { return g.next == g.first }

// data returns the size of the records without their headers.
func (g *segment) data() int64 {
	return max(0, g.size-headerSize-recordHead*int64(g.next-g.first))
}

func segmentName(first uint64) string {
	return fmt.Sprintf("%0*d%s", offsetDigits, first, segmentSuffix)
}

func parseSegmentName(name string) (first uint64, ok bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	if !found || len(digits) != offsetDigits {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}

// header returns the header of a segment or cursor file, which hold an offset.
func header(magic string, offset uint64) []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint64(b, offset)
	return binary.LittleEndian.AppendUint32(b, headerChecksum(b))
}

// parseHeader returns the offset in a header.
func parseHeader(b []byte, magic string) (offset uint64, err error) {
	if len(b) < headerSize || string(b[:4]) != magic ||
		binary.LittleEndian.Uint32(b[16:]) != headerChecksum(b[:16]) {
		return 0, errBadHeader
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v != formatVersion {
		return 0, fmt.Errorf("%w: format %d", errNewVersion, v)
	}
	return binary.LittleEndian.Uint64(b[8:]), nil
}

func headerChecksum(b []byte) uint32 {
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

const (
	segmentMagic = "GLES"
	cursorMagic  = "GLEC"
)
