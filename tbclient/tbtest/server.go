package tbtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// A Server is a ThingsBoard in the process. Its methods may be called
// concurrently.
type Server struct {
	cfg Config
	ln  net.Listener
	log *slog.Logger
	wg  sync.WaitGroup

	faults faults

	mu       sync.Mutex
	closed   bool
	sessions map[*session]struct{}
	numbers  uint64
	record   record
	calls    map[callKey]chan []byte
	lastCall int64
	changed  chan struct{} // closed when something happens; nil: nobody waits
	stats    Stats

	limits      limiters
	credentials []credential // that were provisioned
	packages    map[string]*otaPackage
}

// NewServer starts a server. Close ends it.
func NewServer(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	limits, err := newLimiters(cfg.RateLimits, time.Now())
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("tbtest: %w", err)
	}
	s := &Server{
		cfg:      cfg,
		ln:       ln,
		log:      cfg.Logger,
		sessions: make(map[*session]struct{}),
		record:   newRecord(),
		calls:    make(map[callKey]chan []byte),
		limits:   limits,
		packages: make(map[string]*otaPackage),
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr returns the address that the server listens on, as host:port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// URL returns the address in the form that a client's configuration takes.
func (s *Server) URL() string {
	if s.cfg.TLS != nil {
		return "tls://" + s.Addr()
	}
	return "tcp://" + s.Addr()
}

// Close ends the server and waits until it has ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.ln.Close()
	s.faults.freeze(false)
	s.Cut()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Warn("cannot accept a connection", "error", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if s.faults.isDown() {
			_ = conn.Close()
			continue
		}
		if s.cfg.TLS != nil {
			conn = tls.Server(conn, s.cfg.TLS)
		}
		s.start(conn)
	}
}

func (s *Server) start(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	s.numbers++
	se := newSession(s, conn, s.numbers)
	s.sessions[se] = struct{}{}
	s.wg.Go(func() {
		se.run()
		s.mu.Lock()
		delete(s.sessions, se)
		s.offline(se)
		s.mu.Unlock()
	})
}
