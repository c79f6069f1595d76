package modbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

const (
	// quietSerial and quietNetwork end an answer that was begun: no more of it
	// has come for so long. USB adapters deliver in steps of 16 ms, networks in
	// whatever steps they like.
	quietSerial  = 100 * time.Millisecond
	quietNetwork = 500 * time.Millisecond
	quietASCII   = time.Second // may pass between two characters (section 2.5.2.1)

	// An answer that did not come is still expected to come late for as long
	// again as the time-out, within these bounds.
	lateShortest = time.Second
	lateLongest  = 2 * time.Second

	// turnaround is how long the units are given to carry out a broadcast
	// (MODBUS over Serial Line V1.02, section 2.4.1: 100 to 200 ms).
	turnaround = 150 * time.Millisecond
)

// An serialTransport speaks Modbus RTU. RTU answers carry no number, so a late one
// could be taken for the next. Therefore, after a time-out, the next request to
// that unit waits until its late answer has come, or as long again as the
// time-out (one second at least, two at most); and everything received before a request is
// discarded.
type serialTransport struct {
	s     stream
	frame framing
	flush func() error  // discards what was received; nil: read it away
	char  time.Duration // time of a character; 0 on a network
	gap   time.Duration // silence between frames
	quiet time.Duration
	echo  bool // the line repeats what is sent
	line  bool // unit 0 is all units of the line, and none of them answers

	out    []byte
	in     []byte
	late   map[uint8]time.Time // units whose answer did not come, and until when it may
	active time.Time           // when the line was last in use
}

var _ Transport = (*serialTransport)(nil)

func newSerial(s stream, f framing) *serialTransport {
	return &serialTransport{
		s: s, frame: f, quiet: quietNetwork, late: make(map[uint8]time.Time), active: time.Now(),
		out: make([]byte, 0, f.longest()), in: make([]byte, 0, 2*f.longest()),
	}
}

// frameGap returns the silence that separates frames: 3.5 characters, and 1.75 ms
// above 19200 baud (MODBUS over Serial Line V1.02, section 2.5.1.1).
func frameGap(baud int, char time.Duration) time.Duration {
	if baud > 19200 {
		return 1750 * time.Microsecond
	}
	return char * 7 / 2
}

// Close implements Transport.
func (t *serialTransport) Close() error { return t.s.Close() }

// Exchange implements Transport.
func (t *serialTransport) Exchange(ctx context.Context, unit uint8, request []byte, timeout time.Duration) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := watchContext(ctx, t.s)
	defer w.end()
	if err := t.settle(ctx, unit); err != nil {
		return nil, err
	}
	t.out = t.frame.append(t.out[:0], unit, request)
	onLine := time.Duration(len(t.out)+t.frame.length(responseLength(request))) * t.char
	deadline := deadlineOf(ctx, timeout+onLine)
	if err := t.bound(ctx, t.s.SetDeadline, deadline); err != nil {
		return nil, err
	}
	if _, err := t.s.Write(t.out); err != nil {
		return nil, t.failed(ctx, unit, timeout, err)
	}
	if unit == 0 && t.line {
		return t.broadcast(ctx, request)
	}
	pdu, err := t.receive(ctx, unit, request, deadline)
	t.active = time.Now()
	if err != nil {
		return nil, t.failed(ctx, unit, timeout, err)
	}
	return pdu, nil
}

// broadcast waits until all units have had the time to carry out request, and
// answers in their place.
func (t *serialTransport) broadcast(ctx context.Context, request []byte) ([]byte, error) {
	if len(request) < 5 || request[0] <= readInputRegisters {
		return nil, fmt.Errorf("%w: nobody answers unit 0, the broadcast address", ErrProtocol)
	}
	onLine := time.Duration(len(t.out)) * t.char
	if err := backoff.Sleep(ctx, onLine+turnaround); err != nil {
		return nil, err
	}
	t.active = time.Now()
	return append(t.in[:0], request[:5]...), nil
}

// failed remembers that the answer of unit may still come, and classifies err.
func (t *serialTransport) failed(ctx context.Context, unit uint8, timeout time.Duration, err error) error {
	if errors.Is(err, ErrProtocol) {
		return err
	}
	t.late[unit] = time.Now().Add(min(max(timeout, lateShortest), lateLongest))
	return ioError(ctx, err)
}

