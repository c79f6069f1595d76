//go:build unix

package bacnet

import "syscall"

// listensToBroadcasts says that a socket can be bound to a broadcast address, and
// that one bound to its own address does not hear broadcasts.
const listensToBroadcasts = true

// shareAddress lets a socket share its port with those of other addresses.
func shareAddress(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
