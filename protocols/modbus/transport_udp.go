package modbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// An udpTransport speaks Modbus TCP in datagrams, each of which is one frame. What
// is not the answer to the last request is passed over.
type udpTransport struct {
	conn        net.Conn
	transaction uint16
	out, in     []byte
}

var _ Transport = (*udpTransport)(nil)

func newUDP(conn net.Conn) *udpTransport {
	return &udpTransport{conn: conn, out: make([]byte, 0, maxADU), in: make([]byte, 2*maxADU)}
}

// Close implements Transport.
func (t *udpTransport) Close() error { return t.conn.Close() }

// Exchange implements Transport.
func (t *udpTransport) Exchange(ctx context.Context, unit uint8, request []byte, timeout time.Duration) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.conn.SetDeadline(deadlineOf(ctx, timeout)); err != nil {
		return nil, ioError(ctx, err)
	}
	w := watchContext(ctx, t.conn)
	defer w.end()
	t.transaction++
	t.out = appendMBAP(t.out[:0], t.transaction, unit, request)
	if _, err := t.conn.Write(t.out); err != nil {
		return nil, datagramError(ctx, err)
	}
	for {
		n, err := t.conn.Read(t.in)
		if err != nil {
			return nil, datagramError(ctx, err)
		}
		frame, size, err := parseMBAP(t.in[:n])
		if err != nil || size != n || frame.transaction != t.transaction {
			continue
		}
		if frame.unit != unit {
			return nil, fmt.Errorf("%w: unit %d in answer to unit %d", ErrProtocol, frame.unit, unit)
		}
		return frame.pdu, nil
	}
}

// datagramError is ioError for a socket that has no connection to lose: a peer
// whose host says that nobody listens is one that does not answer.
func datagramError(ctx context.Context, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil {
		return fmt.Errorf("%w: nobody listens", ErrTimeout)
	}
	return ioError(ctx, err)
}
