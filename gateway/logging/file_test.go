package logging_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

// backups returns the files that were set aside, the oldest first.
func backups(t *testing.T, path string) []string {
	t.Helper()
	names, err := filepath.Glob(path + ".*")
	require.NoError(t, err)
	slices.Sort(names)
	return names
}

func TestAFileIsSetAsideWhenItIsLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "gateway.log")
	f, err := logging.OpenFile(logging.FileConfig{Path: path, MaxBytes: 100, Backups: 3})
	require.NoError(t, err)
	defer f.Close()
	for i := range 50 {
		_, err := fmt.Fprintf(f, "%02d %s\n", i, strings.Repeat("x", 30))
		require.NoError(t, err)
	}
	require.Len(t, backups(t, path), 3)
	var all []byte
	for _, name := range append(backups(t, path), path) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), 100)
		require.True(t, strings.HasSuffix(string(b), "x\n"), "a line is split")
		all = append(all, b...)
	}
	// Four files of two or three lines: the newest ones, in order, without a gap.
	lines := strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
	require.True(t, strings.HasPrefix(lines[len(lines)-1], "49 "))
	for i, line := range lines {
		require.True(t, strings.HasPrefix(line, fmt.Sprintf("%02d ", 50-len(lines)+i)), line)
	}
}

func TestAFileIsSetAsideWhenItIsOldAndDeletedWhenItIsTooOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.log")
	synctest.Test(t, func(t *testing.T) {
		f, err := logging.OpenFile(logging.FileConfig{Path: path, Every: 24 * time.Hour, MaxAge: 60 * time.Hour, Backups: 100})
		require.NoError(t, err)
		for range 6 * 24 {
			_, err := f.Write([]byte("x\n"))
			require.NoError(t, err)
			time.Sleep(time.Hour)
		}
		require.NoError(t, f.Close())
	})
	require.Len(t, backups(t, path), 3) // of 0, 24 and 48 hours
}

func TestFilesOfOthersAreNotDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.log")
	other := path + ".important"
	require.NoError(t, os.WriteFile(other, []byte("x"), 0o600))
	f, err := logging.OpenFile(logging.FileConfig{Path: path, MaxBytes: 1, Backups: -1})
	require.NoError(t, err)
	for range 5 {
		_, err = f.Write([]byte("xx"))
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	require.Equal(t, []string{other}, backups(t, path))
}

func TestAFileGoesOnWhereItEndedAndAfterReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.log")
	for range 2 {
		f, err := logging.OpenFile(logging.FileConfig{Path: path})
		require.NoError(t, err)
		_, err = f.Write([]byte("a"))
		require.NoError(t, err)
		require.NoError(t, os.Rename(path, path+".1")) // as logrotate does
		require.NoError(t, f.Reopen())
		_, err = f.Write([]byte("b"))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = f.Write([]byte("c"))
		require.ErrorIs(t, err, os.ErrClosed)
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "b", string(b))
	b, err = os.ReadFile(path + ".1")
	require.NoError(t, err)
	require.Equal(t, "ba", string(b))
}

func TestManyWriteOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.log")
	f, err := logging.OpenFile(logging.FileConfig{Path: path, MaxBytes: 1000, Backups: 1000})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				_, err := f.Write([]byte("0123456789\n"))
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, f.Close())
	n := 0
	for _, name := range append(backups(t, path), path) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		n += strings.Count(string(b), "0123456789\n")
	}
	require.Equal(t, 400, n)
}

func TestAFileThatCannotBeOpenedIsAnErrorThatNamesIt(t *testing.T) {
	_, err := logging.OpenFile(logging.FileConfig{})
	require.ErrorContains(t, err, "path")
	dir := t.TempDir()
	_, err = logging.OpenFile(logging.FileConfig{Path: dir})
	require.ErrorContains(t, err, dir)
}