// bound sets a deadline, unless ctx has ended, whose watch has then set one.
func (t *serialTransport) bound(ctx context.Context, set func(time.Time) error, deadline time.Time) error {
	if err := set(deadline); err != nil {
		return ioError(ctx, err)
	}
	return ctx.Err()
}

// settle waits for the silence that separates frames and for the late answer of
// unit, and discards what was received.
func (t *serialTransport) settle(ctx context.Context, unit uint8) error {
	if until, ok := t.late[unit]; ok {
		if err := t.awaitLate(ctx, unit, until); err != nil {
			return err
		}
	}
	if wait := t.gap - time.Since(t.active); wait > 0 {
		time.Sleep(wait)
	}
	t.in = t.in[:0]
	if t.flush != nil {
		if err := t.flush(); err != nil {
			return ioError(ctx, err)
		}
		return nil
	}
	if time.Since(t.active) < idleLimit && len(t.late) == 0 {
		return nil
	}
	if err := t.bound(ctx, t.s.SetReadDeadline, time.Now().Add(time.Millisecond)); err != nil {
		return err
	}
	return t.drain(ctx)
}

// drain reads until the read deadline and drops what it reads.
func (t *serialTransport) drain(ctx context.Context) error {
	for {
		_, err := t.s.Read(t.in[:cap(t.in)])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ctx.Err()
		}
		if err != nil {
			return ioError(ctx, err)
		}
	}
}

// awaitLate reads until the late answer of unit has come, or it is too late even
// for that.
func (t *serialTransport) awaitLate(ctx context.Context, unit uint8, until time.Time) error {
	t.in = t.in[:0]
	for time.Now().Before(until) {
		if err := t.bound(ctx, t.s.SetReadDeadline, until); err != nil {
			return err
		}
		if err := t.read(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				break
			}
			return ioError(ctx, err)
		}
		if t.heard(unit) {
			break
		}
	}
	delete(t.late, unit)
	return nil
}

// heard reports whether an answer of unit, to whatever request, was received.
func (t *serialTransport) heard(unit uint8) bool {
	for i := range t.in {
		if u, _, n := t.frame.parse(t.in[i:]); n > 0 && u == unit {
			return true
		}
	}
	return false
}

// receive reads the answer of unit to request.
func (t *serialTransport) receive(ctx context.Context, unit uint8, request []byte, deadline time.Time) ([]byte, error) {
	t.in = t.in[:0]
	echo := 0
	if t.echo {
		echo = len(t.out)
	}
	for {
		until := deadline
		if len(t.in) > echo {
			until = earlier(deadline, time.Now().Add(t.quiet))
		}
		if err := t.bound(ctx, t.s.SetReadDeadline, until); err != nil {
			return nil, err
		}
		if err := t.read(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil && len(t.in) > echo {
				return nil, fmt.Errorf("%w: % x", ErrProtocol, t.in[echo:min(len(t.in), echo+16)])
			}
			return nil, err
		}
		if len(t.in) <= echo {
			continue
		}
		if echo > 0 && !bytes.Equal(t.in[:echo], t.out) {
			return nil, fmt.Errorf("%w: the line does not repeat what is sent", ErrProtocol)
		}
		if pdu, ok := find(t.frame, t.in[echo:], unit, request); ok {
			return pdu, nil
		}
		if err := t.strange(unit, echo); err != nil {
			return nil, err
		}
	}
}

// strange reports an undamaged answer of unit that does not fit the request. The
// answers of other units, late as they are, are passed over.
func (t *serialTransport) strange(unit uint8, start int) error {
	u, pdu, n := t.frame.parse(t.in[start:])
	if n == 0 {
		return nil
	}
	if u == unit {
		return fmt.Errorf("%w: function %d, %d bytes", ErrProtocol, pdu[0], n)
	}
	delete(t.late, u)
	t.in = append(t.in[:start], t.in[start+n:]...)
	return nil
}

func (t *serialTransport) read() error {
	if len(t.in) == cap(t.in) {
		t.in = t.in[:copy(t.in, t.in[len(t.in)/2:])]
	}
	n, err := t.s.Read(t.in[len(t.in):cap(t.in)])
	t.in = t.in[:len(t.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
