package modbus

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"
)

// listen listens for connections.
func (s *server) listen(ctx context.Context) (net.Listener, error) {
	var cfg *tls.Config
	if s.at.medium == mediumTLS {
		var err error
		cfg, err = s.at.tls.Server(func(err error) {
			if err != nil {
				s.log.Warn("certificate of the server cannot be read", slog.Any("error", err))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.at.addr)
	if err != nil || cfg == nil {
		return l, err
	}
	return tls.NewListener(l, cfg), nil
}

// A requestReader answers the requests of a medium of RTU or ASCII frames.
type requestReader struct {
	server *server
	s      stream
	frame  framing
	quiet  time.Duration // ends a frame that is not recognized by its contents
	gap    time.Duration // silence before an answer
	line   bool          // there are other units, and broadcasts
	echo   bool          // the line repeats what is sent

	in, out, pdu []byte
	skip         int // bytes of an echo to come
}

func (s *server) newReader(c stream, quiet time.Duration) *requestReader {
	f := s.at.framing()
	return &requestReader{
		server: s, s: c, frame: f, quiet: quiet,
		in: make([]byte, 0, 2*f.longest()), out: make([]byte, 0, f.longest()), pdu: make([]byte, 0, maxPDU),
	}
}

// run answers requests until the medium fails.
func (r *requestReader) run() error {
	for {
		wait := serverIdle
		switch {
		case len(r.in) > 0:
			wait = r.quiet
		case r.line:
			wait = 24 * time.Hour // a line has no master to lose
		}
		if err := r.s.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		n, err := r.s.Read(r.in[len(r.in):cap(r.in)])
		r.in = r.in[:len(r.in)+n]
		switch {
		case n > 0:
			err = r.requests()
		case errors.Is(err, os.ErrDeadlineExceeded) && len(r.in) > 0:
			err = r.rest()
		case errors.Is(err, os.ErrDeadlineExceeded) && r.line:
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

// requests answers the requests in what was received.
func (r *requestReader) requests() error {
	if n := min(r.skip, len(r.in)); n > 0 {
		r.skip -= n
		r.in = r.in[:copy(r.in, r.in[n:])]
	}
	for i := 0; i < len(r.in); {
		unit, pdu, n := r.frame.parseRequest(r.in[i:])
		if n == 0 {
			i++
			continue
		}
		if err := r.answer(unit, pdu); err != nil {
			return err
		}
		r.in = r.in[:copy(r.in, r.in[i+n:])]
		i = 0
	}
	if len(r.in) == cap(r.in) {
		r.in = r.in[:copy(r.in, r.in[len(r.in)/2:])]
	}
	return nil
}

// rest answers a frame of a function that is not known, whose end is the silence
// after it.
func (r *requestReader) rest() error {
	unit, pdu, n := parseRTU(r.in, len(r.in))
	r.in = r.in[:0]
	if n < rtuOverhead+1 || r.server.at.frame != frameRTU || pdu[0]&exceptionBit != 0 || frameLength(r.in[:n]) == n {
		return nil // noise, or the answer of another unit
	}
	return r.answer(unit, pdu)
}

func (r *requestReader) answer(unit uint8, pdu []byte) error {
	mine := unit == r.server.unit || r.server.unit == 0 || !r.line
	if r.line && unit == 0 {
		r.server.image.answer(r.pdu[:0], pdu) // of a broadcast, which is not answered
		return nil
	}
	if !mine {
		return nil
	}
	r.pdu = r.server.image.answer(r.pdu[:0], pdu)
	r.out = r.frame.append(r.out[:0], unit, r.pdu)
	time.Sleep(r.gap)
	if err := r.s.SetDeadline(time.Now().Add(serverWrite)); err != nil {
		return err
	}
	if _, err := r.s.Write(r.out); err != nil {
		return err
	}
	if r.echo {
		r.skip = len(r.out)
	}
	return nil
}
