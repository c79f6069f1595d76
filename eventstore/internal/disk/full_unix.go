//go:build unix

package disk

import (
	"errors"
	"syscall"
)

// IsFull reports whether err says that the medium, or a quota on it, has no
// room left.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
