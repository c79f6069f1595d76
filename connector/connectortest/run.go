package connectortest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
)

// A Source is the far side of a connector whose messages can be acknowledged.
type Source interface {
	// Send makes the source send a message that the connector turns into a
	// telemetry point with key "id" and the integer value id. The source
	// delivers the message until it is acknowledged. Send does not wait.
	Send(id int64)

	// Acked returns the ids of the messages that were acknowledged.
	Acked() []int64
}

// A Harness makes connectors for Run.
type Harness struct {
	// New returns a connector and the source that it is connected to. The
	// source outlives the connector's runs.
	New func(t *testing.T) (connector.Connector, Source)

	// NoAck says that the source cannot be acknowledged, as when the
	// connector polls: the rules of acknowledgement are then not checked, and
	// Acked is not called.
	NoAck bool

	// Patience is how long Run waits for what has to happen. Zero: 10 seconds.
	Patience time.Duration

	// RPC are calls that succeed while the connector runs and after one
	// message was received. Empty: RPC is not checked.
	RPC []connector.RPCRequest
}

// Run runs the conformance tests as subtests of t.
func Run(t *testing.T, h Harness) {
	t.Run("delivers and becomes ready", h.delivers)
	t.Run("run ends with its context and leaves nothing behind", h.ends)
	t.Run("runs again after it was stopped", h.runsAgain)
	t.Run("failed submit is delivered again", h.failedSubmit)
	if !h.NoAck {
		t.Run("acknowledges what is durable", h.acknowledges)
		t.Run("does not acknowledge before it is durable", h.waitsForDurable)
		t.Run("does not acknowledge what failed to become durable", h.failedSync)
		t.Run("acknowledges and drops invalid data", h.invalid)
		t.Run("stop before durable loses nothing", h.stopBeforeDurable)
	}
	if len(h.RPC) > 0 {
		t.Run("answers remote procedure calls", h.rpc)
		t.Run("refuses an unknown method", h.unknownMethod)
	}
}

// A session is a connector under test, run over and over as a gateway would.
type session struct {
	t    *testing.T
	conn connector.Connector
	src  Source
	host *Host

	before map[string]string // the goroutines that were there before the connector

	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	last   error // what the last Run returned
	runs   int
}

func (h Harness) start(t *testing.T) *session {
	t.Helper()
	c, src := h.New(t)
	s := &session{t: t, conn: c, src: src, host: NewHost(t), before: goroutines()}
	if h.Patience > 0 {
		s.host.patience = h.Patience
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *session) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan struct{})
	s.host.retire(false)
	go func() {
		defer close(s.done)
		for ctx.Err() == nil {
			err := s.conn.Run(ctx, s.host)
			s.mu.Lock()
			s.last, s.runs = err, s.runs+1
			s.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
		s.host.retire(true)
	}()
}

// stop cancels the run and waits for its end. It may be called twice.
func (s *session) stop() {
	s.cancel()
	select {
	case <-s.done:
	case <-time.After(s.host.patience):
		s.t.Fatalf("Run did not return within %v of the end of its context", s.host.patience)
	}
}

// ids returns the values of the points named "id".
func (s *session) ids(durable bool) []int64 {
	var ids []int64
	for _, r := range s.host.Readings(durable) {
		if r.Key == "id" {
			ids = append(ids, r.Value.Int())
		}
	}
	return ids
}

func (s *session) send(ids ...int64) {
	for _, id := range ids {
		s.src.Send(id)
	}
}

func (s *session) submitted(ids ...int64) {
	s.t.Helper()
	s.host.Eventually(s.t, "messages are submitted", func() bool { return contains(s.ids(false), ids) })
}

func (s *session) acked(ids ...int64) {
	s.t.Helper()
	s.host.Eventually(s.t, "messages are acknowledged", func() bool { return contains(s.src.Acked(), ids) })
}

// notAcked gives a connector that acknowledges too early time to do so.
func (s *session) notAcked(why string) {
	s.t.Helper()
	for end := time.Now().Add(150 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got := s.src.Acked(); len(got) > 0 {
			s.t.Fatalf("messages %v were acknowledged although %s", got, why)
		}
	}
}

func contains(have, want []int64) bool {
	for _, id := range want {
		if !slices.Contains(have, id) {
			return false
		}
	}
	return true
}

func (h Harness) delivers(t *testing.T) {
	s := h.start(t)
	s.send(1, 2, 3)
	s.submitted(1, 2, 3)
	s.host.Eventually(t, "Ready is called", s.host.IsReady)
}

