package socket

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"
)

// maxDatagram is the size of the largest datagram.
const maxDatagram = 65_535

// listenUDP serves datagrams until the run is over, or it cannot listen.
func (r *run) listenUDP() error {
	var lc net.ListenConfig
	packets, err := lc.ListenPacket(r.ctx, "udp", r.c.cfg.address())
	if err != nil {
		return err
	}
	conn := packets.(*net.UDPConn)
	stop := context.AfterFunc(r.ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	addr := conn.LocalAddr().String()
	r.c.bound.Store(&addr)
	r.log.Info("listening", slog.String("address", "udp "+addr))
	r.host.Ready()
	buf := make([]byte, maxDatagram)
	known := make(map[netip.AddrPort]*peer)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil || n == 0 {
			continue // such as the answer that a datagram of ours was not delivered
		}
		p := known[from]
		if p == nil {
			p = r.sender(conn, from, known)
		}
		if err := r.datagram(p, buf[:n]); err != nil {
			return err
		}
	}
}

// sender returns the peer of datagrams from an address. When too many are known,
// all are forgotten: those that go on sending are soon known again.
func (r *run) sender(conn *net.UDPConn, from netip.AddrPort, known map[netip.AddrPort]*peer) *peer {
	if len(known) >= r.c.cfg.MaxConnections {
		for addr, p := range known {
			r.remove(p)
			delete(known, addr)
		}
	}
	p := r.newPeer(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String())
	p.send = func(_ context.Context, b []byte) error {
		_, err := conn.WriteToUDPAddrPort(b, from)
		return err
	}
	known[from] = p
	r.add(p)
	r.announce(p)
	return p
}

// datagram handles a datagram, which is a message.
func (r *run) datagram(p *peer, m []byte) error {
	if len(m) > r.c.cfg.MaxBytes {
		for _, d := range p.devices {
			r.fault(d, p, errTooLarge)
		}
		return nil
	}
	return r.message(p, m)
}

var errTooLarge = errors.New("a datagram is larger than maxBytes")

// serveConnectedUDP reads the datagrams of one peer until it does not answer.
func (r *run) serveConnectedUDP(conn net.Conn, p *peer) error {
	stop := context.AfterFunc(r.ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	defer r.remove(p)
	p.send = func(ctx context.Context, b []byte) error { return r.write(ctx, conn, b) }
	r.announce(p)
	r.host.Ready()
	buf := make([]byte, maxDatagram)
	for {
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || err == nil && n == 0:
			continue
		case err != nil:
			return err
		}
		if err := r.datagram(p, buf[:n]); err != nil {
			return err
		}
	}
}
