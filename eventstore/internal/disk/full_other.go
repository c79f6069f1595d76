//go:build !unix

package disk

import (
	"errors"
	"syscall"
)

// IsFull reports whether err says that the medium has no room left. The
// numbers are ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL of Windows.
func IsFull(err error) bool {
	var code syscall.Errno
	return errors.Is(err, syscall.ENOSPC) || errors.As(err, &code) && (code == 39 || code == 112)
}
