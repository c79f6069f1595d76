package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestMessagesAreAcknowledgedInOrderAndAllAtOnce(t *testing.T) {
	b := newFakeBroker()
	r := run(t, fakeConnector(t, b, mqtt.Config{}))
	r.Hold(true)
	for id := range int64(50) {
		b.Send(id)
	}
	r.eventually("all are submitted before any is durable", func() bool { return len(r.values("id")) == 50 })
	require.Empty(t, b.Acked())
	r.Hold(false)
	r.eventually("all are acknowledged", func() bool { return len(b.Acked()) == 50 })
	require.True(t, slices.IsSorted(b.Acked()))
}

func TestNothingIsAcknowledgedAfterOneThatFailed(t *testing.T) {
	b := newFakeBroker()
	r := run(t, fakeConnector(t, b, mqtt.Config{}))
	r.Hold(true)
	b.Send(0)
	r.eventually("the first is submitted", func() bool { return len(r.values("id")) == 1 })
	time.Sleep(50 * time.Millisecond) // until it is waited for, alone
	for id := int64(1); id < 30; id++ {
		b.Send(id)
	}
	r.eventually("all are submitted", func() bool { return len(r.values("id")) == 30 })
	var failed atomic.Bool
	r.Fail(nil, func() error {
		if failed.CompareAndSwap(false, true) {
			return errors.New("medium failed")
		}
		return nil
	})
	r.Hold(false)
	r.eventually("all are acknowledged", func() bool { return len(b.Acked()) >= 30 })
	require.True(t, slices.IsSorted(b.Acked()), "%v", b.Acked())
}

// heldBack yields the zero receipt for every second batch, as a report policy
// does.
type heldBack struct {
	*connectortest.Host
	n int
}

func (h *heldBack) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	if h.n++; h.n%2 == 0 {
		return connector.Receipt{}, nil
	}
	return h.Host.Submit(ctx, b)
}

func TestABatchThatIsHeldBackDoesNotAcknowledgeThoseBeforeIt(t *testing.T) {
	b := newFakeBroker()
	h := connectortest.NewHost(t)
	h.Hold(true)
	r := runWith(t, fakeConnector(t, b, mqtt.Config{}), h, func(connector.Host) connector.Host { return &heldBack{Host: h} })
	for id := range int64(10) {
		b.Send(id)
	}
	r.eventually("half are submitted", func() bool { return len(r.values("id")) == 5 })
	time.Sleep(50 * time.Millisecond) // what must not happen has no condition to wait for
	require.Empty(t, b.Acked())
	h.Hold(false)
	r.eventually("all are acknowledged", func() bool { return len(b.Acked()) == 10 })
}

func TestAFullPipelineBlocksTheReader(t *testing.T) {
	b := newFakeBroker()
	c := fakeConnector(t, b, mqtt.Config{Inflight: 4}).(*mqtt.Connector)
	r := run(t, c)
	r.Hold(true)
	for id := range int64(100) {
		b.Send(id)
	}
	r.eventually("some are submitted", func() bool { return len(r.values("id")) > 4 })
	time.Sleep(50 * time.Millisecond)
	// The acknowledging goroutine holds up to 4, its channel 4, the converting
	// goroutine 1, the queue 4, the reader 1.
	require.LessOrEqual(t, c.Stats().Received, uint64(4+4+1+4+1))
	r.Hold(false)
	r.eventually("all are acknowledged", func() bool { return len(b.Acked()) == 100 })
}

func TestAQueueIsBoundedInBytes(t *testing.T) {
	b := newFakeBroker()
	started, release := make(chan struct{}, 100), make(chan struct{})
	slow := mqtt.ConverterFunc(func(mqtt.Message, *telemetry.Batch) error {
		started <- struct{}{}
		<-release
		return nil
	})
	c := fakeConnector(t, b, mqtt.Config{QueueBytes: 1000, Mappings: []mqtt.Mapping{{Filter: "#", Converter: slow}}}).(*mqtt.Connector)
	r := run(t, c)
	for range 10 {
		b.push(fakeMessage{topic: "x", payload: strings.Repeat("x", 400)})
	}
	b.push(fakeMessage{topic: "x", payload: strings.Repeat("x", 5000)})
	<-started
	time.Sleep(50 * time.Millisecond)
	require.LessOrEqual(t, c.Stats().Received, uint64(3), "two of 400 bytes fit, and one is being received")
	close(release)
	r.eventually("all pass, also the one that is larger than the bound", func() bool { return len(b.Acked()) == 11 })
}

