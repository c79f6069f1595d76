package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// State is where a connector is in its life.
type State int32

// The states of a connector.
const (
	Stopped State = iota
	Starting
	Running // it has called Ready
	Backoff // it failed, and will be run again
	Failed  // it failed for good
)

// String returns the name of s.
func (s State) String() string {
	switch s {
	case Stopped:
		return "stopped"
	case Starting:
		return "starting"
	case Running:
		return "running"
	case Backoff:
		return "backoff"
	case Failed:
		return "failed"
	default:
		return fmt.Sprintf("State(%d)", int32(s))
	}
}

// ConnectorStats is the state of one connector.
type ConnectorStats struct {
	State     State
	Restarts  uint64
	LastError error             // what ended the last run, if something did
	Health    *connector.Health // nil if the connector does not report it
	Type      string            // see WithType
	Received  uint64            // batches that it has submitted
	Records   uint64            // batches stored, also those that a report policy made
	Bytes     uint64            // size of them as they are stored, before compression

	Telemetry  uint64 // points of time series that it has submitted, whatever became of them
	Attributes uint64 // attributes, the same
	Stored     uint64 // points
	Filtered   uint64 // points that the report policy held back
	Invalid    uint64 // points that cannot be sent
	Denied     uint64 // points of devices that the device filter refuses
}

// running is a connector in its gateway.
type running struct {
	g      *Gateway
	name   string
	conn   connector.Connector
	log    *slog.Logger
	kind   string // the type, as in the configuration
	policy *telemetry.ReportPolicy
	own    map[string]*telemetry.ReportPolicy // of devices
	err    error                              // what is wrong with its options
	host   *host
	counters

	mu        sync.Mutex
	state     State
	restarts  uint64
	lastErr   error
	cancel    context.CancelFunc
	done      chan struct{} // nil until it is started
	settled   chan struct{} // closed when it has become ready, or failed for good
	isSettled bool
}

func newRunning(g *Gateway, name string, c connector.Connector) *running {
	r := &running{g: g, name: name, conn: c, log: g.log.With("connector", name)}
	r.host = newHost(r)
	return r
}

// policyOf returns the policy of a device, which may be nil.
func (r *running) policyOf(device string) *telemetry.ReportPolicy {
	if r.own != nil {
		if p := r.own[device]; p != nil {
			return p
		}
	}
	if r.policy != nil {
		return r.policy
	}
	return r.g.policy.Load()
}

// start begins to run the connector. It may be called again when that has ended.
func (r *running) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	r.mu.Lock()
	r.cancel, r.done = cancel, done
	r.settled, r.isSettled = make(chan struct{}), false
	r.state = Starting
	r.mu.Unlock()
	go func() {
		defer close(done)
		r.supervise(ctx)
	}()
}

// stop ends the connector and what it holds back is stored. It returns an error
// if the connector does not end in time.
func (r *running) stop() error {
	r.mu.Lock()
	cancel, done := r.cancel, r.done
	r.mu.Unlock()
	if done == nil {
		return nil
	}
	cancel()
	t := time.NewTimer(r.g.cfg.stop)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("connector %q did not stop within %v", r.name, r.g.cfg.stop)
	}
}

// supervise runs the connector again and again until ctx is done.
func (r *running) supervise(ctx context.Context) {
	b := r.g.cfg.backoff
	for {
		r.host.begin()
		err := guard("connector", func() error { return r.conn.Run(ctx, r.host) })
		r.host.end(ctx)
		if ctx.Err() != nil {
			r.setState(Stopped, nil)
			return
		}
		if err == nil {
			err = errors.New("connector: Run returned before its context was done")
		}
		if connector.IsPermanent(err) {
			r.log.Error("connector failed for good", "error", err)
			r.setState(Failed, err)
			return
		}
		if r.setState(Backoff, err) == Running {
			b.Reset()
		}
		delay := b.Next()
		r.log.Warn("connector failed, will run again", "error", err, "delay", delay.Round(time.Millisecond))
		t := time.NewTimer(delay)
		select {
		case <-t.C:
			r.restarted()
		case <-ctx.Done():
			t.Stop()
			r.setState(Stopped, nil)
			return
		}
	}
}

// setState returns the state before.
func (r *running) setState(s State, err error) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.state
	r.state = s
	if err != nil {
		r.lastErr = err
	}
	if s == Failed {
		r.markSettled()
	}
	return before
}

// markSettled closes settled, once. r.mu is held.
func (r *running) markSettled() {
	if !r.isSettled {
		r.isSettled = true
		close(r.settled)
	}
}

// outcome returns a channel that is closed when r has become ready or failed for
// good, or nil if it was not started.
func (r *running) outcome() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settled
}

// condition returns the state, and what ended the last run.
func (r *running) condition() (State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.lastErr
}

// ended reports whether r does not run.
func (r *running) ended() bool {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func (r *running) restarted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = Starting
	r.restarts++
}

// ready notes that the connector has reached its source.
func (r *running) ready() {
	r.mu.Lock()
	first := r.state == Starting
	if first {
		r.state = Running
		r.markSettled()
	}
	r.mu.Unlock()
	if first {
		r.log.Info("connector is running")
		r.g.restore(r)
	}
}

func (r *running) stats() ConnectorStats {
	r.mu.Lock()
	s := ConnectorStats{Type: r.kind, State: r.state, Restarts: r.restarts, LastError: r.lastErr}
	r.mu.Unlock()
	s.Received, s.Records = r.received.Load(), r.records.Load()
	s.Stored, s.Filtered, s.Invalid = r.stored.Load(), r.filtered.Load(), r.invalid.Load()
	s.Denied, s.Bytes = r.denied.Load(), r.bytes.Load()
	s.Telemetry, s.Attributes = r.telemetry.Load(), r.attributes.Load()
	if hr, ok := connector.As[connector.HealthReporter](r.conn); ok {
		h := hr.Health()
		s.Health = &h
	}
	return s
}

// guard calls f and turns a panic into an error.
func guard(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s panicked: %v\n%s", what, p, debug.Stack())
		}
	}()
	return f()
}
