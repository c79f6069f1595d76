package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

// A fakeBroker keeps one persistent session: what is not acknowledged is
// delivered again, in order, to the next connection.
type fakeBroker struct {
	mu       sync.Mutex
	changed  chan struct{}
	nextID   int
	waiting  []fakeMessage // not acknowledged
	acks     []int         // message ids, in the order of acknowledgement
	acked    []int64
	subs     []mqtt.Subscription
	unsubbed []string
	sent     []publication
	answer   func(p publication) // called for each publication
	session  *fakeSession
	refuse   error // of subscriptions
}

type fakeMessage struct {
	number  int
	id      int64
	topic   string
	payload string
	retain  bool
	qos0    bool
}

type publication struct {
	topic, payload string
	qos            byte
	retain         bool
}

func newFakeBroker() *fakeBroker { return &fakeBroker{changed: make(chan struct{})} }

func (b *fakeBroker) update(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// Send implements connectortest.Source.
func (b *fakeBroker) Send(id int64) {
	b.push(fakeMessage{id: id, topic: "dev/1", payload: fmt.Sprintf(`{"id":%d}`, id)})
}

func (b *fakeBroker) push(m fakeMessage) {
	b.update(func() {
		b.nextID++
		m.number = b.nextID
		b.waiting = append(b.waiting, m)
	})
}

// Acked implements connectortest.Source.
func (b *fakeBroker) Acked() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.acked)
}

func (b *fakeBroker) publications() []publication {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}

// Dial is a mqtt.Dialer.
func (b *fakeBroker) Dial(_ context.Context, _ mqtt.Config, receive func(mqtt.Message)) (mqtt.Session, error) {
	s := &fakeSession{b: b, done: make(chan struct{})}
	b.update(func() { b.session = s })
	s.work.Go(func() { s.deliver(receive) })
	return s, nil
}

// onPublish sets what is called for each publication.
func (b *fakeBroker) onPublish(f func(publication)) { b.update(func() { b.answer = f }) }

// drop breaks the current connection.
func (b *fakeBroker) drop() {
	b.mu.Lock()
	s := b.session
	b.mu.Unlock()
	s.end()
}

type fakeSession struct {
	b    *fakeBroker
	done chan struct{}
	once sync.Once
	work sync.WaitGroup
}

func (s *fakeSession) end() { s.once.Do(func() { close(s.done) }) }

func (s *fakeSession) deliver(receive func(mqtt.Message)) {
	last := 0
	for {
		s.b.mu.Lock()
		changed := s.b.changed
		i := slices.IndexFunc(s.b.waiting, func(m fakeMessage) bool { return m.number > last })
		var m fakeMessage
		if i >= 0 {
			m = s.b.waiting[i]
			if m.qos0 {
				s.b.waiting = slices.Delete(s.b.waiting, i, i+1)
			}
		}
		s.b.mu.Unlock()
		if i < 0 {
			select {
			case <-changed:
				continue
			case <-s.done:
				return
			}
		}
		last = m.number
		msg := mqtt.Message{Topic: m.topic, Payload: []byte(m.payload), Retained: m.retain}
		if !m.qos0 {
			msg.Ack = func() { s.ack(m) }
		}
		receive(msg)
		select {
		case <-s.done:
			return
		default:
		}
	}
}

func (s *fakeSession) ack(m fakeMessage) {
	select {
	case <-s.done:
		return
	default:
	}
	s.b.update(func() {
		s.b.waiting = slices.DeleteFunc(s.b.waiting, func(w fakeMessage) bool { return w.number == m.number })
		s.b.acks = append(s.b.acks, m.number)
		s.b.acked = append(s.b.acked, m.id)
	})
}

func (s *fakeSession) Subscribe(_ context.Context, subs ...mqtt.Subscription) error {
	s.b.update(func() { s.b.subs = append(s.b.subs, subs...) })
	return s.b.refuse
}

func (s *fakeSession) Unsubscribe(_ context.Context, filters ...string) error {
	s.b.update(func() { s.b.unsubbed = append(s.b.unsubbed, filters...) })
	return nil
}

func (s *fakeSession) Publish(_ context.Context, topic string, qos byte, retain bool, payload []byte) error {
	p := publication{topic, string(payload), qos, retain}
	var answer func(publication)
	s.b.update(func() { s.b.sent, answer = append(s.b.sent, p), s.b.answer })
	if answer != nil {
		answer(p)
	}
	return nil
}

func (s *fakeSession) Done() <-chan struct{} { return s.done }

func (s *fakeSession) Err() error {
	select {
	case <-s.done:
		return errors.New("fake: connection dropped")
	default:
		return nil
	}
}

func (s *fakeSession) Close() {
	s.end()
	s.work.Wait()
}

var _ mqtt.Session = (*fakeSession)(nil)

// idConverter makes a telemetry point of the conformance kit's messages.
func idConverter(t testing.TB) mqtt.UplinkConverter {
	return newJSON(t, mqtt.JSONConfig{Timeseries: []mqtt.Datapoint{{Key: key("id"), Type: "integer", Value: "${id}"}}})
}

// A bench runs a connector until the test ends, again and again as a gateway
// does.
type bench struct {
	*connectortest.Host
	t      *testing.T
	conn   connector.Connector
	mu     sync.Mutex
	errs   []error
	cancel context.CancelFunc
	done   chan struct{}
}

func run(t *testing.T, c connector.Connector) *bench {
	t.Helper()
	return runWith(t, c, connectortest.NewHost(t), nil)
}

// runWith runs c with host, or with what wrap makes of it.
func runWith(t *testing.T, c connector.Connector, h *connectortest.Host, wrap func(connector.Host) connector.Host) *bench {
	t.Helper()
	b := &bench{Host: h, t: t, conn: c, done: make(chan struct{})}
	var host connector.Host = h
	if wrap != nil {
		host = wrap(h)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() {
		defer close(b.done)
		for ctx.Err() == nil {
			err := c.Run(ctx, host)
			b.mu.Lock()
			b.errs = append(b.errs, err)
			b.mu.Unlock()
			if connector.IsPermanent(err) {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(b.stop)
	return b
}

func (b *bench) stop() {
	b.cancel()
	select {
	case <-b.done:
	case <-time.After(20 * time.Second):
		b.t.Error("Run did not end")
	}
}

func (b *bench) errors() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.errs)
}

// values returns the values of a key, in order.
func (b *bench) values(key string) []int64 {
	var vs []int64
	for _, r := range b.Readings(false) {
		if r.Key == key {
			vs = append(vs, r.Value.Int())
		}
	}
	return vs
}

func (b *bench) eventually(what string, cond func() bool) {
	b.t.Helper()
	b.Eventually(b.t, what, cond)
}

func fakeConnector(t *testing.T, b *fakeBroker, cfg mqtt.Config) connector.Connector {
	t.Helper()
	cfg.Broker = "tcp://fake"
	if cfg.Mappings == nil {
		cfg.Mappings = []mqtt.Mapping{{Filter: "dev/+", QoS: 1, Converter: idConverter(t)}}
	}
	return mqtt.NewWithSession(cfg, b.Dial)
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{New: func(t *testing.T) (connector.Connector, connectortest.Source) {
		b := newFakeBroker()
		return fakeConnector(t, b, mqtt.Config{RPCs: []mqtt.RPC{{MethodFilter: "^reboot$", Topic: "cmd/${deviceName}", Value: "x"}}}), b
	}, RPC: []connector.RPCRequest{{Device: "Dev", ID: 1, Method: "reboot"}}})
}
