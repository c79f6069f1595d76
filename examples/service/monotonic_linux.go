package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// monotonic is what systemd wants to know of the moment of a reload.
func monotonic() string {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return ""
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", ts.Nano()/1000)
}
