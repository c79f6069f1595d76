package filestore

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
)

func TestARecordIsValidOnlyAtItsOffset(t *testing.T) {
	const offset = 3<<32 + 77
	b := appendRecord(nil, offset, []byte("data"))
	if !validRecord(b, offset) || !validRecord(append(b, 1), offset) {
		t.Fatal("it is not valid at all")
	}
	for _, other := range []uint64{0, 77, offset - 1, offset + 1, offset + 1<<32, offset - 1<<32} {
		if validRecord(b, other) {
			t.Errorf("it is valid at the offset %d", other)
		}
	}
	for i := range b {
		if validRecord(b[:i], offset) {
			t.Errorf("its first %d bytes are valid", i)
		}
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			if validRecord(c, offset) {
				t.Errorf("it is valid with bit %d of byte %d inverted", bit, i)
			}
		}
	}
}

func TestFindRecordEndsOnDataThatLooksLikeRecords(t *testing.T) {
	// Headers of records that reach to the end, in each place: with a
	// checksum for each this takes hours.
	b := make([]byte, 4<<20)
	for i := 0; i+recordHead <= len(b); i += recordHead {
		size := len(b) - i - recordHead
		b[i+4], b[i+5], b[i+6] = byte(size), byte(size>>8), byte(size>>16)
		b[i+8] = 1
	}
	if _, _, ok := findRecord(b, 0, math.MaxUint64, false); ok {
		t.Error("it has found a record")
	}
}

// badSectors is a file of ones that cannot be read in some sectors.
type badSectors struct {
	size int64
	bad  func(sector int64) bool
}

var errSector = errors.New("bad sector")

func (f badSectors) ReadAt(b []byte, pos int64) (int, error) {
	for i := range b {
		if pos+int64(i) >= f.size {
			return i, io.EOF
		}
		if f.bad((pos + int64(i)) / sectorBytes) {
			return i, errSector
		}
		b[i] = 1
	}
	return len(b), nil
}

func TestABadSectorCostsNoOther(t *testing.T) {
	f := badSectors{size: 10*sectorBytes + 100, bad: func(n int64) bool { return n == 3 }}
	b, err := readPieces(f, bytes.Repeat([]byte{9}, 20*sectorBytes), 0)
	if err != nil || int64(len(b)) != f.size {
		t.Fatalf("%d bytes, %v; want %d", len(b), err, f.size)
	}
	for i, c := range b {
		if want := byte(1); c != want && i/sectorBytes != 3 {
			t.Fatalf("byte %d is %d", i, c)
		}
		if i/sectorBytes == 3 && c != 0 {
			t.Fatalf("byte %d of the bad sector is %d", i, c)
		}
	}
	f.bad = func(int64) bool { return true }
	if _, err := readPieces(f, make([]byte, 3*sectorBytes), 0); !errors.Is(err, errSector) {
		t.Errorf("nothing can be read: %v", err)
	}
}

func FuzzRecords(f *testing.F) {
	b := appendRecord(appendRecord(nil, 5, []byte("five")), 6, nil)
	f.Add(b, uint64(5))
	f.Add(b[3:], uint64(4))
	f.Add(append([]byte("junk"), b...), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, first uint64) {
		size, next := validPrefix(b, first, math.MaxUint64)
		if size < 0 || size > len(b) || next < first || uint64(size) < (next-first)*recordHead {
			t.Fatalf("%d records in %d of %d bytes", next-first, size, len(b))
		}
		pos, offset, ok := findRecord(b, first, math.MaxUint64, true)
		if ok && (offset <= first || !intact(b[pos:], offset)) {
			t.Fatalf("no record of offset %d at %d", offset, pos)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(header(segmentMagic, plainVersion, 1), segmentMagic)
	f.Add(header(cursorMagic, plainVersion, math.MaxUint64), segmentMagic)
	f.Fuzz(func(t *testing.T, b []byte, magic string) {
		version, offset, err := parseHeader(b, magic, packedVersion)
		if err == nil && !bytes.Equal(header(magic, version, offset), b[:headerSize]) {
			t.Fatalf("%x is not the header of %d", b, offset)
		}
	})
}