func TestBadMessagesAreCountedLoggedOnceAndAcknowledged(t *testing.T) {
	b := newFakeBroker()
	panics := mqtt.ConverterFunc(func(m mqtt.Message, _ *telemetry.Batch) error { panic("on " + m.Topic) })
	c := fakeConnector(t, b, mqtt.Config{Mappings: []mqtt.Mapping{
		{Filter: "dev/+", QoS: 1, Converter: idConverter(t)}, {Filter: "panic", QoS: 1, Converter: panics},
	}}).(*mqtt.Connector)
	log := &logBuffer{}
	h := connectortest.NewHost(t)
	r := runWith(t, c, h, func(connector.Host) connector.Host { return logged{h, log} })
	for i := range 20 {
		b.push(fakeMessage{id: -1, topic: "dev/1", payload: "not JSON"})
		b.push(fakeMessage{id: -2, topic: "panic"})
		b.push(fakeMessage{id: -3, topic: "nobody/asked"})
		b.Send(int64(i))
	}
	r.eventually("all are acknowledged", func() bool { return len(b.Acked()) == 80 })
	require.Len(t, r.values("id"), 20)
	s := c.Stats()
	require.Equal(t, uint64(40), s.Malformed)
	require.Equal(t, uint64(20), s.Unmatched)
	require.Equal(t, 1, log.count("does not convert and is dropped", "filter=dev/+"))
	require.Equal(t, 1, log.count("does not convert and is dropped", "panicked"))
	require.Empty(t, r.errors())
}

func TestInvalidBatchesAreDroppedOthersEndTheRun(t *testing.T) {
	b := newFakeBroker()
	c := fakeConnector(t, b, mqtt.Config{}).(*mqtt.Connector)
	r := run(t, c)
	r.Fail(func() error { return connector.Invalid(errors.New("no good")) }, nil)
	b.Send(1)
	r.eventually("the message is acknowledged", func() bool { return len(b.Acked()) == 1 })
	require.Equal(t, uint64(1), c.Stats().Rejected)
	require.Empty(t, r.errors())
	full := errors.New("store is full")
	r.Fail(func() error { return full }, nil)
	b.Send(2)
	r.eventually("the run ends", func() bool { return len(r.errors()) > 0 })
	require.ErrorIs(t, r.errors()[0], full)
	require.Len(t, b.Acked(), 1)
	r.Fail(nil, nil)
	r.eventually("the message is delivered again", func() bool { return len(b.Acked()) == 2 })
}

func TestSeveralMappingsOfOneTopicShareOneAcknowledgement(t *testing.T) {
	b := newFakeBroker()
	failing := mqtt.ConverterFunc(func(mqtt.Message, *telemetry.Batch) error { return errors.New("no") })
	other := newJSON(t, mqtt.JSONConfig{Device: mqtt.DeviceInfo{Name: constant("Other")}, Timeseries: []mqtt.Datapoint{{Key: key("too"), Value: "${id}"}}})
	r := run(t, fakeConnector(t, b, mqtt.Config{Mappings: []mqtt.Mapping{
		{Filter: "dev/+", Converter: idConverter(t)}, {Filter: "#", Converter: failing}, {Filter: "dev/#", Converter: other},
	}}))
	r.Hold(true)
	b.Send(5)
	r.eventually("both are submitted", func() bool { return len(r.values("id")) == 1 && len(r.values("too")) == 1 })
	require.Empty(t, b.Acked())
	r.Hold(false)
	r.eventually("it is acknowledged", func() bool { return len(b.Acked()) == 1 })
	require.Len(t, b.Acked(), 1)
}

func TestEqualMessagesAreAllDelivered(t *testing.T) {
	b := newFakeBroker()
	r := run(t, fakeConnector(t, b, mqtt.Config{}))
	for range 3 {
		b.Send(1)
	}
	r.eventually("all are acknowledged", func() bool { return len(b.Acked()) == 3 })
	require.Equal(t, []int64{1, 1, 1}, r.values("id"))
}

func TestALostConnectionEndsTheRunAndNothingIsLost(t *testing.T) {
	b := newFakeBroker()
	r := run(t, fakeConnector(t, b, mqtt.Config{}))
	r.Hold(true)
	b.Send(1)
	r.eventually("it is submitted", func() bool { return len(r.values("id")) == 1 })
	b.drop()
	r.eventually("the run ends", func() bool { return len(r.errors()) == 1 })
	require.ErrorContains(t, r.errors()[0], "connection to tcp://fake lost")
	r.Hold(false)
	r.eventually("it is delivered again and acknowledged", func() bool { return len(b.Acked()) == 1 })
}

func TestStoppingAcknowledgesWhatIsDurableSoon(t *testing.T) {
	b := newFakeBroker()
	r := run(t, fakeConnector(t, b, mqtt.Config{}))
	r.Hold(true)
	b.Send(1)
	r.eventually("it is submitted", func() bool { return len(r.values("id")) == 1 })
	r.cancel()
	time.Sleep(100 * time.Millisecond) // a part of the time that a stop has
	r.Hold(false)
	<-r.done
	require.Equal(t, []int64{1}, b.Acked())
}

