package filestore_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// writerEnv makes the test binary a program that writes to the store in the
// folder that it names, until it is killed.
const writerEnv = "FILESTORE_TEST_WRITER"

const iterationsFlag = "kill.iterations"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(dir))
		os.Exit(1)
	}
	flag.Int(iterationsFlag, 20, "how often TestSyncedRecordsSurviveAKill kills a writer")
	os.Exit(m.Run())
}

func killConfig(dir string) filestore.Config {
	return filestore.Config{Dir: dir, SegmentBytes: 64 << 10, Overflow: eventstore.DropOldest, Logger: quiet()}
}

// writeUntilKilled prints the offset of each record that is durable.
func writeUntilKilled(dir string) error {
	s, err := filestore.Open(killConfig(dir))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	errs := make(chan error)
	var appending sync.Mutex
	for range 4 {
		go func() {
			for {
				appending.Lock()
				off, err := appendNext(ctx, s)
				appending.Unlock()
				if err == nil {
					err = s.Sync(ctx, off)
				}
				if err == nil {
					_, err = fmt.Fprintln(os.Stdout, off)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}

// appendNext appends the payload of the offset that it will have. It finds the
// offset out with the first record, which is empty.
func appendNext(ctx context.Context, s *filestore.Store) (uint64, error) {
	st := s.Stats()
	if st.Appended == 0 {
		return s.Append(ctx, nil)
	}
	recs, err := s.Peek(ctx, 0, nil, eventstore.Limit{Records: 1})
	if err != nil {
		return 0, err
	}
	return s.Append(ctx, payload(recs[0].Offset+st.Pending))
}

func TestSyncedRecordsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	iterations := flag.Lookup(iterationsFlag).Value.(flag.Getter).Get().(int)
	total := 0
	for i := range iterations {
		durable := killWriter(t, dir)
		total += checkAfterKill(t, dir, durable, i)
		if t.Failed() {
			return
		}
	}
	if total < iterations {
		t.Errorf("only %d records were durable in %d runs", total, iterations)
	}
}

// killWriter runs a writer for a moment and returns the offsets that were
// durable.
func killWriter(t *testing.T, dir string) []uint64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), writerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var durable []uint64
	for {
		line, err := lines.ReadString('\n')
		if len(durable) == 0 {
			time.AfterFunc(time.Duration(rand.IntN(100_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
		var off uint64
		if _, scanErr := fmt.Sscanln(line, &off); err == nil && scanErr == nil {
			durable = append(durable, off)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return durable
}

// checkAfterKill checks that the durable records are there, in order, and
// acknowledges most of what there is.
func checkAfterKill(t *testing.T, dir string, durable []uint64, i int) int {
	t.Helper()
	s := open(t, killConfig(dir))
	defer mustClose(t, s)
	there := map[uint64]bool{}
	var after uint64
	for pending := s.Stats().Pending; uint64(len(there)) < pending; {
		recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if after > 0 && r.Offset != after+1 {
				t.Fatalf("run %d: the record %d follows %d", i, r.Offset, after)
			}
			if len(r.Data) > 0 && string(r.Data) != string(payload(r.Offset)) {
				t.Fatalf("run %d: the record %d is %.60q", i, r.Offset, r.Data)
			}
			after = r.Offset
			there[after] = true
		}
	}
	for _, off := range durable {
		if !there[off] {
			t.Errorf("run %d: the record %d is lost; %+v", i, off, s.Stats())
		}
	}
	if d := s.Stats().Dropped; d > 0 {
		t.Errorf("run %d: %d records were dropped", i, d)
	}
	if err := s.Ack(t.Context(), after-min(after, uint64(rand.IntN(50)))); err != nil {
		t.Fatal(err)
	}
	return len(durable)
}
