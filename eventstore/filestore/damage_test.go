package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// The layout of a segment that holds payloads, as doc.go describes it.
const (
	headerBytes  = 20
	payloadBytes = 12 + 52
)

// files are the contents of a folder.
type files map[string][]byte

// saved returns the files of a store with n payloads of which some were
// acknowledged.
func saved(t *testing.T, cfg filestore.Config, n int, acked uint64) files {
	t.Helper()
	cfg.Dir = t.TempDir()
	s := open(t, cfg)
	fill(t, s, n)
	if err := s.Ack(t.Context(), acked); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	all := files{}
	paths, err := filepath.Glob(filepath.Join(cfg.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(p)] = b
	}
	return all
}

func (f files) segments() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if strings.HasSuffix(name, ".seg") {
			names = append(names, name)
		}
	}
	return names
}

// with returns a folder with the files, of which one is replaced.
func (f files) with(t *testing.T, name string, content []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for n, b := range f {
		if n == name {
			b = content
		}
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTornTailIsRemovedAtEveryByte(t *testing.T) {
	const n = 5
	all := saved(t, filestore.Config{}, n, 0)
	name := all.segments()[0]
	whole := all[name]
	if len(whole) != headerBytes+n*payloadBytes {
		t.Fatalf("the segment has %d bytes", len(whole))
	}
	for size := range len(whole) + 1 {
		var logged syncBuffer
		dir := all.with(t, name, whole[:size])
		s := open(t, filestore.Config{Dir: dir, Logger: logged.logger()})
		intact := uint64(max(0, size-headerBytes) / payloadBytes)
		torn := size - headerBytes - int(intact)*payloadBytes
		if size < headerBytes {
			torn = size
		}
		for torn > 0 && size >= headerBytes && whole[headerBytes+int(intact)*payloadBytes+torn-1] == 0 {
			torn-- // zeros are no part of a record, as far as one can see
		}
		if p := s.Stats().Pending; p != intact {
			t.Fatalf("%d bytes: %d records, want %d", size, p, intact)
		}
		if told := strings.Contains(logged.String(), fmt.Sprintf("bytes=%d\n", torn)); told != (torn > 0) {
			t.Fatalf("%d bytes, %d of them torn: the log says\n%s", size, torn, logged.String())
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if want := headerBytes + int64(intact)*payloadBytes; err != nil || size >= headerBytes && info.Size() != want {
			t.Fatalf("%d bytes: the file was cut to %d, want %d (%v)", size, info.Size(), want, err)
		}
		offsets, marker := readAll(t, s, 0, eventstore.Limit{})
		expectRun(t, offsets, 1, intact)
		if marker != intact+1 {
			t.Fatalf("%d bytes: the next offset is %d", size, marker)
		}
		mustClose(t, s)
		s = open(t, filestore.Config{Dir: dir})
		if p := s.Stats().Pending; p != intact+1 {
			t.Fatalf("%d bytes: %d records after reopening, want %d", size, p, intact+1)
		}
		mustClose(t, s)
	}
}

// TestTortureBitFlip inverts bits of every byte of a small store.
func TestTortureBitFlipCostsNoOtherRecord(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10}
	const total = 70 // 63 of them in the first segment
	all := saved(t, cfg, total, 0)
	if len(all.segments()) != 2 {
		t.Fatalf("the segments are %v", all.segments())
	}
	for i, name := range all.segments() {
		first := uint64(1 + i*63)
		for n := range len(all[name]) * intFlag(flipsFlag) {
			at, bit := n%len(all[name]), (n+n/len(all[name]))%8
			m := new(storetest.Medium)
			for other, content := range all {
				m.WriteFile(other, content)
			}
			m.WriteFile(name, flipped(all[name], at, bit))
			damaged := uint64(0)
			if at >= headerBytes {
				damaged = first + uint64(at-headerBytes)/payloadBytes
			}
			checkDamaged(t, openOn(t, m, cfg), total, damaged, fmt.Sprintf("bit %d of byte %d of %s", bit, at, name))
		}
	}
}

// flipped returns b with one bit inverted.
func flipped(b []byte, at, bit int) []byte {
	c := slices.Clone(b)
	c[at] ^= 1 << bit
	return c
}

// checkDamaged reads a store of n records of which one is damaged.
func checkDamaged(t *testing.T, s *filestore.Store, n, damaged uint64, what string) {
	t.Helper()
	defer mustClose(t, s)
	offsets, _ := readAll(t, s, 0, eventstore.Limit{Records: 10})
	var want []uint64
	for o := uint64(1); o <= n; o++ {
		if o != damaged {
			want = append(want, o)
		}
	}
	if !slices.Equal(offsets, want) {
		t.Fatalf("%s: the records are %s", what, brief(offsets))
	}
	wantDropped := uint64(0)
	if damaged > 0 && damaged < n {
		wantDropped = 1
	}
	if d := s.Stats().Dropped; d != wantDropped {
		t.Fatalf("%s: %d records count as dropped, want %d", what, d, wantDropped)
	}
}

func TestALostStretchCostsNothingElse(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 16 << 10}
	const n = 800
	all := saved(t, cfg, n, 0)
	for i, name := range all.segments() {
		b := slices.Clone(all[name])
		from, to := headerBytes+70*payloadBytes+5, headerBytes+110*payloadBytes-5
		if i == len(all.segments())-1 {
			from, to = headerBytes+5*payloadBytes+5, headerBytes+9*payloadBytes-5
		}
		clear(b[from:to])
		cfg.Dir = all.with(t, name, b)
		s := open(t, cfg)
		offsets, _ := readAll(t, s, 0, eventstore.Limit{})
		lost := uint64((to-1-headerBytes)/payloadBytes - (from-headerBytes)/payloadBytes + 1)
		if st := s.Stats(); uint64(len(offsets)) != n-lost || st.Dropped != lost {
			t.Errorf("%s: %d records, want %d; %+v", name, len(offsets), n-lost, st)
		}
		mustClose(t, s)
	}
}

func TestAMissingSegmentCostsNothingElse(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10}
	all := saved(t, cfg, 300, 0)
	names := all.segments()
	cfg.Dir = all.with(t, names[1], nil)
	s := open(t, cfg)
	offsets, _ := readAll(t, s, 0, eventstore.Limit{})
	if len(offsets) != 300-63 || s.Stats().Dropped != 63 {
		t.Errorf("the records are %s; %+v", brief(offsets), s.Stats())
	}
}

