package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/internal/framing"
)

// handshakeTimeout bounds a TLS handshake, and a connection attempt.
const handshakeTimeout = 10 * time.Second

func (c Config) keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: c.KeepAlive > 0, Idle: c.KeepAlive, Interval: c.KeepAlive, Count: 3}
}

// listenTCP serves connections until the run is over, or it cannot listen.
func (r *run) listenTCP() error {
	var secure *tls.Config
	if r.c.cfg.TLS != nil {
		var err error
		if secure, err = r.c.cfg.TLS(); err != nil {
			return err
		}
	}
	lc := net.ListenConfig{KeepAliveConfig: r.c.cfg.keepAlive()}
	ln, err := lc.Listen(r.ctx, "tcp", r.c.cfg.address())
	if err != nil {
		return err
	}
	stop := context.AfterFunc(r.ctx, func() { _ = ln.Close() })
	defer stop()
	defer ln.Close()
	addr := ln.Addr().String()
	r.c.bound.Store(&addr)
	r.log.Info("listening", slog.String("address", "tcp "+addr))
	r.host.Ready()
	var b backoff.Backoff
	for crowded := false; ; {
		conn, err := ln.Accept()
		switch {
		case r.ctx.Err() != nil:
			if err == nil {
				_ = conn.Close() // too late
			}
			return r.ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // no more descriptors, or a connection that has ended already
			r.log.Warn("a connection was not accepted", slog.Any("error", err))
			if err := b.Wait(r.ctx); err != nil {
				return err
			}
			continue
		}
		b.Reset()
		p := r.newPeer(conn.RemoteAddr().String())
		admitted := r.add(p)
		if !admitted {
			r.c.refused.Add(1)
			_ = conn.Close() // that is how it is refused
		}
		if crowded != !admitted {
			if crowded = !admitted; crowded {
				r.log.Warn("connections are refused: there are too many", slog.Int("limit", r.c.cfg.MaxConnections))
			}
		}
		if admitted {
			r.conns.Go(func() { _ = r.serveTCP(conn, p, secure, tls.Server) }) // it says itself why it ended
		}
	}
}

// dialAll keeps a connection to the peer until the run is over.
func (r *run) dialAll() error {
	var b backoff.Backoff
	told := ""
	for r.ctx.Err() == nil {
		begun := time.Now()
		err := r.dialOne()
		if r.ctx.Err() != nil {
			break
		}
		if text := fmt.Sprint(err); text != told {
			r.log.Warn("no connection, will connect again", slog.String("peer", r.c.cfg.address()), slog.Any("error", err))
			told = text
		}
		if err := sleep(r.ctx, &b, time.Since(begun)); err != nil {
			break
		}
	}
	return r.ctx.Err()
}

// dialOne connects, and serves the connection until it ends.
func (r *run) dialOne() error {
	var secure *tls.Config
	if r.c.cfg.TLS != nil {
		var err error
		if secure, err = r.c.cfg.TLS(); err != nil {
			return err
		}
		if secure = secure.Clone(); secure.ServerName == "" {
			secure.ServerName = r.c.cfg.Address
		}
	}
	d := net.Dialer{Timeout: handshakeTimeout, KeepAliveConfig: r.c.cfg.keepAlive()}
	conn, err := d.DialContext(r.ctx, r.c.cfg.network(), r.c.cfg.address())
	if err != nil {
		return err
	}
	p := r.newPeer(conn.RemoteAddr().String())
	r.add(p)
	r.log.Info("connected", slog.String("peer", p.addr))
	if r.c.cfg.UDP {
		return r.serveConnectedUDP(conn, p)
	}
	return r.serveTCP(conn, p, secure, tls.Client)
}

// serveTCP reads the messages of a connection until it ends.
func (r *run) serveTCP(conn net.Conn, p *peer, secure *tls.Config, side func(net.Conn, *tls.Config) *tls.Conn) error {
	stop := context.AfterFunc(r.ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	defer r.remove(p)
	if secure != nil {
		t := side(conn, secure)
		ctx, cancel := context.WithTimeout(r.ctx, handshakeTimeout)
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			r.log.Warn("a connection was not encrypted and is closed", slog.String("peer", p.addr), slog.Any("error", err))
			return err
		}
		conn = t
	}
	p.send = func(ctx context.Context, b []byte) error { return r.write(ctx, conn, b) }
	r.announce(p)
	r.host.Ready()
	stream := conn
	if idle := r.c.cfg.IdleTimeout; idle > 0 {
		timer := time.AfterFunc(idle, func() { _ = conn.Close() })
		defer timer.Stop()
		stream = watched{conn, timer, idle}
	}
	in := framing.NewReader(stream, r.c.cfg.Framing)
	for {
		m, err := in.Next()
		if errors.Is(err, framing.ErrTooLong) {
			for _, d := range p.devices {
				r.fault(d, p, fmt.Errorf("%w: over %d bytes", err, r.c.cfg.MaxBytes))
			}
			if f := r.c.cfg.Framing; len(f.Delimiter) > 0 || f.Gap > 0 {
				continue
			}
			return err
		}
		if err != nil {
			r.log.Debug("connection ended", slog.String("peer", p.addr), slog.Any("error", err))
			if errors.Is(err, io.EOF) {
				return errors.New("the peer has closed the connection")
			}
			return err
		}
		if err := r.message(p, m); err != nil {
			return err
		}
	}
}

// A watched connection is closed by its timer when nothing has come for some time.
type watched struct {
	net.Conn
	timer *time.Timer
	idle  time.Duration
}

// Read implements io.Reader.
func (w watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.timer.Reset(w.idle)
	}
	return n, err
}
