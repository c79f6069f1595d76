package disk

import (
	"errors"
	"os"
	"syscall"
)

// syncData uses fdatasync, which leaves out the times of the file but not its
// size.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}
