package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// idleLimit is how long a connection may rest before it is looked at for having
// been closed by the peer, so that a request is not spent on finding out.
const idleLimit = time.Second

const (
	mbapHeader = 7 // transaction, protocol, length, unit
	maxADU     = mbapHeader + maxPDU
)

// A tcpTransport speaks Modbus TCP. Answers are matched by transaction, so one
// that comes late is passed over; what of it has arrived is kept, so the stream
// stays in step after a time-out.
type tcpTransport struct {
	conn        net.Conn
	transaction uint16
	out         []byte
	in          []byte // received and not looked at
	used        int    // bytes of in that the last answer took
	active      time.Time
}

var _ Transport = (*tcpTransport)(nil)

func newTCP(conn net.Conn) *tcpTransport {
	return &tcpTransport{conn: conn, out: make([]byte, 0, maxADU), in: make([]byte, 0, 4*maxADU), active: time.Now()}
}

// Close implements Transport.
func (t *tcpTransport) Close() error { return t.conn.Close() }

// Exchange implements Transport.
func (t *tcpTransport) Exchange(ctx context.Context, unit uint8, request []byte, timeout time.Duration) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.discard(t.used)
	if err := t.settle(); err != nil {
		return nil, ioError(ctx, err)
	}
	if err := t.conn.SetDeadline(deadlineOf(ctx, timeout)); err != nil {
		return nil, ioError(ctx, err)
	}
	w := watchContext(ctx, t.conn)
	defer w.end()
	t.transaction++
	t.out = appendMBAP(t.out[:0], t.transaction, unit, request)
	if _, err := t.conn.Write(t.out); err != nil {
		return nil, t.writeError(ctx, err)
	}
	return t.receive(ctx, unit)
}

// writeError classifies an error of writing: after a part of a frame the stream
// is out of step.
func (t *tcpTransport) writeError(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: the peer does not read", ErrLost)
	}
	return ioError(ctx, err)
}

func (t *tcpTransport) receive(ctx context.Context, unit uint8) ([]byte, error) {
	for {
		frame, n, err := parseMBAP(t.in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrLost, err)
		}
		if n == 0 {
			if err := t.read(); err != nil {
				return nil, ioError(ctx, err)
			}
			continue
		}
		if frame.transaction != t.transaction {
			t.discard(n)
			continue
		}
		t.used, t.active = n, time.Now()
		if frame.unit != unit {
			return nil, fmt.Errorf("%w: unit %d in answer to unit %d", ErrProtocol, frame.unit, unit)
		}
		return frame.pdu, nil
	}
}

func (t *tcpTransport) read() error {
	n, err := t.conn.Read(t.in[len(t.in):cap(t.in)])
	t.in = t.in[:len(t.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// settle reads what came while the connection rested: late answers, or its end.
func (t *tcpTransport) settle() error {
	if time.Since(t.active) < idleLimit {
		return nil
	}
	if err := t.conn.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return err
	}
	for {
		if err := t.read(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		}
		for {
			_, n, err := parseMBAP(t.in)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			t.discard(n)
		}
	}
}

func (t *tcpTransport) discard(n int) {
	t.in = t.in[:copy(t.in, t.in[n:])]
	t.used = 0
}

// A mbapFrame is a frame of Modbus TCP.
type mbapFrame struct {
	transaction uint16
	unit        uint8
	pdu         []byte
}

// appendMBAP appends a frame.
func appendMBAP(dst []byte, transaction uint16, unit uint8, pdu []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, transaction)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(pdu)+1))
	dst = append(dst, unit)
	return append(dst, pdu...)
}

// parseMBAP returns the frame that b starts with and its length, which is 0 if b
// holds only a part of it. An error means that b does not start with a frame.
func parseMBAP(b []byte) (f mbapFrame, n int, err error) {
	if len(b) < mbapHeader {
		return mbapFrame{}, 0, nil
	}
	if p := binary.BigEndian.Uint16(b[2:]); p != 0 {
		return mbapFrame{}, 0, fmt.Errorf("not a Modbus TCP frame (protocol %d)", p)
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < 2 || length > maxPDU+1 {
		return mbapFrame{}, 0, fmt.Errorf("not a Modbus TCP frame (length %d)", length)
	}
	n = mbapHeader - 1 + length
	if len(b) < n {
		return mbapFrame{}, 0, nil
	}
	return mbapFrame{transaction: binary.BigEndian.Uint16(b), unit: b[6], pdu: b[mbapHeader:n:n]}, n, nil
}
