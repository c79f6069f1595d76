package ftp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"github.com/jlaffaye/ftp"
)

// A session is a connection to an FTP server.
type session struct {
	conn  *ftp.ServerConn
	wires *wires
}

var _ Session = (*session)(nil)

// dial connects to the server of c and logs in.
func (c Config) dial(ctx context.Context) (Session, error) {
	w := &wires{ctx: ctx, timeout: c.Timeout}
	defer w.guard(ctx)()
	options := []ftp.DialOption{ftp.DialWithDialFunc(w.dial), ftp.DialWithDisabledEPSV(c.DisableEPSV)}
	if c.Security != Plain {
		conf, err := c.tlsConfig()
		if err != nil {
			return nil, err
		}
		w.tls, w.implicit = conf, c.Security == Implicit
		if w.implicit {
			options = append(options, ftp.DialWithTLS(conf))
		} else {
			options = append(options, ftp.DialWithExplicitTLS(conf))
		}
	}
	conn, err := ftp.Dial(c.Server, options...)
	if err != nil {
		w.close()
		return nil, fmt.Errorf("connect to %s: %w", c.Server, err)
	}
	user, password := c.User, c.Password
	if user == "" {
		user, password = "anonymous", "anonymous@"
	}
	if err := conn.Login(user, password); err != nil {
		w.close()
		return nil, fmt.Errorf("log in to %s as %s: %w", c.Server, user, err)
	}
	return &session{conn, w}, nil
}

// tlsConfig returns the configuration of one session, whose data connections resume
// the TLS session of its commands, as servers demand.
func (c Config) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		given, err := c.TLS()
		if err != nil {
			return nil, err
		}
		conf = given.Clone()
	}
	if conf.ServerName == "" {
		conf.ServerName = c.Host
	}
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	if !c.AllowTLS13 {
		conf.MaxVersion = tls.VersionTLS12
	}
	return conf, nil
}

// Close ends the session.
func (s *session) Close() error {
	defer s.wires.close()
	return s.conn.Quit()
}

// List implements Session.
func (s *session) List(ctx context.Context, folder string) ([]Entry, error) {
	defer s.wires.guard(ctx)()
	if folder == "" {
		folder = "."
	}
	found, err := s.conn.List(folder)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		entries = append(entries, Entry{
			Name: e.Name, Folder: e.Type == ftp.EntryTypeFolder, Link: e.Type == ftp.EntryTypeLink,
			Size: int64(min(e.Size, 1<<62)), Time: e.Time, //nolint:gosec // bounded
		})
	}
	return entries, nil
}

// Stat implements Session.
func (s *session) Stat(ctx context.Context, path string, e Entry) (Entry, error) {
	defer s.wires.guard(ctx)()
	if e.Link {
		size, err := s.conn.FileSize(path)
		if err != nil {
			return e, s.fault(ctx, err)
		}
		e.Size = size
	}
	if !e.Link && s.conn.IsTimePreciseInList() || !s.conn.IsGetTimeSupported() {
		return e, nil
	}
	at, err := s.conn.GetTime(path)
	if err != nil {
		return e, s.fault(ctx, err)
	}
	e.Time = at
	return e, nil
}

// Read implements Session.
func (s *session) Read(ctx context.Context, path string, offset, limit int64) ([]byte, error) {
	defer s.wires.guard(ctx)()
	r, err := s.conn.RetrFrom(path, uint64(max(offset, 0))) //nolint:gosec // not negative
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if n > limit {
		s.wires.close() // there is no other way to end a transfer that all servers understand
		_ = r.Close()
		return nil, fmt.Errorf("it has become longer than %d bytes while it was read", limit)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, s.fault(ctx, err)
	}
	return b.Bytes(), nil
}

// Write implements Session.
func (s *session) Write(ctx context.Context, path string, data []byte, appends bool) error {
	defer s.wires.guard(ctx)()
	if appends {
		return s.fault(ctx, s.conn.Append(path, bytes.NewReader(data)))
	}
	return s.fault(ctx, s.conn.Stor(path, bytes.NewReader(data)))
}

// Rename implements Session.
func (s *session) Rename(ctx context.Context, from, to string) error {
	defer s.wires.guard(ctx)()
	return s.fault(ctx, s.conn.Rename(from, to))
}

// Delete implements Session.
func (s *session) Delete(ctx context.Context, path string) error {
	defer s.wires.guard(ctx)()
	return s.fault(ctx, s.conn.Delete(path))
}

// fault returns err, as a Refusal if the server has answered and goes on.
func (s *session) fault(ctx context.Context, err error) error {
	var reply *textproto.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ftp.ErrInvalidCommand): // nothing was sent
		return &Refusal{Code: ftp.StatusBadFileName, Text: "the path has a line break"}
	case errors.As(err, &reply) && reply.Code != ftp.StatusNotAvailable && reply.Code/10 != 42:
		return &Refusal{Code: reply.Code, Text: strings.TrimSpace(reply.Msg)}
	default:
		return err
	}
}

// wires are the TCP connections of a session. None of them waits longer than the
// timeout for the server.
type wires struct {
	ctx      context.Context // of the login
	timeout  time.Duration
	tls      *tls.Config
	implicit bool

	mu     sync.Mutex
	closed bool
	open   []net.Conn
}

// dial connects for commands, the first time, or for data.
func (w *wires) dial(network, addr string) (net.Conn, error) {
	w.mu.Lock()
	first := len(w.open) == 0
	w.mu.Unlock()
	d := net.Dialer{Timeout: w.timeout}
	ctx := w.ctx
	if !first {
		ctx = context.Background() // data connections: guard closes the commands' one, and the timeout is short
	}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	wire := &wire{Conn: raw, timeout: w.timeout}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = raw.Close()
		return nil, net.ErrClosed
	}
	if first {
		w.open = append(w.open, wire)
	} else {
		w.open = append(w.open[:1], wire) // one transfer at a time
	}
	if w.tls != nil && (!first || w.implicit) {
		return tls.Client(wire, w.tls), nil
	}
	return wire, nil
}

// guard closes the connections if ctx ends before the function that it returns is
// called.
func (w *wires) guard(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, w.close)
	return func() { stop() }
}

func (w *wires) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, c := range w.open {
		_ = c.Close()
	}
}

// A wire is a TCP connection, of which each read and write ends in time.
type wire struct {
	net.Conn
	timeout time.Duration
}

func (w *wire) Read(b []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.Conn.Read(b)
}

func (w *wire) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}
