package bacnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

const (
	receiveBuffer = 1 << 20 // bytes; a Who-Is to a large installation is answered at once
	readErrors    = 10      // in a row, that end a link
)

// A udpLink is a Link of UDP sockets: one that is bound to the station's address, and
// where that is a certain one, another that hears the broadcasts of its network.
type udpLink struct {
	conns     []*net.UDPConn
	own       map[netip.Addr]bool
	port      uint16
	broadcast netip.AddrPort
	closed    chan struct{}
	once      sync.Once
}

var _ Link = (*udpLink)(nil)

// Listen opens a UDP socket. It is the Opener of [NewSockets].
func Listen(ctx context.Context, l Local) (Link, error) {
	l = l.withDefaults()
	if err := l.validate(); err != nil {
		return nil, err
	}
	addr := netip.AddrPortFrom(netip.MustParseAddr(l.Host), uint16(max(l.Port, 0)))
	conn, err := listen(ctx, addr, false)
	if err != nil && !addr.Addr().IsUnspecified() {
		conn, err = listen(ctx, addr, true) // another program may have all addresses
	}
	if err != nil {
		return nil, fmt.Errorf("bacnet: %w", err)
	}
	u := &udpLink{conns: []*net.UDPConn{conn}, own: ownAddresses(), closed: make(chan struct{})}
	u.port = conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	u.broadcast = l.broadcast(u.port)
	if !addr.Addr().IsUnspecified() && listensToBroadcasts {
		if hears, err := listen(ctx, u.broadcast, true); err == nil {
			u.conns = append(u.conns, hears)
		}
	}
	return u, nil
}

func listen(ctx context.Context, addr netip.AddrPort, share bool) (*net.UDPConn, error) {
	var lc net.ListenConfig
	if share {
		lc.Control = shareAddress
	}
	c, err := lc.ListenPacket(ctx, "udp4", addr.String())
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UDPConn)
	_ = conn.SetReadBuffer(receiveBuffer) // the system may allow less
	return conn, nil
}

func ownAddresses() map[netip.Addr]bool {
	own := make(map[netip.Addr]bool)
	addrs, _ := net.InterfaceAddrs() // none are known then
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own[p.Addr()] = true
		}
	}
	return own
}

// Serve implements Link.
func (u *udpLink) Serve(handle func(b []byte, from netip.AddrPort)) error {
	var mu sync.Mutex
	errs := make([]error, len(u.conns))
	var wg sync.WaitGroup
	for i, conn := range u.conns {
		wg.Go(func() {
			errs[i] = u.receive(conn, func(b []byte, from netip.AddrPort) {
				mu.Lock()
				defer mu.Unlock()
				handle(b, from)
			})
			_ = u.Close()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (u *udpLink) receive(conn *net.UDPConn, handle func(b []byte, from netip.AddrPort)) error {
	buf := make([]byte, wire.MaxDatagram+1)
	for failures := 0; ; {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil:
			failures = 0
			handle(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		}
		// Some systems report that an earlier datagram was refused.
		if failures++; failures >= readErrors {
			return fmt.Errorf("bacnet: receive: %w", err)
		}
		select {
		case <-u.closed:
		case <-time.After(time.Duration(failures) * time.Millisecond):
		}
	}
}

// Send implements Link.
func (u *udpLink) Send(b []byte, to netip.AddrPort) error {
	_, err := u.conns[0].WriteToUDPAddrPort(b, to)
	return err
}

// Broadcast implements Link.
func (u *udpLink) Broadcast() netip.AddrPort { return u.broadcast }

// Own implements Link.
func (u *udpLink) Own(from netip.AddrPort) bool { return from.Port() == u.port && u.own[from.Addr()] }

// Close implements Link.
func (u *udpLink) Close() error {
	var err error
	u.once.Do(func() {
		close(u.closed)
		for _, c := range u.conns {
			err = errors.Join(err, c.Close())
		}
	})
	return err
}
