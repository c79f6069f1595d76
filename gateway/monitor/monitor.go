package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
)

// Config configures New. Gateway is required.
type Config struct {
	// Gateway returns the state of the gateway.
	Gateway func() gateway.Stats

	// Devices returns the devices, of which each then has metrics of its own.
	// Nil: devices have none. DeviceLimit is how many have; zero: 1000.
	Devices     func() []gateway.DeviceInfo
	DeviceLimit int

	// Errors returns how many errors were logged, by their source, as
	// logging.Errors.Counts does. It may be nil.
	Errors func() map[string]uint64

	// Collectors add metrics of their own.
	Collectors []Collector

	// StoreFailure returns why the event store cannot be written, or nil, as
	// what the function StoreFailure returns does. It may be nil.
	StoreFailure func() error

	// Connected reports whether the platform is connected. It may be nil.
	// NeedPlatform makes a gateway unready that is not connected.
	Connected    func() bool
	NeedPlatform bool

	// Ready returns why the program is not ready, or nil, for reasons of its
	// own. It may be nil.
	Ready func() error

	// Patience is how long the state of the gateway may take to read until it
	// does not count as alive. Zero: 5 seconds.
	Patience time.Duration

	Profiling bool   // there is /debug/pprof/
	Version   string // of the program, for the metric gateway_build_info
}

// A Monitor answers requests. Its methods may be called concurrently.
type Monitor struct {
	cfg   Config
	mux   *http.ServeMux
	turns chan struct{} // tokens of scrapes under way
	began time.Time

	mu    sync.Mutex
	probe chan struct{} // closed when the probe under way has returned; nil: none is
}

var _ http.Handler = (*Monitor)(nil)

// scrapes is how many scrapes may be under way.
const scrapes = 2

// New returns a Monitor.
func New(cfg Config) *Monitor {
	if cfg.Patience <= 0 {
		cfg.Patience = 5 * time.Second
	}
	if cfg.DeviceLimit <= 0 {
		cfg.DeviceLimit = 1000
	}
	m := &Monitor{cfg: cfg, mux: http.NewServeMux(), turns: make(chan struct{}, scrapes), began: time.Now()}
	m.mux.HandleFunc("GET /metrics", m.metrics)
	m.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, m.health(r.Context())) })
	m.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, m.readiness()) })
	m.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { answer(w, m.Alive(r.Context())) })
	if cfg.Profiling {
		handleProfiles(m.mux)
	}
	return m
}

// ServeHTTP implements http.Handler.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// metrics answers a scrape, unless too many are under way.
func (m *Monitor) metrics(w http.ResponseWriter, _ *http.Request) {
	select {
	case m.turns <- struct{}{}:
		defer func() { <-m.turns }()
	default:
		http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(appendText(nil, m.Gather())) // the client may be gone
}

// Gather returns all metrics at this moment, for programs that show them in
// another way.
func (m *Monitor) Gather() []Family {
	var all Metrics
	failures := 0
	m.build(&all)
	for _, c := range append([]Collector{CollectorFunc(m.gateway), CollectorFunc(m.devices), CollectorFunc(m.errors), CollectorFunc(process)}, m.cfg.Collectors...) {
		if !collect(c, &all) {
			failures++
		}
	}
	all.seen = nil // these two are shown also when there are too many samples
	all.Gauge("gateway_monitor_failed_collectors", "Collectors that panicked in this scrape.", float64(failures))
	all.Gauge("gateway_monitor_rejected_samples", "Samples of this scrape that were left out because they cannot be shown.", float64(all.rejected))
	out := make([]Family, len(all.families))
	for i, f := range all.families {
		out[i] = *f
	}
	return out
}

// collect reports whether c did not panic.
func collect(c Collector, m *Metrics) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	c.Collect(m)
	return true
}

// answer writes the outcome of a check: 200, or 503 with the reasons.
func answer(w http.ResponseWriter, err error) {
	var body struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons,omitempty"`
	}
	body.Status = "ok"
	code := http.StatusOK
	if err != nil {
		code, body.Status = http.StatusServiceUnavailable, "failed"
		body.Reasons = reasons(err)
	}
	b, _ := json.Marshal(body) // texts
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // the client may be gone
}

func reasons(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range joined.Unwrap() {
		out = append(out, e.Error())
	}
	return out
}

// Serve answers requests on ln by h until ctx is done, and returns nil when those
// under way have ended, or after two seconds. It returns early, with an error,
// only if ln fails. It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      longestProfile + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("monitor: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("monitor: %w", err)
	}
	return nil
}
