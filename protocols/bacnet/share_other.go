//go:build !unix

package bacnet

import "syscall"

// listensToBroadcasts says that a socket can be bound to a broadcast address. Here
// one that is bound to its own address hears broadcasts.
const listensToBroadcasts = false

// shareAddress does nothing: to share an address here would take it from others.
func shareAddress(_, _ string, _ syscall.RawConn) error { return nil }
