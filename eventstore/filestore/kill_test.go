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
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// These make the test binary a program of its own.
const (
	writerEnv   = "FILESTORE_TEST_WRITER"   // works in the folder that it names until it is killed
	variantEnv  = "FILESTORE_TEST_VARIANT"  // of the configuration of the writer
	nobodyEnv   = "FILESTORE_TEST_NOBODY"   // checks what happens without permissions
	backlogEnv  = "FILESTORE_TEST_BACKLOG"  // fills the folder that it names
	fileSizeEnv = "FILESTORE_TEST_FILESIZE" // works in a folder whose files cannot grow
)

// The flags that make the torture longer than in the project's own check.
const (
	iterationsFlag = "kill.iterations"
	outcomesFlag   = "crash.outcomes"
	flipsFlag      = "flip.bits"
	gigabytesFlag  = "backlog.mib"
)

func TestMain(m *testing.M) {
	for env, program := range map[string]func(string) error{
		writerEnv: writeUntilKilled, nobodyEnv: asNobody, backlogEnv: fillBacklog, fileSizeEnv: withSmallFiles,
	} {
		if arg := os.Getenv(env); arg != "" {
			if err := program(arg); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	flag.Int(iterationsFlag, 200, "how often TestTortureKill kills a writer")
	flag.Int(outcomesFlag, 60, "how many states of the disk TestTorturePowerCut tries for each cut")
	flag.Int(flipsFlag, 1, "how many bits of each byte TestTortureBitFlip inverts")
	flag.Int(gigabytesFlag, 64, "how large a backlog TestMemoryIsBounded makes")
	os.Exit(m.Run())
}

func intFlag(name string) int { return flag.Lookup(name).Value.(flag.Getter).Get().(int) }

// program returns the command that runs this test binary as a program.
func program(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// killConfig returns one of the configurations that follow each other in the
// same folder.
func killConfig(dir string, variant int) filestore.Config {
	cfg := filestore.Config{
		Dir: dir, SegmentBytes: 64 << 10, Overflow: eventstore.DropOldest, Logger: quiet(), SyncInterval: 20 * time.Millisecond,
		OldKeys: []filestore.Key{key("k1")}, OldCodecs: []filestore.Codec{compress.S2{}},
	}
	switch variant % 5 {
	case 1:
		cfg.Key, cfg.Codec = key("k1"), compress.S2{}
	case 2:
		cfg.Durability = filestore.Interval
	case 3:
		cfg.Durability = filestore.None
	}
	return cfg
}

// writeUntilKilled prints "d" and the offset of each record that is durable, and
// "a" and the offset of each that is about to be acknowledged.
func writeUntilKilled(dir string) error {
	variant, err := strconv.Atoi(os.Getenv(variantEnv))
	if err != nil {
		return err
	}
	s, err := filestore.Open(killConfig(dir, variant))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w := writer{s: s}
	errs := make(chan error)
	for range 4 {
		go func() { errs <- w.write(ctx) }()
	}
	go func() { errs <- w.read(ctx) }()
	return <-errs
}

// A writer appends payloads.
type writer struct {
	s    *filestore.Store
	mu   sync.Mutex
	next uint64 // offset, or 0
}

func (w *writer) write(ctx context.Context) error {
	for {
		off, err := w.append(ctx)
		if err == nil {
			err = w.s.Sync(ctx, off)
		}
		if err == nil {
			_, err = fmt.Fprintf(os.Stdout, "d %d\n", off)
		}
		if err != nil {
			return err
		}
	}
}

// append appends the payload of the offset that it will have. The first record
// is empty, and tells the offset.
func (w *writer) append(ctx context.Context) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var rec []byte
	if w.next > 0 {
		rec = payload(w.next)
	}
	off, err := w.s.Append(ctx, rec)
	w.next = off + 1
	return off, err
}

// read acknowledges most of what it reads.
func (w *writer) read(ctx context.Context) error {
	var after uint64
	for {
		recs, err := w.s.Peek(ctx, after, nil, eventstore.Limit{Records: 40})
		if err != nil {
			return err
		}
		after = recs[len(recs)-1].Offset
		if len(recs) < 20 {
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := fmt.Fprintf(os.Stdout, "a %d\n", recs[10].Offset); err != nil {
			return err
		}
		if err := w.s.Ack(ctx, recs[10].Offset); err != nil {
			return err
		}
	}
}

// told is what a writer has said before it was killed.
type told struct {
	durable []uint64
	acked   uint64
}

// TestTortureKill kills a program with SIGKILL again and again while it works,
// and checks that everything that was durable and not acknowledged is read back,
// in order and once.
func TestTortureKill(t *testing.T) {
	dir := t.TempDir()
	iterations := intFlag(iterationsFlag)
	durable := 0
	var acked uint64
	for i := range iterations {
		said := killWriter(t, dir, i)
		durable += len(said.durable)
		acked = max(acked, said.acked)
		acked = checkAfterKill(t, dir, said.durable, acked, i)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d records were confirmed in %d runs, none was lost", durable, iterations)
	if durable < iterations {
		t.Errorf("only %d records were durable in %d runs", durable, iterations)
	}
}

// killWriter runs a writer for a moment and returns what it has said.
func killWriter(t *testing.T, dir string, i int) (said told) {
	t.Helper()
	cmd := program(t, writerEnv+"="+dir, variantEnv+"="+strconv.Itoa(i))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for begun := false; ; begun = true {
		line, err := lines.ReadString('\n')
		if !begun {
			time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
		var kind string
		var off uint64
		if _, scanErr := fmt.Sscanln(line, &kind, &off); err == nil && scanErr == nil {
			if kind == "d" {
				said.durable = append(said.durable, off)
			} else {
				said.acked = max(said.acked, off)
			}
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
	return said
}

// checkAfterKill checks that the durable records that are not acknowledged are
// there, and acknowledges most of what there is.
func checkAfterKill(t *testing.T, dir string, durable []uint64, acked uint64, i int) uint64 {
	t.Helper()
	s := open(t, killConfig(dir, 0))
	defer mustClose(t, s)
	there := map[uint64]bool{}
	var after uint64
	for pending := s.Stats().Pending; uint64(len(there)) < pending; {
		recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if after > 0 && r.Offset != after+1 || after == 0 && r.Offset > acked+1 {
				t.Fatalf("run %d: the record %d follows %d; %d is acknowledged", i, r.Offset, after, acked)
			}
			if len(r.Data) > 0 && string(r.Data) != string(payload(r.Offset)) {
				t.Fatalf("run %d: the record %d is %.60q", i, r.Offset, r.Data)
			}
			after = r.Offset
			there[after] = true
		}
	}
	for _, off := range durable {
		if !there[off] && off > acked {
			t.Errorf("run %d: the record %d is lost; %+v", i, off, s.Stats())
		}
	}
	if d := s.Stats().Dropped; d > 0 {
		t.Errorf("run %d: %d records were dropped", i, d)
	}
	if after == 0 {
		return acked
	}
	acked = max(acked, after-min(after, uint64(rand.IntN(50))))
	if err := s.Ack(t.Context(), acked); err != nil {
		t.Fatal(err)
	}
	return acked
}