func (h Harness) ends(t *testing.T) {
	s := h.start(t)
	s.send(1)
	s.submitted(1)
	s.host.Eventually(t, "Ready is called", s.host.IsReady)
	s.stop()
	s.mu.Lock()
	err := s.last
	s.mu.Unlock()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v after its context was canceled; want nil or the context's error", err)
	}
	s.noneLeft()
	if m := s.host.misuse(); m != "" {
		t.Errorf("%s was called after Run had returned", m)
	}
}

// noneLeft waits until the goroutines that came with the run have ended.
func (s *session) noneLeft() {
	s.t.Helper()
	var left []string
	for end := time.Now().Add(s.host.patience); ; time.Sleep(5 * time.Millisecond) {
		left = left[:0]
		for id, stack := range goroutines() {
			if _, was := s.before[id]; !was {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("goroutines that Run left behind:\n%s", strings.Join(left, "\n\n"))
		}
	}
}

// goroutines returns the stacks of all goroutines but the caller's, by
// identifier.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	all := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		id, _, ok := strings.Cut(stack, " [")
		if i > 0 && ok {
			all[id] = stack
		}
	}
	return all
}

func (h Harness) runsAgain(t *testing.T) {
	s := h.start(t)
	s.send(1)
	s.submitted(1)
	s.stop()
	s.start()
	s.send(2)
	s.submitted(2)
}

func (h Harness) failedSubmit(t *testing.T) {
	s := h.start(t)
	full := errors.New("connectortest: the store is full")
	refused := make(chan struct{})
	var once sync.Once
	s.host.Fail(func() error { once.Do(func() { close(refused) }); return full }, nil)
	s.send(1)
	<-refused
	if !h.NoAck {
		s.notAcked("Submit failed")
	}
	s.host.Fail(nil, nil)
	s.submitted(1)
	if !h.NoAck {
		s.acked(1)
	}
}

func (h Harness) acknowledges(t *testing.T) {
	s := h.start(t)
	ids := make([]int64, 50)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	s.send(ids...)
	s.acked(ids...)
	if !contains(s.ids(true), ids) {
		t.Error("a message was acknowledged that is not durable")
	}
}

func (h Harness) waitsForDurable(t *testing.T) {
	s := h.start(t)
	s.host.Hold(true)
	s.send(1)
	s.submitted(1)
	s.notAcked("it was not durable")
	s.host.Hold(false)
	s.acked(1)
}

func (h Harness) failedSync(t *testing.T) {
	s := h.start(t)
	failed := make(chan struct{})
	var once sync.Once
	s.host.Fail(nil, func() error { once.Do(func() { close(failed) }); return errors.New("connectortest: disk error") })
	s.send(1)
	<-failed
	s.notAcked("it could not be made durable")
	s.host.Fail(nil, nil)
	s.acked(1)
}

func (h Harness) invalid(t *testing.T) {
	s := h.start(t)
	s.host.Fail(func() error { return connector.Invalid(errors.New("connectortest: bad data")) }, nil)
	s.send(1)
	s.acked(1)
	s.host.Fail(nil, nil)
	s.send(2)
	s.submitted(2)
	if slices.Contains(s.ids(false), 1) {
		t.Error("an invalid message was submitted again")
	}
}

func (h Harness) stopBeforeDurable(t *testing.T) {
	s := h.start(t)
	s.host.Hold(true)
	s.send(1, 2)
	s.submitted(1)
	s.stop()
	s.notAcked("the connector was stopped before it was durable")
	s.host.Hold(false)
	s.start()
	s.acked(1, 2)
}

func (h Harness) handler(s *session) connector.RPCHandler {
	s.t.Helper()
	s.send(1)
	s.submitted(1)
	handler, ok := connector.As[connector.RPCHandler](s.conn)
	if !ok {
		s.t.Fatal("the connector is not an RPCHandler")
	}
	return handler
}

func (h Harness) rpc(t *testing.T) {
	s := h.start(t)
	handler := h.handler(s)
	for _, r := range h.RPC {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := handler.HandleRPC(ctx, r); err != nil {
			t.Errorf("%s(%s): %v", r.Method, r.Params, err)
		}
		cancel()
	}
}

func (h Harness) unknownMethod(t *testing.T) {
	s := h.start(t)
	handler := h.handler(s)
	r := h.RPC[0]
	r.Method = "connectortest-no-such-method"
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if v, err := handler.HandleRPC(ctx, r); err == nil {
		t.Errorf("an unknown method was answered with %v; want an error", v)
	} else if ctx.Err() != nil {
		t.Error("an unknown method was not refused before the deadline")
	}
}
