package socket

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/internal/framing"
)

// A peer is the far side of a connection, or of datagrams.
type peer struct {
	addr    string
	devices []*device                                 // that it may speak for
	send    func(ctx context.Context, b []byte) error // once it is ready
	ready   atomic.Bool
	gone    atomic.Bool
}

// reach is how a device is reached.
type reach struct {
	last      atomic.Pointer[peer] // that spoke for it last
	announced atomic.Pointer[run]
	faulty    atomic.Bool // its last message had a fault, which was logged
	replies   framing.Replies
	asking    sync.Mutex // one question at a time
}

// newPeer returns the peer at an address.
func (r *run) newPeer(addr string) *peer {
	p := &peer{addr: addr}
	for _, d := range r.c.devices {
		if d.address.match(addr) {
			p.devices = append(p.devices, d)
		}
	}
	return p
}

// write writes b to conn, within the write time-out. After a failure the
// connection is of no use, since it is not known what has arrived.
func (r *run) write(ctx context.Context, conn net.Conn, b []byte) error {
	end := time.Now().Add(r.c.cfg.WriteTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	err := conn.SetWriteDeadline(end)
	if err == nil {
		_, err = conn.Write(b)
	}
	if err != nil && !r.c.cfg.UDP {
		_ = conn.Close() // the reader finds out, and says so
	}
	return err
}

// tell writes b to a device: to the peer that spoke for it last, or else to one
// that may, or else to the only one that is possible.
func (r *run) tell(ctx context.Context, d *device, b []byte) error {
	if p := d.last.Load(); p != nil && !p.gone.Load() {
		return p.send(ctx, b)
	}
	if p := r.candidate(d); p != nil {
		return p.send(ctx, b)
	}
	if d.address.literal != "" && !r.c.cfg.Dial {
		return r.tellAt(ctx, d.address.literal, b)
	}
	return fmt.Errorf("no peer of the device is connected (it may be at %q)", d.Address)
}

// candidate returns a peer that may speak for d.
func (r *run) candidate(d *device) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.peers {
		if p.ready.Load() && slices.Contains(p.devices, d) {
			return p
		}
	}
	return nil
}

// tellAt connects to an address to write b to it.
func (r *run) tellAt(ctx context.Context, addr string, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, r.c.cfg.WriteTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, r.c.cfg.network(), addr)
	if err != nil {
		return err
	}
	if err := r.write(ctx, conn, b); err != nil {
		_ = conn.Close() // the cause is in err
		return err
	}
	return conn.Close()
}