func TestARefusedSubscriptionDoesNotStopTheOthers(t *testing.T) {
	b := newFakeBroker()
	b.refuse = errors.New("not authorized")
	log := &logBuffer{}
	h := connectortest.NewHost(t)
	r := runWith(t, fakeConnector(t, b, mqtt.Config{}), h, func(connector.Host) connector.Host { return logged{h, log} })
	b.Send(1)
	r.eventually("it is acknowledged", func() bool { return len(b.Acked()) == 1 })
	r.eventually("it is said", func() bool { return log.count("refused a subscription", "not authorized") == 1 })
	r.eventually("it is ready", r.IsReady)
}

func TestABadConfigurationIsPermanent(t *testing.T) {
	for name, cfg := range map[string]mqtt.Config{
		"broker: is missing":                  {},
		"clientId: is required":               {Broker: "tcp://x", KeepSession: true},
		"mapping[0].topicFilter":              {Broker: "tcp://x", Mappings: []mqtt.Mapping{{Filter: "a#", Converter: nothing}}},
		"mapping[0].converter: is missing":    {Broker: "tcp://x", Mappings: []mqtt.Mapping{{Filter: "a"}}},
		"serverSideRpc[0].methodFilter":       {Broker: "tcp://x", RPCs: []mqtt.RPC{{MethodFilter: "(", Topic: "x"}}},
		"connectRequests[0].deviceInfo":       {Broker: "tcp://x", Connects: []mqtt.DeviceRequest{{Filter: "x"}}},
		"attributeUpdates[0].topicExpression": {Broker: "tcp://x", AttributeUpdates: []mqtt.AttributeUpdate{{Topic: "a/#", Value: "x"}}},
	} {
		err := mqtt.New(cfg).Run(t.Context(), connectortest.NewHost(t))
		require.True(t, connector.IsPermanent(err), name)
		require.ErrorContains(t, err, name)
	}
}

func TestDialErrorsAreNotPermanent(t *testing.T) {
	c := mqtt.New(mqtt.Config{Broker: "tcp://127.0.0.1:1", Mappings: []mqtt.Mapping{{Filter: "a", Converter: nothing}}})
	err := c.Run(t.Context(), connectortest.NewHost(t))
	require.Error(t, err)
	require.False(t, connector.IsPermanent(err))
	require.ErrorContains(t, err, "127.0.0.1:1")
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count returns the number of lines that contain all of texts.
func (l *logBuffer) count(texts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		missing := slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
		if !missing {
			n++
		}
	}
	return n
}

// logged is a host that logs to a buffer.
type logged struct {
	*connectortest.Host
	log *logBuffer
}

func (l logged) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l.log, nil)) }

func BenchmarkPipeline(b *testing.B) {
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = fmt.Sprintf(`{"id":%d}`, i)
	}
	c := newJSON(b, mqtt.JSONConfig{Timeseries: []mqtt.Datapoint{{Key: key("id"), Type: "integer", Value: "${id}"}}})
	var acked sync.WaitGroup
	acked.Add(b.N)
	done := make(chan struct{})
	conn := mqtt.NewWithSession(mqtt.Config{Broker: "x", Mappings: []mqtt.Mapping{{Filter: "dev/+", Converter: c}}},
		func(_ context.Context, _ mqtt.Config, receive func(mqtt.Message)) (mqtt.Session, error) {
			go func() {
				for i := range b.N {
					receive(mqtt.Message{Topic: "dev/1", Payload: []byte(ids[i%len(ids)]), Ack: acked.Done})
				}
			}()
			return idleSession{done}, nil
		})
	b.ReportAllocs()
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		defer close(done)
		_ = conn.Run(ctx, quietHost{connectortest.NewHost(b)})
	}()
	acked.Wait()
	cancel()
	<-done
}

// idleSession is a session on which nothing can be done.
type idleSession struct{ done chan struct{} }

func (idleSession) Subscribe(context.Context, ...mqtt.Subscription) error { return nil }
func (idleSession) Unsubscribe(context.Context, ...string) error          { return nil }
func (idleSession) Publish(context.Context, string, byte, bool, []byte) error {
	return nil
}
func (s idleSession) Done() <-chan struct{} { return s.done }
func (idleSession) Err() error              { return nil }
func (idleSession) Close()                  {}

// quietHost keeps nothing.
type quietHost struct{ *connectortest.Host }

func (quietHost) Submit(context.Context, *telemetry.Batch) (connector.Receipt, error) {
	return connector.Receipt{}, nil
}
