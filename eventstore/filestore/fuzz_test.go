package filestore_test

import (
	"bytes"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

const (
	firstSegment = "00000000000000000001.seg"
	laterSegment = "00000000000000000100.seg"
)

// intactSegment returns the file of a segment of three records.
func intactSegment(tb testing.TB) []byte {
	tb.Helper()
	m := new(storetest.Medium)
	s := openOn(tb, m, filestore.Config{})
	fill(tb, s, 3)
	mustClose(tb, s)
	b, ok := m.ReadFile(firstSegment)
	if !ok {
		tb.Fatal(m)
	}
	return b
}

// FuzzSegment opens a store with any contents in its segments: as the newest
// one, which is repaired, and as an older one.
func FuzzSegment(f *testing.F) {
	b := intactSegment(f)
	f.Add(b, false)
	f.Add(b, true)
	f.Add(b[:len(b)-1], false)
	f.Add(append(bytes.Clone(b[:90]), b[80:]...), true)
	f.Add(append(bytes.Clone(b), b[20:]...), false)
	f.Add(append(bytes.Clone(b[:20]), make([]byte, 1000)...), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, content []byte, older bool) {
		m := new(storetest.Medium)
		m.WriteFile(firstSegment, content)
		if older {
			m.WriteFile(laterSegment, nil)
		}
		s, err := m.OpenConfig(filestore.Config{Logger: quiet()})
		if err != nil {
			return // a newer version
		}
		checkUsable(t, m, s)
	})
}

// FuzzCursor opens a store with any contents in its cursor.
func FuzzCursor(f *testing.F) {
	m := new(storetest.Medium)
	s := openOn(f, m, filestore.Config{})
	if err := s.Ack(f.Context(), fill(f, s, 2)); err != nil {
		f.Fatal(err)
	}
	mustClose(f, s)
	cursor, ok := m.ReadFile("cursor")
	if !ok {
		f.Fatal(m)
	}
	segment := intactSegment(f)
	f.Add(cursor)
	f.Add(cursor[:10])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		m := new(storetest.Medium)
		m.WriteFile(firstSegment, segment)
		m.WriteFile("cursor", content)
		s, err := m.OpenConfig(filestore.Config{Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		checkUsable(t, m, s)
	})
}

// checkUsable checks that a store takes a record, and returns it last, and
// again after a crash.
func checkUsable(t *testing.T, m *storetest.Medium, s *filestore.Store) {
	t.Helper()
	ctx := limited(t)
	off, err := s.Append(ctx, []byte("marker"))
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, s, off)
	for range 2 {
		var last eventstore.Record
		for last.Offset < off {
			recs, err := s.Peek(ctx, last.Offset, nil, eventstore.Limit{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				if r.Offset <= last.Offset {
					t.Fatalf("the record %d comes after %d", r.Offset, last.Offset)
				}
				last = r
			}
		}
		if last.Offset != off || string(last.Data) != "marker" {
			t.Fatalf("the last record is %d, %.60q; want %d", last.Offset, last.Data, off)
		}
		m.Crash()
		s = openOn(t, m, filestore.Config{})
	}
}
