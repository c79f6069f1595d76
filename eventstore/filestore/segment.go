package filestore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	segmentSuffix = ".seg"
	offsetDigits  = 20 // of the largest uint64
)

// A segment is a run of consecutive records and the file that they are in, or
// will be in.
type segment struct {
	first   uint64    // offset of its first record
	next    uint64    // offset after its last record
	head    int64     // size of the header
	written int64     // how much of the file is settled
	waiting int64     // size reserved for the records that are not settled
	payload int64     // size of the data of its records, perhaps an estimate
	newest  time.Time // when its newest record was written, or zero

	created bool // its file exists
	packed  bool // its file may hold containers
	damaged bool // its file is to be kept when the records are released
	retired bool // its file is not needed any more
}

func (f *format) newSegment(first uint64) *segment {
	head := f.headerSize()
	return &segment{first: first, next: first, head: head, written: head, packed: f.packs()}
}

func (g *segment) name() string { return segmentName(g.first) }

func (g *segment) empty() bool { return g.next == g.first }

// size returns the size of the file with all of its records.
func (g *segment) size() int64 { return g.written + g.waiting }

// estimatePayload derives the size of the data from that of the file.
func (g *segment) estimatePayload() {
	g.payload = max(0, g.written-g.head)
	if !g.packed {
		g.payload = max(0, g.payload-recordHead*int64(g.next-g.first))
	}
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

var errNewVersion = errors.New("written by a newer version of this package")
