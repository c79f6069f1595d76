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

// Config configures a Server. The zero Config takes any credentials on a free
// port of the loopback interface.
type Config struct {
	Addr string      // zero: 127.0.0.1:0
	TLS  *tls.Config // nil: no encryption

	// Token is the access token of the gateway, and Username and Password its
	// basic credentials. If any of them is given, a client needs them, or a
	// client certificate that TLS verifies.
	Token    string
	Username string
	Password string

	// NotGateway makes the credentials those of a plain device. The platform
	// then answers nothing at all on the gateway's topics.
	NotGateway bool

	MaxPayload  int  // of an MQTT packet, in bytes; zero: 65536
	MaxInflight int  // told to clients; zero: 100
	NoLimits    bool // do not answer getSessionLimits, like a plain broker

	// Keep bounds the readings that are kept; the oldest are forgotten first.
	// Zero: 1,000,000.
	Keep int

	// OnTelemetry is called for each accepted reading, and OnPublish for each
	// message from a client before it is acted on. They are called in the order
	// of arrival, one at a time per connection, and delay it.
	OnTelemetry func(Reading)
	OnPublish   func(Message)

	Logger *slog.Logger // nil: nothing is logged
}

// A Message is a message that a client published.
type Message struct {
	Session uint64 // number of the connection, from 1
	Topic   string
	Payload []byte // not to be changed
	QoS     byte
	Dup     bool
}

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
	changed  chan struct{} // closed, and replaced, when the record changes
	stats    Stats
}

// NewServer starts a server. Close ends it.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = 65536
	}
	if cfg.MaxInflight <= 0 {
		cfg.MaxInflight = 100
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 1_000_000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
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
		changed:  make(chan struct{}),
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

// authorised returns the CONNACK code for credentials: 0, or why they are
// refused.
func (s *Server) authorised(user, password, clientID string, certificate bool) byte {
	const badIdentifier, notAuthorised = 2, 5
	cfg := &s.cfg
	switch {
	case certificate, cfg.Token == "" && cfg.Username == "" && cfg.Password == "":
		return 0
	case cfg.Token != "" && user == cfg.Token:
		return 0
	case (cfg.Username != "" || cfg.Password != "") && user == cfg.Username && password == cfg.Password:
		return 0
	case user == "" && clientID != "":
		return badIdentifier
	default:
		return notAuthorised
	}
}
