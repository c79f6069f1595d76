package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/gridlinks/iot-gateway/protocols/ftp"
)

// A session is a connection to an SFTP server.
type session struct {
	raw     net.Conn
	ssh     *ssh.Client
	client  *sftp.Client
	timeout time.Duration
}

var _ ftp.Session = (*session)(nil)

// Dialer returns a function that connects to the server of cfg.
func Dialer(cfg Config) ftp.Dialer {
	cfg = cfg.withDefaults()
	return func(ctx context.Context) (ftp.Session, error) {
		s, err := cfg.dial(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", cfg.addr(), err)
		}
		return s, nil
	}
}

func (c Config) dial(ctx context.Context) (*session, error) {
	conf, err := c.client()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: c.Timeout}
	raw, err := d.DialContext(ctx, "tcp", c.addr())
	if err != nil {
		return nil, err
	}
	s := &session{raw: raw, timeout: c.Timeout}
	defer s.guard(ctx)()
	conn, channels, requests, err := ssh.NewClientConn(raw, c.addr(), conf)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	s.ssh = ssh.NewClient(conn, channels, requests)
	if s.client, err = sftp.NewClient(s.ssh); err != nil {
		_ = s.ssh.Close()
		return nil, err
	}
	return s, nil
}

// guard closes the connection if ctx ends, or the server is silent for too long,
// before the function that it returns is called.
func (s *session) guard(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { _ = s.raw.Close() })
	s.progress()
	return func() {
		stop()
		_ = s.raw.SetDeadline(time.Time{})
	}
}

// progress gives the server time again.
func (s *session) progress() { _ = s.raw.SetDeadline(time.Now().Add(s.timeout)) }

// Close ends the session.
func (s *session) Close() error {
	s.progress()
	return errors.Join(s.client.Close(), s.ssh.Close())
}

// List implements ftp.Session.
func (s *session) List(ctx context.Context, folder string) ([]ftp.Entry, error) {
	defer s.guard(ctx)()
	if folder == "" {
		folder = "."
	}
	found, err := s.client.ReadDirContext(ctx, folder)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	entries := make([]ftp.Entry, 0, len(found))
	for _, e := range found {
		if m := e.Mode(); m.IsRegular() || m.IsDir() || m&fs.ModeSymlink != 0 {
			entries = append(entries, ftp.Entry{
				Name: e.Name(), Folder: m.IsDir(), Link: m&fs.ModeSymlink != 0, Size: e.Size(), Time: e.ModTime(),
			})
		}
	}
	return entries, nil
}

// Stat implements ftp.Session.
func (s *session) Stat(ctx context.Context, path string, e ftp.Entry) (ftp.Entry, error) {
	if !e.Link {
		return e, nil
	}
	defer s.guard(ctx)()
	info, err := s.client.Stat(path)
	if err != nil {
		return e, s.fault(ctx, err)
	}
	if !info.Mode().IsRegular() {
		return e, &ftp.Refusal{Code: int(sftp.ErrSSHFxFailure), Text: "it is no regular file"}
	}
	e.Size, e.Time = info.Size(), info.ModTime()
	return e, nil
}

// Read implements ftp.Session.
func (s *session) Read(ctx context.Context, path string, offset, limit int64) ([]byte, error) {
	defer s.guard(ctx)()
	f, err := s.client.Open(path)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, s.fault(ctx, err)
	}
	data, err := io.ReadAll(io.LimitReader(progress{f, s}, limit+1))
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	if int64(len(data)) > limit {
		return nil, &ftp.Refusal{Text: fmt.Sprintf("it has become longer than %d bytes while it was read", limit)}
	}
	return data, nil
}

// Write implements ftp.Session.
func (s *session) Write(ctx context.Context, path string, data []byte, appends bool) (err error) {
	defer s.guard(ctx)()
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if appends {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := s.client.OpenFile(path, flags)
	if err != nil {
		return s.fault(ctx, err)
	}
	if appends { // some servers take the offset of a write rather than the flag
		if _, err = f.Seek(0, io.SeekEnd); err != nil {
			_ = f.Close()
			return s.fault(ctx, err)
		}
	}
	const chunk = 32 << 10
	for len(data) > 0 && err == nil {
		s.progress()
		var n int
		n, err = f.Write(data[:min(chunk, len(data))])
		data = data[n:]
	}
	return s.fault(ctx, errors.Join(err, f.Close()))
}

// Rename implements ftp.Session.
func (s *session) Rename(ctx context.Context, from, to string) error {
	defer s.guard(ctx)()
	return s.fault(ctx, s.client.Rename(from, to))
}

// Delete implements ftp.Session.
func (s *session) Delete(ctx context.Context, path string) error {
	defer s.guard(ctx)()
	return s.fault(ctx, s.client.Remove(path))
}

// fault returns err, as a Refusal if the server has answered and goes on.
func (s *session) fault(ctx context.Context, err error) error {
	var status *sftp.StatusError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, sftp.ErrSSHFxNoConnection):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &ftp.Refusal{Code: int(sftp.ErrSSHFxNoSuchFile), Text: "no such file"}
	case errors.Is(err, fs.ErrPermission):
		return &ftp.Refusal{Code: int(sftp.ErrSSHFxPermissionDenied), Text: "permission denied"}
	case errors.As(err, &status):
		return &ftp.Refusal{Code: int(status.Code), Text: status.Error()}
	default:
		return err
	}
}

// progress gives the server time again at each read.
type progress struct {
	io.Reader
	s *session
}

func (p progress) Read(b []byte) (int, error) {
	p.s.progress()
	return p.Reader.Read(b)
}
