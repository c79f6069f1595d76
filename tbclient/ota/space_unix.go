//go:build linux || darwin

package ota

import "golang.org/x/sys/unix"

// freeSpace returns the space that is free on the medium of a folder, in bytes,
// or false if that is not known.
func freeSpace(folder string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // the types differ between systems
}
