//go:build unix

package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

var errReplaced = errors.New("another folder is in its place")

// sameFile returns an error if the file at path is not the one of held.
func sameFile(path string, held os.FileInfo) error {
	there, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the folder of the store is gone or closed: %w", err)
	}
	if !os.SameFile(there, held) {
		return fmt.Errorf("the folder %s of the store is gone: %w", filepath.Dir(path), errReplaced)
	}
	return nil
}

var errRemoved = errors.New("the folder of the store was removed")

// linked returns an error if f has no name any more.
func linked(f *os.File) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if st.Nlink == 0 {
		return fmt.Errorf("%w: %s", errRemoved, filepath.Dir(f.Name()))
	}
	return nil
}
