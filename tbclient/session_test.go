package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// fakeSession is a Session whose publications are acknowledged by hand, or at
// once if auto is set.
type fakeSession struct {
	auto    bool
	receive func(topic string, payload []byte)
	done    chan struct{}

	mu   sync.Mutex
	hold string // a topic whose messages are not acknowledged
	err  error
	pubs []*fakePublication
}

type fakePublication struct {
	s       *fakeSession
	topic   string
	payload string
	acked   chan struct{}
}

func (p *fakePublication) Done() <-chan struct{} { return p.acked }

func (p *fakePublication) Wait(ctx context.Context) error {
	select {
	case <-p.acked:
		return nil
	default:
	}
	select {
	case <-p.acked:
		return nil
	case <-p.s.done:
		return p.s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *fakeSession) Subscribe(context.Context, ...string) error { return nil }
func (s *fakeSession) Done() <-chan struct{}                      { return s.done }
func (s *fakeSession) Close()                                     { s.Fail(errors.New("closed")) }

func (s *fakeSession) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *fakeSession) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

func (s *fakeSession) Publish(topic string, payload []byte) Publication {
	p := &fakePublication{s, topic, string(payload), make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auto || topic != TopicTelemetry && topic != s.hold {
		close(p.acked)
	}
	s.pubs = append(s.pubs, p)
	return p
}

// sent returns the payloads of a topic.
func (s *fakeSession) sent(topic string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pubs {
		if p.topic == topic {
			out = append(out, p.payload)
		}
	}
	return out
}

// fakeTransport hands out sessions that answer getSessionLimits at once.
type fakeTransport struct {
	auto     bool
	sessions chan *fakeSession
}

func (f fakeTransport) Connect(ctx context.Context, receive func(string, []byte)) (Session, error) {
	s := &fakeSession{auto: f.auto, receive: receive, done: make(chan struct{})}
	go func() { // the platform
		for s.Err() == nil {
			s.mu.Lock()
			var topic string
			if len(s.pubs) > 0 {
				topic = s.pubs[0].topic
			}
			s.mu.Unlock()
			if number, ok := strings.CutPrefix(topic, TopicOwnRPCRequest); ok {
				receive(TopicOwnRPCResponse+number, []byte(`{"maxPayloadSize":65536}`))
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	select {
	case f.sessions <- s:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type nobody struct{}

func (nobody) HandleRPC(context.Context, connector.RPCRequest) (telemetry.Value, error) {
	return telemetry.Value{}, nil
}
func (nobody) UpdateAttributes(context.Context, connector.AttributeUpdate) error { return nil }
func (nobody) SharedAttributes(string) []string                                  { return nil }

func startFake(tb testing.TB, auto bool) (*Client, fakeTransport) {
	tb.Helper()
	tr := fakeTransport{auto: auto, sessions: make(chan *fakeSession)}
	c := New(Config{
		ShortestBackoff: time.Millisecond, LongestBackoff: time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}, tr)
	ctx, cancel := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx, nobody{}) })
	tb.Cleanup(func() { cancel(); wg.Wait() })
	return c, tr
}

// TestPublishFailsOnceAfterDataWasLost guards the order of data: what comes
// after a lost publication must not be sent before it is sent again.
func TestPublishFailsOnceAfterDataWasLost(t *testing.T) {
	c, tr := startFake(t, false)
	first := <-tr.sessions
	ctx := t.Context()
	lost, err := c.Publish(ctx, []telemetry.Group{of("d", at("k", 1, 1))})
	require.NoError(t, err)
	first.Fail(errors.New("cut"))
	second := <-tr.sessions

	_, err = c.Publish(ctx, []telemetry.Group{of("d", at("k", 2, 2))})
	require.Error(t, err, "the caller has to notice")
	require.Error(t, lost.Wait(ctx))
	_, err = c.Publish(ctx, []telemetry.Group{of("d", at("k", 1, 1))})
	require.NoError(t, err, "once is enough")
	_, err = c.Publish(ctx, []telemetry.Group{of("d", at("k", 2, 2))})
	require.NoError(t, err)
	require.Equal(t, []string{`{"d":[{"ts":1,"values":{"k":1}}]}`, `{"d":[{"ts":2,"values":{"k":2}}]}`}, second.sent(TopicTelemetry))
}

func TestPublishGoesOnAfterAConnectionThatLostNothing(t *testing.T) {
	c, tr := startFake(t, true)
	first := <-tr.sessions
	d, err := c.Publish(t.Context(), []telemetry.Group{of("d", at("k", 1, 1))})
	require.NoError(t, err)
	require.NoError(t, d.Wait(t.Context()))
	for c.Stats().Acks != 1 {
		time.Sleep(time.Millisecond)
	}
	first.Fail(errors.New("cut"))
	<-tr.sessions
	_, err = c.Publish(t.Context(), []telemetry.Group{of("d", at("k", 2, 2))})
	require.NoError(t, err)
}

// What was acknowledged, and then lost with its connection before it was
// confirmed, must not be overtaken either.
func TestPublishFailsOnceAfterDataWasNotConfirmed(t *testing.T) {
	tr := fakeTransport{auto: true, sessions: make(chan *fakeSession)}
	c := New(Config{
		ShortestBackoff: time.Millisecond, LongestBackoff: time.Millisecond, Confirm: time.Hour,
		Logger: slog.New(slog.DiscardHandler),
	}, tr)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx, nobody{}) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	first := <-tr.sessions
	d, err := c.Publish(ctx, []telemetry.Group{of("d", at("k", 1, 1))})
	require.NoError(t, err)
	for c.Stats().Acks != 1 {
		time.Sleep(time.Millisecond)
	}
	first.Fail(ErrClosedByPlatform)
	require.ErrorIs(t, d.Wait(ctx), ErrClosedByPlatform)
	<-tr.sessions
	_, err = c.Publish(ctx, []telemetry.Group{of("d", at("k", 2, 2))})
	require.Error(t, err)
	_, err = c.Publish(ctx, []telemetry.Group{of("d", at("k", 1, 1))})
	require.NoError(t, err)
}

func TestDeliverySucceedsOnlyWhenAllItsPacketsAre(t *testing.T) {
	c, tr := startFake(t, false)
	s := <-tr.sessions
	big := telemetry.String(strings.Repeat("x", 40_000))
	d, err := c.Publish(t.Context(), []telemetry.Group{of("d", telemetry.Point{Key: "a", TS: 1, Value: big}, telemetry.Point{Key: "b", TS: 1, Value: big})})
	require.NoError(t, err)
	require.Len(t, s.sent(TopicTelemetry), 2)
	for _, p := range s.pubs {
		if p.topic == TopicTelemetry {
			short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			require.ErrorIs(t, d.Wait(short), context.DeadlineExceeded)
			cancel()
			close(p.acked)
		}
	}
	require.NoError(t, d.Wait(t.Context()))
}

func TestReplyThatWasNotAcknowledgedIsSentAgain(t *testing.T) {
	c, tr := startFake(t, false)
	first := <-tr.sessions
	for c.current() == nil {
		time.Sleep(time.Millisecond)
	}
	first.mu.Lock()
	first.hold = TopicRPC
	first.mu.Unlock()
	first.receive(TopicRPC, []byte(`{"device":"d","data":{"id":5,"method":"m"}}`))
	for len(first.sent(TopicRPC)) == 0 {
		time.Sleep(time.Millisecond)
	}
	first.Fail(errors.New("cut"))
	second := <-tr.sessions
	want := []string{`{"device":"d","id":5,"data":{"success":true}}`}
	require.Eventually(t, func() bool { return len(second.sent(TopicRPC)) > 0 }, 5*time.Second, time.Millisecond)
	require.Equal(t, want, second.sent(TopicRPC))
}

// FuzzReceive gives the client any message from the platform.
func FuzzReceive(f *testing.F) {
	for _, topic := range []string{
		TopicRPC, TopicAttributes, TopicAttributesResponse, TopicOwnAttributes,
		TopicOwnRPCRequest + "1", TopicOwnRPCResponse + "1", TopicOwnRPCResponse, "",
	} {
		for _, payload := range []string{
			"", "null", "[]", `{"device":"d","data":{"id":1,"method":"m","params":{}}}`,
			`{"device":"d","data":{"a":1,"b":1.5e3,"c":[1],"d":null,"deleted":["x"]}}`, `{"id":1,"device":"d","values":{"a":1}}`,
			`{"maxPayloadSize":-1,"maxInflightMessages":99999999999999999999}`, `{"method":"gateway_ping"}`, `{"data":{"id":1e99}}`,
		} {
			f.Add(topic, []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		c := New(Config{Logger: slog.New(slog.DiscardHandler)}, nil)
		ln := c.newLink(&fakeSession{auto: true, done: make(chan struct{})})
		c.setOwnRequest(TopicOwnRPCResponse+"1", func(p []byte) {
			if l, err := parseLimits(p); err == nil {
				c.setLimits(ln, l)
			}
		})
		c.queries[1] = make(chan answer, 1)
		dl := newDownlink(t.Context(), c, nobody{})
		dl.receive(topic, payload)
		dl.finish()
		if ln.maxPayload.Load() <= 0 && ln.maxPayload.Load() != 0 || ln.data.max < 1 || ln.control.max < 1 {
			t.Fatalf("limits %d, %d, %d", ln.maxPayload.Load(), ln.data.max, ln.control.max)
		}
		select {
		case r := <-dl.replies:
			if topic == TopicRPC && !json.Valid(r.payload) {
				t.Fatalf("reply %q", r.payload)
			}
		default:
			if topic == TopicRPC && c.count.calls.Load() == 1 {
				t.Fatal("a call without a reply")
			}
		}
	})
}

func BenchmarkPublish(b *testing.B) {
	c, tr := startFake(b, true)
	<-tr.sessions
	groups := poll()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		d, err := c.Publish(ctx, groups)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/point")
}
