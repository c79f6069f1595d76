package filestore_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// TestMemoryIsBounded lets another process make a backlog and read it, and checks
// how much memory it needed at most, above what it had before.
func TestMemoryIsBounded(t *testing.T) {
	if _, err := peakMemory(); err != nil {
		t.Skipf("the operating system does not tell: %v", err)
	}
	mib := intFlag(gigabytesFlag)
	cmd := program(t, backlogEnv+"="+t.TempDir()+" "+strconv.Itoa(mib))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var above int
	if _, err := fmt.Sscan(string(out), &above); err != nil {
		t.Fatal(err)
	}
	t.Logf("a backlog of %d MiB took %d KiB above idle", mib, above)
	if limit := 32 << 10; above > limit && !raceDetector {
		t.Errorf("a backlog of %d MiB took %d KiB of memory, more than %d KiB", mib, above, limit)
	}
}

// fillBacklog prints how many KiB of memory a backlog takes.
func fillBacklog(arg string) error {
	dir, size, _ := strings.Cut(arg, " ")
	mib, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := filestore.Open(filestore.Config{Dir: dir, MaxBytes: int64(mib+64) << 20 * 11 / 10, Logger: quiet()})
	if err != nil {
		return err
	}
	idle, err := peakMemory()
	if err != nil {
		return err
	}
	rec := make([]byte, 1024)
	n := uint64(mib) << 10
	for range n {
		if _, err := s.Append(ctx, rec); err != nil {
			return err
		}
	}
	if err := s.Sync(ctx, n); err != nil {
		return err
	}
	var recs []eventstore.Record
	for after := uint64(0); after < n; after = recs[len(recs)-1].Offset {
		if recs, err = s.Peek(ctx, after, recs[:0], eventstore.Limit{Records: 1000}); err != nil {
			return err
		}
		if err := s.Ack(ctx, recs[len(recs)-1].Offset); err != nil {
			return err
		}
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, peak-idle)
	return s.Close()
}

// peakMemory returns the most memory that this process has had, in KiB.
func peakMemory() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	_, err = fmt.Sscan(rest, &kib)
	return kib, err
}
