package memstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

func payload(o uint64) []byte {
	return fmt.Appendf(nil, "record %d %s", o, strings.Repeat("x", int(o*7%300)))
}

func snapshotOpener(cfg memstore.Config) func(*testing.T, string) eventstore.EventStore {
	return func(t *testing.T, dir string) eventstore.EventStore {
		t.Helper()
		return mustOpen(t, filepath.Join(dir, "snapshot"), cfg)
	}
}

func mustOpen(t *testing.T, path string, cfg memstore.Config) *memstore.Store {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := memstore.Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformanceWithASnapshot(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open:           snapshotOpener(memstore.Config{}),
		Durable:        true,
		OpenFull:       snapshotOpener(memstore.Config{MaxBytes: 5000}),
		OpenDropOldest: snapshotOpener(memstore.Config{MaxBytes: 5000, Overflow: eventstore.DropOldest}),
		OpenReject:     snapshotOpener(memstore.Config{MaxBytes: 5000, Overflow: eventstore.Reject}),
	})
}

// save saves a store with n payloads, the first acked of them acknowledged.
func save(t *testing.T, path string, n, acked uint64) []byte {
	t.Helper()
	s := mustOpen(t, path, memstore.Config{})
	for o := uint64(1); o <= n; o++ {
		if off, err := s.Append(t.Context(), payload(o)); err != nil || off != o {
			t.Fatalf("Append: %d, %v", off, err)
		}
	}
	if err := errors.Join(s.Ack(t.Context(), acked), s.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// expectRecords checks that s holds the payloads from first to last.
func expectRecords(t *testing.T, s *memstore.Store, first, last uint64) {
	t.Helper()
	if p := s.Stats().Pending; p != last+1-first {
		t.Fatalf("%d records, want %d to %d", p, first, last)
	}
	if first > last {
		return
	}
	recs, err := s.Peek(t.Context(), 0, nil, eventstore.Limit{})
	if err != nil || len(recs) != int(last+1-first) {
		t.Fatalf("%d records, %v; want %d to %d", len(recs), err, first, last)
	}
	for i, r := range recs {
		if r.Offset != first+uint64(i) || !bytes.Equal(r.Data, payload(r.Offset)) {
			t.Fatalf("record %d is %d, %.40q", i, r.Offset, r.Data)
		}
	}
}

func TestASnapshotIsReadAgainAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	save(t, path, 1000, 300)
	for range 2 {
		s := mustOpen(t, path, memstore.Config{})
		expectRecords(t, s, 301, 1000)
		if err := s.Ack(t.Context(), 900); err != nil { // and no Close
			t.Fatal(err)
		}
	}
}

func TestOnlyTheOwnerCanReadASnapshot(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode on windows")
	}
	path := filepath.Join(t.TempDir(), "snapshot")
	save(t, path, 3, 0)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file: %v", err)
	}
}

// Whatever byte is damaged, what precedes it is there, nothing false is, and the
// damaged file is kept.
func TestDamageCostsNothingBeforeIt(t *testing.T) {
	const n, acked = 12, 2
	path := filepath.Join(t.TempDir(), "snapshot")
	whole := save(t, path, n, acked)
	before := func(at int) (last uint64) { // the last record that ends before a byte
		end := 28
		for last = acked; last < n; last++ {
			if end += 8 + len(payload(last+1)); end > at {
				break
			}
		}
		return last
	}
	for at := range whole {
		for kind, content := range map[string][]byte{"flip": flipped(whole, at), "cut": whole[:at]} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := memstore.Open(path, memstore.Config{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatalf("%s %d: %v", kind, at, err)
			}
			if at < 28 {
				expectRecords(t, s, 1, 0)
			} else {
				expectRecords(t, s, acked+1, before(at))
			}
			kept, err := os.ReadFile(path + ".damaged")
			if err != nil || !bytes.Equal(kept, content) {
				t.Fatalf("%s %d: the damaged file was not kept: %v", kind, at, err)
			}
		}
	}
}

func flipped(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1 << (at % 8)
	return c
}

func TestASnapshotThatCannotBeSavedIsAnErrorAndLeavesTheOldOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "snapshot")
	old := save(t, path, 5, 0)
	s := mustOpen(t, path, memstore.Config{})
	if _, err := s.Append(t.Context(), payload(6)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	if err := s.Close(); err == nil || !strings.HasPrefix(err.Error(), "memstore: save: ") {
		t.Errorf("Close: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, old) {
		t.Errorf("the old snapshot was changed: %v", err)
	}
	if _, err := memstore.Open(dir, memstore.Config{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open of a folder: %v", err)
	}
}

func FuzzSnapshot(f *testing.F) {
	path := filepath.Join(f.TempDir(), "snapshot")
	s, err := memstore.Open(path, memstore.Config{})
	if err == nil {
		_, err = s.Append(f.Context(), []byte("one"))
	}
	if err == nil {
		_, err = s.Append(f.Context(), nil)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:28])
	f.Add(append(bytes.Clone(whole[:28]), 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "snapshot")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := memstore.Open(path, memstore.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return // a newer version
		}
		off, err := s.Append(t.Context(), []byte("marker"))
		if err != nil || off == 0 {
			t.Fatalf("Append: %d, %v", off, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
