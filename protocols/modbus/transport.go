package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A Transport is an open connection to the units of one bus. It carries one
// request at a time and is used by one goroutine at a time; only Close may be
// called at any time, also twice.
type Transport interface {
	// Exchange sends the request PDU to unit and returns the PDU that answers
	// it, which may be an exception; it is valid until the next call. Exchange
	// waits until timeout, the deadline of ctx or the end of ctx, whichever is
	// first.
	//
	// Errors are [ErrTimeout], [ErrProtocol], the error of ctx, or else mean
	// that the transport is of no further use, like [ErrLost].
	Exchange(ctx context.Context, unit uint8, request []byte, timeout time.Duration) ([]byte, error)

	// Close ends an Exchange that is under way.
	Close() error
}

// Dial opens the transport that url names (see [Config]).
func Dial(ctx context.Context, url string) (Transport, error) {
	e, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("modbus: %w", err)
	}
	return e.dial(ctx)
}

// A stream is what frames are read from and written to.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
}

// A watch ends the I/O of a stream when a context ends.
type watch struct {
	stop func() bool
	done chan struct{}
}

// watchContext starts a watch. It costs nothing if ctx cannot end.
func watchContext(ctx context.Context, s stream) watch {
	if ctx.Done() == nil {
		return watch{}
	}
	w := watch{done: make(chan struct{})}
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.done)
		_ = s.SetDeadline(time.Unix(1, 0)) // fails only on a closed stream, whose I/O has ended
	})
	return w
}

// end ends w. Once it returns, w does nothing more to the stream.
func (w watch) end() {
	if w.stop != nil && !w.stop() {
		<-w.done
	}
}

// deadlineOf returns the earlier of timeout from now and ctx's deadline.
func deadlineOf(ctx context.Context, timeout time.Duration) time.Time {
	d := time.Now().Add(timeout)
	if c, ok := ctx.Deadline(); ok && c.Before(d) {
		return c
	}
	return d
}

// ioError classifies an error of reading or writing.
func ioError(ctx context.Context, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrTimeout
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%w: closed", ErrLost)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}
