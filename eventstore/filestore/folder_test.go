package filestore_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

func crcOf(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func TestOneStoreAtATimeHasAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, filestore.Config{Dir: dir})
	_, err := filestore.Open(filestore.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the second Open: %v", err)
	}
	fill(t, s, 1)
	mustClose(t, s)
	s = open(t, filestore.Config{Dir: dir})
	if s.Stats().Pending != 1 {
		t.Error("the record is gone")
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	if _, err := filestore.Open(filestore.Config{}); err == nil || !strings.HasPrefix(err.Error(), "filestore: ") {
		t.Errorf("without a folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := filestore.Open(filestore.Config{Dir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as the folder: %v", err)
	}
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode on windows")
	}
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, filestore.Config{Dir: dir})
	mustSync(t, s, fill(t, s, 3))
	if err := s.Ack(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %v; want segment, cursor and lock", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestFilesStayWithinMaxBytes(t *testing.T) {
	for _, o := range []eventstore.Overflow{eventstore.Block, eventstore.DropOldest} {
		dir := t.TempDir()
		s := open(t, filestore.Config{Dir: dir, MaxBytes: 64 << 10, Overflow: o, SyncInterval: time.Hour})
		var acked uint64
		for range 300 {
			last := fill(t, s, 20)
			mustSync(t, s, last)
			if o == eventstore.Block && last > acked+500 {
				acked = last - 100
				if err := s.Ack(t.Context(), acked); err != nil {
					t.Fatal(err)
				}
			}
			var size int64
			paths, err := filepath.Glob(filepath.Join(dir, "*.seg"))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range paths {
				if info, err := os.Stat(p); err == nil {
					size += info.Size()
				}
			}
			if size > 64<<10 {
				t.Fatalf("policy %d: the files have %d bytes", o, size)
			}
		}
	}
}

func TestABacklogIsReadFromFiles(t *testing.T) {
	cfg := filestore.Config{Dir: t.TempDir(), SegmentBytes: 256 << 10}
	s := open(t, cfg)
	last := fill(t, s, 100_000) // 6 MB
	mustSync(t, s, last)
	for _, lim := range []eventstore.Limit{{}, {Records: 100}, {Bytes: 1000}} {
		for after := last / 2; after < last; {
			recs, err := s.Peek(limited(t), after, nil, lim)
			if err != nil || len(recs) == 0 {
				t.Fatalf("Peek after %d: %d records, %v", after, len(recs), err)
			}
			for _, r := range recs {
				after++
				if r.Offset != after || string(r.Data) != string(payload(after)) {
					t.Fatalf("the record %d is %d, %.60q", after, r.Offset, r.Data)
				}
			}
		}
	}
	for _, after := range []uint64{90_000, 10, 50_000, 49_000, 0} {
		recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{Records: 3})
		if err != nil || len(recs) == 0 || recs[0].Offset != after+1 || string(recs[0].Data) != string(payload(after+1)) {
			t.Fatalf("Peek after %d: %v, %v", after, recs, err)
		}
	}
	mustClose(t, s)
}

func TestAReaderThatIsOvertakenByDropsGoesOn(t *testing.T) {
	s := open(t, filestore.Config{Dir: t.TempDir(), MaxBytes: 4 << 20, Overflow: eventstore.DropOldest})
	const n = 200_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		fill(t, s, n)
	}()
	read := uint64(0)
	for after := uint64(0); after < n; {
		recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{Records: 50})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if r.Offset <= after || string(r.Data) != string(payload(r.Offset)) {
				t.Fatalf("after %d: %d %.60q", after, r.Offset, r.Data)
			}
			after = r.Offset
			read++
		}
	}
	<-done
	if st := s.Stats(); st.Dropped == 0 || read+st.Dropped < n {
		t.Errorf("%d records were read; %+v", read, st)
	}
}

func TestARecordLargerThanASegmentMakesRoomForTheNext(t *testing.T) {
	s := open(t, filestore.Config{Dir: t.TempDir(), MaxBytes: 8 << 10, SyncInterval: time.Hour})
	big := make([]byte, 6<<10)
	if _, err := s.Append(t.Context(), make([]byte, 8<<10)); !errors.Is(err, eventstore.ErrTooLarge) {
		t.Errorf("a record as large as the store: %v", err)
	}
	for i := range uint64(5) {
		ctx := limited(t)
		result := make(chan error, 1)
		go func() {
			_, err := s.Append(ctx, big)
			result <- err
		}()
		if i > 0 {
			time.Sleep(5 * time.Millisecond) // usually it waits by now
			if err := s.Ack(ctx, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-result; err != nil {
			t.Fatalf("Append of record %d: %v", i+1, err)
		}
	}
}

// Files that have no name any more take what is written and forget it.
func TestNothingIsConfirmedInAFolderThatWasRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder in use cannot be removed on windows")
	}
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, filestore.Config{Dir: dir, SyncInterval: time.Millisecond})
	mustSync(t, s, fill(t, s, 10))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	appendOne(t, s, 11)
	if err := s.Sync(limited(t), 11); err == nil || !strings.Contains(err.Error(), "removed") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Sync: %v", err)
	}
	eventually(t, "the condition tells", func() bool { return s.Condition().Failure != nil })
}

// A folder that is moved and comes back, as with a medium that is mounted again,
// is the same store.
func TestAFolderThatComesBackIsTheSameStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder in use cannot be moved on windows")
	}
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, filestore.Config{Dir: dir, SegmentBytes: 4 << 10, SyncInterval: time.Millisecond})
	mustSync(t, s, fill(t, s, 100))
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // as an empty mount point
		t.Fatal(err)
	}
	if err := s.Ack(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cursor cannot be written", func() bool { return s.Condition().Failure != nil })
	last := fill(t, s, 100)
	if err := s.Sync(limited(t), last); err == nil {
		t.Error("what needs another segment is confirmed")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("in the place of the folder: %v, %v", entries, err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store goes on", func() bool { return s.Sync(limited(t), last) == nil })
	mustClose(t, s)
	s = open(t, filestore.Config{Dir: dir})
	if err := peekRun(limited(t), s, 10, last); err != nil || s.Stats().Dropped > 0 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
}
