package rest

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// A listener closes connections that are too many, rather than to let them wait before
// others.
type listener struct {
	net.Listener
	open    *atomic.Int64 // of all listeners of the connector
	refused *atomic.Uint64
	full    *atomic.Bool
	limit   int64
	write   time.Duration
	log     *slog.Logger
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.limit {
			return &conn{Conn: c, l: l}, nil
		}
		l.open.Add(-1)
		l.refused.Add(1)
		if !l.full.Swap(true) {
			l.log.Warn("connections are refused: there are too many", slog.Int64("limit", l.limit))
		}
		_ = c.Close() // it is refused
	}
}

// A conn is a connection whose writes each have a time limit, so that a client that
// does not read is given up.
type conn struct {
	net.Conn
	l      *listener
	closed atomic.Bool
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.l.write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		if c.l.open.Add(-1) < c.l.limit*9/10 {
			c.l.full.Store(false)
		}
	}
	return c.Conn.Close()
}
