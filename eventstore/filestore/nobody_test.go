package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// TestWrongPermissionsAreToldAndCostNothing runs as another user if this one may
// do everything.
func TestWrongPermissionsAreToldAndCostNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders have no mode on windows")
	}
	cmd := program(t, nobodyEnv+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// asNobody checks a store below folder without the rights of root.
func asNobody(folder string) error {
	dir, err := becomeNobody(folder)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		return err
	}
	if _, err := filestore.Open(filestore.Config{Dir: filepath.Join(closed, "store")}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), closed) {
		return fmt.Errorf("open in a folder without rights: %w", err)
	}
	cfg := filestore.Config{Dir: filepath.Join(dir, "store"), SegmentBytes: 4 << 10, SyncInterval: 5 * time.Millisecond, Logger: quiet()}
	s, err := filestore.Open(cfg)
	if err != nil {
		return err
	}
	if err := appendAndSync(ctx, s, 1, 200); err != nil {
		return err
	}
	if err := os.Chmod(cfg.Dir, 0); err != nil { // nothing can be opened in it
		return err
	}
	err = appendAndSync(ctx, s, 201, 300) // needs another segment
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), cfg.Dir) {
		return fmt.Errorf("without rights: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return err
	}
	for !errors.Is(err, context.DeadlineExceeded) {
		if err = s.Sync(ctx, 300); err == nil { // it recovers by itself
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := errors.Join(err, peekRun(ctx, s, 0, s.Stats().Appended), s.Close()); err != nil {
		return err
	}
	if s, err = filestore.Open(cfg); err != nil {
		return err
	}
	if st := s.Stats(); st.Pending < 201 || st.Dropped > 0 {
		return fmt.Errorf("%+v after all", st)
	}
	return s.Close()
}

func appendAndSync(ctx context.Context, s eventstore.EventStore, first, last uint64) error {
	for o := first; o <= last; o++ {
		if _, err := s.Append(ctx, payload(o)); err != nil {
			return err
		}
	}
	return s.Sync(ctx, last)
}
