package filestore_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// newest returns the content of the newest segment on m.
func newest(t *testing.T, m *storetest.Medium) []byte {
	t.Helper()
	names := segmentsOn(m)
	if len(names) == 0 {
		t.Fatal("no segment")
	}
	b, _ := m.ReadFile(names[len(names)-1])
	return b
}

func segmentsOn(m *storetest.Medium) (names []string) {
	for name := range m.Files() {
		if strings.HasSuffix(name, ".seg") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// prepared returns how many zeros follow the last of n records of payloads.
func prepared(t *testing.T, m *storetest.Medium, n int) int {
	t.Helper()
	b := newest(t, m)
	end := headerBytes + n*payloadBytes
	if len(b) < end || len(bytes.TrimRight(b[end:], "\x00")) > 0 {
		t.Fatalf("%d bytes, of which those after %d are not all zero", len(b), end)
	}
	return len(b) - end
}

func TestSegmentsArePreparedForTheWritesToCome(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{})
	for n := 1; n <= 50; n++ {
		appendOne(t, s, uint64(n))
		mustSync(t, s, uint64(n))
	}
	if prepared(t, m, 50) == 0 {
		t.Error("nothing follows the records")
	}
	mustClose(t, s)
	if n := prepared(t, m, 50); n != 0 {
		t.Errorf("Close leaves %d zeros", n)
	}
}

// A loss of power is no damage, even though the file goes on after the records.
func TestPreparedSegmentsAreNotDamaged(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{})
	mustSync(t, s, fill(t, s, 20))
	if prepared(t, m, 20) == 0 {
		t.Fatal("nothing follows the records")
	}
	m.Crash()
	var logged syncBuffer
	s = openOn(t, m, filestore.Config{Logger: logged.logger()})
	if logged.String() != "" {
		t.Errorf("the log says %s", logged.String())
	}
	if n := prepared(t, m, 20); n != 0 {
		t.Errorf("Open leaves %d zeros", n)
	}
	appendOne(t, s, 21)
	mustSync(t, s, 21)
	if err := peekRun(limited(t), s, 0, 21); err != nil {
		t.Error(err)
	}
}

// What a preparation leaves in a segment that is not the newest any more is no
// damage either, and not counted.
func TestRotationCutsPreparedSegments(t *testing.T) {
	m := new(storetest.Medium)
	cfg := filestore.Config{SegmentBytes: 16 << 10}
	s := openOn(t, m, cfg)
	for n := uint64(1); n <= 800; n++ {
		appendOne(t, s, n)
		mustSync(t, s, n)
	}
	names := segmentsOn(m)
	if len(names) < 3 {
		t.Fatalf("%d segments", len(names))
	}
	for _, name := range names[:len(names)-1] {
		b, _ := m.ReadFile(name)
		if len(b) > 16<<10 || (len(b)-headerBytes)%payloadBytes != 0 || len(bytes.TrimRight(b, "\x00")) < len(b)-payloadBytes {
			t.Errorf("segment %s has %d bytes", name, len(b))
		}
	}
	m.Crash()
	s = openOn(t, m, cfg)
	if err := peekRun(limited(t), s, 0, 800); err != nil {
		t.Error(err)
	}
}

func TestPreparationKeepsTheBounds(t *testing.T) {
	const most, cursorBytes = 64 << 10, 100
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{MaxBytes: most, SegmentBytes: most / 8, Overflow: eventstore.DropOldest})
	for n := uint64(1); n <= 3000; n++ {
		appendOne(t, s, n)
		mustSync(t, s, n)
		if size := used(m); size > most+cursorBytes {
			t.Fatalf("%d bytes after record %d", size, n)
		}
	}
}

func TestRecordsThatEndInZerosAreWhole(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{})
	for n := range uint64(5) {
		off, err := s.Append(limited(t), make([]byte, 100))
		if err != nil || off != n+1 {
			t.Fatal(off, err)
		}
		mustSync(t, s, off)
	}
	m.Crash()
	var logged syncBuffer
	s = openOn(t, m, filestore.Config{Logger: logged.logger()})
	if p := s.Stats().Pending; p != 5 || logged.String() != "" {
		t.Errorf("%d records, the log says %s", p, logged.String())
	}
}

// A view of a store at work sees no damage in what is prepared.
func TestViewsOfPreparedSegmentsSeeNoDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filestore.Config{Dir: dir})
	mustSync(t, s, fill(t, s, 10))
	v, err := filestore.Look(filestore.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range v.Records(0) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 10 {
		t.Errorf("%d records", n)
	}
}

// The last bytes of a medium are for records.
func TestPreparationGivesWayOnAFullMedium(t *testing.T) {
	m := new(storetest.Medium)
	m.SetCapacity(20_000)
	s := openOn(t, m, filestore.Config{})
	for n := uint64(1); n <= 200; n++ {
		appendOne(t, s, n)
		mustSync(t, s, n)
	}
	if left := prepared(t, m, 200); left != 0 {
		t.Errorf("%d zeros on a full medium", left)
	}
}