func TestAFullStoreOfDamageDoesNotBlock(t *testing.T) {
	cfg := filestore.Config{MaxBytes: 32 << 10}
	cfg.Dir = t.TempDir()
	s := open(t, cfg)
	fill(t, s, 490)
	mustClose(t, s)
	paths, err := filepath.Glob(filepath.Join(cfg.Dir, "*.seg"))
	if err != nil || len(paths) < 8 {
		t.Fatal(paths, err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		clear(b[headerBytes:])
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, cfg)
	got := make(chan error, 1)
	go func() {
		for want := 0; want < 500; {
			recs, err := s.Peek(limited(t), 0, nil, eventstore.Limit{})
			if err == nil {
				err = s.Ack(t.Context(), recs[len(recs)-1].Offset)
			}
			if err != nil {
				got <- err
				return
			}
			want += len(recs)
		}
		got <- nil
	}()
	ctx := limited(t)
	for range 500 {
		if _, err := s.Append(ctx, make([]byte, 52)); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestADamagedCursorStartsAtTheOldestRecord(t *testing.T) {
	const n, acked = 30, 20
	all := saved(t, filestore.Config{}, n, acked)
	whole := all["cursor"]
	if len(whole) == 0 {
		t.Fatal("there is no cursor")
	}
	variants := [][]byte{nil, {}, whole[:7], whole[:len(whole)-1], append(slices.Clone(whole), 1, 2, 3)}
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 1 << (i % 8)
		variants = append(variants, b)
	}
	for i, b := range variants {
		s := open(t, filestore.Config{Dir: all.with(t, "cursor", b)})
		first := uint64(1)
		if len(b) > len(whole) {
			first = acked + 1 // what follows the cursor does not matter
		}
		offsets, _ := readAll(t, s, 0, eventstore.Limit{})
		if len(offsets) == 0 || offsets[0] != first {
			t.Errorf("variant %d: the records are %s", i, brief(offsets))
		}
		mustClose(t, s)
	}
	s := open(t, filestore.Config{Dir: all.with(t, "", nil)})
	offsets, _ := readAll(t, s, 0, eventstore.Limit{})
	expectRun(t, offsets, acked+1, n)
}

func TestOffsetsGoOnAfterACursorAheadOfTheRecords(t *testing.T) {
	all := saved(t, filestore.Config{}, 30, 30)
	name := all.segments()[0]
	for _, content := range [][]byte{nil, {}, all[name][:headerBytes+9*payloadBytes+3]} {
		dir := all.with(t, name, content)
		for want := uint64(31); want < 34; want++ {
			s := open(t, filestore.Config{Dir: dir})
			if off, err := s.Append(t.Context(), payload(want)); err != nil || off != want {
				t.Fatalf("Append: %d, %v; want %d", off, err, want)
			}
			if p := s.Stats().Pending; p != want-30 {
				t.Fatalf("%d records are pending, want %d", p, want-30)
			}
			mustClose(t, s)
		}
	}
}

func TestAStoreOfANewerVersionIsLeftAlone(t *testing.T) {
	all := saved(t, filestore.Config{}, 3, 0)
	name := all.segments()[0]
	b := slices.Clone(all[name])
	b[4] = 3
	copy(b[16:], crcOf(b[:16]))
	dir := all.with(t, name, b)
	s, err := filestore.Open(filestore.Config{Dir: dir, Logger: quiet()})
	if err == nil {
		mustClose(t, s)
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("the error is %q", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !slices.Equal(after, b) {
		t.Errorf("the segment was changed: %v", err)
	}
}

func TestATimeBeforeTheClockWasSetIsNoAge(t *testing.T) {
	all := saved(t, filestore.Config{}, 3, 0)
	dir := all.with(t, "", nil)
	old := time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, all.segments()[0]), old, old); err != nil {
		t.Fatal(err)
	}
	s := open(t, filestore.Config{Dir: dir, MaxAge: time.Hour})
	time.Sleep(20 * time.Millisecond)
	if st := s.Stats(); st.Pending != 3 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
}

func TestDamageAtTheEndIsNotPendingForEver(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10}
	all := saved(t, cfg, 70, 0)
	names := all.segments()
	m := new(storetest.Medium)
	m.WriteFile(names[0], all[names[0]][:headerBytes+60*payloadBytes+1])
	m.WriteFile(names[1], all[names[1]][:headerBytes])
	s := openOn(t, m, cfg)
	if err := s.Ack(t.Context(), 60); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if recs, err := s.Peek(ctx, 60, nil, eventstore.Limit{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Peek: %v, %v", recs, err)
	}
	if st := s.Stats(); st.Pending != 0 || st.Dropped != 3 {
		t.Errorf("%+v when all that can be read is acknowledged", st)
	}
}
