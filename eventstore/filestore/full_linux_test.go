package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		t.Skipf("a file system that fills up needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillDisk appends until the disk is full, and returns the last offset.
func fillDisk(t *testing.T, s *filestore.Store, next uint64) uint64 {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		off, err := s.Append(ctx, payload(next))
		if err == nil {
			next++
			if off%100 == 0 {
				err = s.Sync(ctx, off)
			}
		}
		cancel()
		if errors.Is(err, syscall.ENOSPC) {
			return next - 1
		}
		if err != nil {
			t.Fatalf("record %d: %v", next, err)
		}
	}
}

// TestTortureFullDisk fills a real file system again and again, and frees it by
// reading, and by removing what is not the store's.
func TestTortureFullDisk(t *testing.T) {
	for _, o := range []eventstore.Overflow{eventstore.Block, eventstore.Reject} {
		t.Run(fmt.Sprint("Policy", o), func(t *testing.T) {
			dir := smallDisk(t, 3<<20)
			ballast := filepath.Join(dir, "ballast")
			cfg := filestore.Config{
				Dir: filepath.Join(dir, "store"), SegmentBytes: 128 << 10, Overflow: o, SyncInterval: 5 * time.Millisecond, Logger: quiet(),
			}
			s := open(t, cfg)
			var last, acked uint64
			for round := range 6 {
				if round%2 == 0 {
					eventually(t, "there is room for the ballast", func() bool {
						return os.WriteFile(ballast, make([]byte, 256<<10), 0o600) == nil
					})
				}
				last = fillDisk(t, s, last+1)
				if round%2 == 0 {
					if err := os.Remove(ballast); err != nil {
						t.Fatal(err)
					}
				} else {
					if err := peekRun(limited(t), s, acked, last); err != nil {
						t.Fatal(err)
					}
					acked = last - last/4
					if err := s.Ack(t.Context(), acked); err != nil {
						t.Fatal(err)
					}
				}
				eventually(t, "the store goes on", func() bool { return s.Sync(limited(t), last) == nil })
			}
			mustClose(t, s)
			s = open(t, cfg)
			if st := s.Stats(); st.Pending != last-acked || st.Dropped != 0 {
				t.Errorf("%+v, want %d records", st, last-acked)
			}
			if err := peekRun(limited(t), s, acked, last); err != nil {
				t.Error(err)
			}
			mustClose(t, s)
		})
	}
}

// On a full disk the oldest records make room, if that is the policy.
func TestTortureFullDiskDropsOldest(t *testing.T) {
	dir := smallDisk(t, 2<<20)
	s := open(t, filestore.Config{
		Dir: filepath.Join(dir, "store"), SegmentBytes: 64 << 10, Overflow: eventstore.DropOldest, SyncInterval: 5 * time.Millisecond,
	})
	const n = 100_000
	for i := uint64(1); i <= n; i++ {
		appendOne(t, s, i)
		if i%200 == 0 {
			mustSync(t, s, i)
		}
	}
	st := s.Stats()
	if st.Dropped == 0 || st.Dropped+st.Pending != n || st.Pending < 10_000 {
		t.Errorf("%+v", st)
	}
	if err := peekRun(limited(t), s, st.Dropped, n); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
}

// A file that cannot grow any more is left for another one.
func TestAFileThatCannotGrowIsLeftForAnother(t *testing.T) {
	cmd := program(t, fileSizeEnv+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// withSmallFiles works with a store whose files the kernel does not let grow.
func withSmallFiles(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	const limit = 20 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg := filestore.Config{Dir: dir, SegmentBytes: 128 << 10, SyncInterval: time.Hour, Logger: quiet()}
	s, err := filestore.Open(cfg)
	if err != nil {
		return err
	}
	const n = 2000
	failed := 0
	for i := uint64(1); i <= n; i++ {
		if _, err := s.Append(ctx, payload(i)); err != nil {
			return err
		}
		if i%50 > 0 {
			continue
		}
		if err := s.Sync(ctx, i); err != nil {
			if failed++; !errors.Is(err, syscall.EFBIG) {
				return err
			}
			if err := s.Sync(ctx, i); err != nil {
				return fmt.Errorf("in another file: %w", err)
			}
		}
	}
	if failed < 3 {
		return fmt.Errorf("only %d files were as large as they can be", failed)
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = filestore.Open(cfg); err != nil {
		return err
	}
	if st := s.Stats(); st.Pending != n || st.Dropped != 0 {
		return fmt.Errorf("%+v after all", st)
	}
	return errors.Join(peekRun(ctx, s, 0, n), s.Close())
}
