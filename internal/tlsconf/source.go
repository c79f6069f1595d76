package tlsconf

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Source returns a function that yields the configuration of a client. It looks
// at the files each time it is called, and reads them when one has changed in
// time or size, so that a certificate can be renewed while the program runs.
//
// If what it reads is broken, such as a certificate that was replaced before its
// key, it goes on yielding the last good configuration, and tries again at each
// call. It calls report, unless that is nil, once for each error that differs
// from the one before; nil says that the files are good again. Only if there is
// no good configuration yet does it return the error, unreported.
//
// The function may be called concurrently; report is called by one call at a
// time. Its results must not be changed.
func (f Files) Source(report func(error)) func() (*tls.Config, error) {
	s := &source{files: f, report: report}
	return s.config
}

// Server returns the configuration of a server that shows the certificate of
// Cert and Key, and, if CA is not empty, demands a certificate by one of its
// authorities of the client. It follows the files as Source does, for each
// connection.
func (f Files) Server(report func(error)) (*tls.Config, error) {
	if f.Cert == "" {
		return nil, errors.New("tls: a server needs a certificate file and a key file")
	}
	next := f.Source(report)
	if _, err := next(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := next()
			if err != nil {
				return nil, err
			}
			server := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: c.Certificates}
			if c.RootCAs != nil {
				server.ClientCAs, server.ClientAuth = c.RootCAs, tls.RequireAndVerifyClientCert
			}
			return server, nil
		},
	}, nil
}

// A source yields the configuration of files that change.
type source struct {
	files  Files
	report func(error)

	mu    sync.Mutex
	good  *tls.Config // the last; nil: none yet
	seen  [3]version  // of the files that good was made of
	fault string      // the error that was reported last; empty: none
}

// A version tells the states of a file apart.
type version struct {
	changed time.Time
	size    int64
}

func (s *source) config() (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions, err := s.files.versions()
	if err == nil && s.good != nil && versions == s.seen {
		s.settle(nil)
		return s.good, nil
	}
	c, err := s.files.Config() // if a file cannot be looked at, this says why
	if err == nil {
		s.good, s.seen = c, versions
	}
	if s.good == nil {
		return nil, err
	}
	s.settle(err)
	return s.good, nil
}

// Report returns a report function for Source and Server that logs to log.
func Report(log *slog.Logger) func(error) {
	return func(err error) {
		if err != nil {
			log.Warn("the certificates that have changed cannot be used; those before them are", slog.Any("error", err))
			return
		}
		log.Info("the certificates can be used again")
	}
}

// settle reports a change between good and broken, or from one error to another.
func (s *source) settle(err error) {
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault == s.fault {
		return
	}
	s.fault = fault
	if s.report != nil {
		s.report(err)
	}
}

// versions looks at the files.
func (f Files) versions() (v [3]version, err error) {
	for i, name := range []string{f.CA, f.Cert, f.Key} {
		if name == "" || inline(name) {
			continue
		}
		info, err := os.Stat(f.path(name))
		if err != nil {
			return v, err
		}
		v[i] = version{info.ModTime(), info.Size()}
	}
	return v, nil
}
