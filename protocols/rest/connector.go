package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
)

// stopTimeout is how long requests that are under way may take when the connector stops.
const stopTimeout = 3 * time.Second

// A Connector is a server.
type Connector struct {
	cfg   Config
	plan  *plan
	err   error // why the configuration cannot be used
	run   atomic.Pointer[run]
	bound atomic.Pointer[[]string] // what it listens on

	open                                           atomic.Int64
	requests, malformed, denied, unstored, refused atomic.Uint64
}

var (
	_ connector.Connector        = (*Connector)(nil)
	_ connector.RPCHandler       = (*Connector)(nil)
	_ connector.AttributeUpdater = (*Connector)(nil)
)

// New returns a connector for cfg. If cfg cannot be used, Run says why.
func New(cfg Config) *Connector {
	c := &Connector{cfg: cfg.withDefaults()}
	var err error
	if c.plan, err = c.cfg.compile(); err != nil {
		c.err = fmt.Errorf("rest: configuration: %w", err)
	}
	return c
}

// Addrs returns the addresses that the connector listens on, in the order of
// Config.Hosts, or none.
func (c *Connector) Addrs() []string {
	if addrs := c.bound.Load(); addrs != nil {
		return *addrs
	}
	return nil
}

// Stats are counts since New.
type Stats struct {
	Requests    uint64 // received
	Malformed   uint64 // of which something does not convert as configured
	Denied      uint64 // without the right to the path
	Unstored    uint64 // answered with 503, because the data could not be stored in time
	Connections int    // open now
	Refused     uint64 // connections that were more than MaxConnections
}

// Stats returns counts. It does not block.
func (c *Connector) Stats() Stats {
	return Stats{
		Requests: c.requests.Load(), Malformed: c.malformed.Load(), Denied: c.denied.Load(), Unstored: c.unstored.Load(),
		Connections: int(c.open.Load()), Refused: c.refused.Load(),
	}
}

// Run implements connector.Connector. It ends when it cannot listen. When ctx is done,
// requests that are under way are completed within a few seconds.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	r := &run{c: c, host: host, log: host.Logger(), ctx: ctx}
	listeners, err := r.listen()
	if err != nil {
		return fmt.Errorf("rest: %w", err)
	}
	c.run.Store(r)
	defer c.bound.Store(nil)
	defer c.plan.close()
	defer c.run.CompareAndSwap(r, nil)
	host.Ready()
	if err := r.serve(listeners); ctx.Err() == nil {
		return fmt.Errorf("rest: %w", err)
	}
	return ctx.Err()
}

// A run is one run of a Connector.
type run struct {
	c       *Connector
	host    connector.Host
	log     *slog.Logger
	ctx     context.Context
	waiters waiters

	failing atomic.Bool // data is not stored
	denied  atomic.Bool // somebody was, which is logged once
	full    atomic.Bool // connections are refused
}

// listen listens on all hosts.
func (r *run) listen() (list []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range list {
				_ = l.Close() // another one is at fault
			}
		}
	}()
	var conf *tls.Config
	if r.c.cfg.TLS != nil {
		if conf, err = r.c.cfg.TLS(); err != nil {
			return nil, err
		}
	}
	var addrs []string
	for _, name := range r.c.cfg.Hosts {
		var lc net.ListenConfig
		l, err := lc.Listen(r.ctx, "tcp", net.JoinHostPort(name, strconv.Itoa(max(r.c.cfg.Port, 0))))
		if err != nil {
			return list, err
		}
		addrs = append(addrs, l.Addr().String())
		l = &listener{
			Listener: l, open: &r.c.open, refused: &r.c.refused, full: &r.full,
			limit: int64(r.c.cfg.MaxConnections), write: r.c.cfg.WriteTimeout, log: r.log,
		}
		if conf != nil {
			l = tls.NewListener(l, conf)
		}
		list = append(list, l)
	}
	r.c.bound.Store(&addrs)
	return list, nil
}

// serve serves until the run is over, or a listener fails.
func (r *run) serve(listeners []net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	defer cancel()
	var conns, accepting sync.WaitGroup
	cfg := &r.c.cfg
	srv := &http.Server{
		Handler:           r,
		ReadHeaderTimeout: cfg.HeaderTimeout, ReadTimeout: cfg.ReadTimeout, IdleTimeout: cfg.IdleTimeout,
		MaxHeaderBytes:               cfg.MaxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			case http.StateActive, http.StateIdle:
			}
		},
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		accepting.Go(func() { ended <- srv.Serve(l) })
	}
	var err error
	select {
	case err = <-ended:
	case <-r.ctx.Done():
	}
	stop, release := context.WithTimeout(base, stopTimeout)
	defer release()
	if srv.Shutdown(stop) != nil {
		cancel()
		_ = srv.Close() // what is left has had its time
	}
	accepting.Wait()
	conns.Wait()
	return err
}

// ServeHTTP implements http.Handler.
func (r *run) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.c.requests.Add(1)
	found, vars := r.c.plan.routes.find(req.URL)
	if found == nil {
		answer{status: http.StatusNotFound}.write(w, nil)
		return
	}
	if r.c.cfg.CORS.preflight(w.Header(), req, found) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	act := found.action(req.Method)
	if act == nil {
		w.Header().Set("Allow", found.methods())
		answer{status: http.StatusMethodNotAllowed}.write(w, nil)
		return
	}
	if !act.auth.allows(req) {
		r.deny(w, req, act)
		return
	}
	act.serve(r, w, req, vars).write(w, act.response)
}

// deny answers a request without the right to a path. Only the first one is logged, so
// that nobody can fill the log.
func (r *run) deny(w http.ResponseWriter, req *http.Request, act *action) {
	r.c.denied.Add(1)
	if !r.denied.Swap(true) {
		r.log.Warn("a request without the right to its path; others are only counted",
			slog.String("path", req.URL.Path), slog.String("client", req.RemoteAddr))
	}
	header := req.Header.Get("Authorization")
	if r.c.cfg.Compatible && header != "" && !isBasic(header) {
		failed(errTrouble).write(w, nil)
		return
	}
	act.auth.challenge(w.Header())
	answer{status: http.StatusUnauthorized}.write(w, act.response)
}

func isBasic(header string) bool {
	return len(header) > 6 && (header[:6] == "Basic " || header[:6] == "basic ")
}

var errNotRunning = errors.New("rest: the connector is not running")
