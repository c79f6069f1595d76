package bacnet

import (
	"context"
	"net/netip"
)

// A Link sends and receives datagrams. Its methods may be called concurrently.
type Link interface {
	// Serve calls handle for the datagrams that arrive, one after the other, until
	// Close is called or nothing can be received any more, which is an error.
	// handle does not retain b.
	Serve(handle func(b []byte, from netip.AddrPort)) error

	// Send sends a datagram to an address, which may be that of Broadcast.
	Send(b []byte, to netip.AddrPort) error

	// Broadcast returns the address of all stations of the local network.
	Broadcast() netip.AddrPort

	// Own reports whether an address is the link's own: devices hear their own
	// broadcasts.
	Own(from netip.AddrPort) bool

	Close() error
}

// An Opener opens the link of a local station. [Listen] is one.
type Opener func(ctx context.Context, l Local) (Link, error)
