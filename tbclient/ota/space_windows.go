package ota

import "golang.org/x/sys/windows"

// freeSpace returns the space that is free on the medium of a folder, in bytes,
// or false if that is not known.
func freeSpace(folder string) (int64, bool) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, false
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, false
	}
	return int64(min(free, 1<<62)), true
}
