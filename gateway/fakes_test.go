package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// platform is a gateway.Platform in memory.
type platform struct {
	mu       sync.Mutex
	points   []point // accepted
	online   map[string]string
	offline  []string
	down     chan struct{}        // Publish waits for it if it is not nil
	fate     func(n int) error    // of the n-th publication, from 0
	refuse   func([]string) error // of Publish, by the devices
	hold     chan struct{}        // deliveries wait for it if it is not nil
	n        int
	inFlight int
	most     int
	downlink gateway.Downlink
	running  chan struct{}
}

type point struct {
	device, profile, key string
	value                telemetry.Value
	ts                   int64
	attribute            bool
	connector            string // and when it submitted the point, if that is recorded
	received             int64
}

func newPlatform() *platform {
	return &platform{online: make(map[string]string), running: make(chan struct{})}
}

func (p *platform) Run(ctx context.Context, d gateway.Downlink) error {
	p.mu.Lock()
	p.downlink = d
	p.mu.Unlock()
	close(p.running)
	<-ctx.Done()
	return nil
}

type delivery struct {
	p      *platform
	err    error
	points []point
}

func (p *platform) Publish(ctx context.Context, groups []telemetry.Group) (gateway.Delivery, error) {
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down != nil {
		select {
		case <-down:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &delivery{p: p}
	var names []string
	for _, g := range groups {
		names = append(names, g.Device.Name)
		for _, t := range g.Telemetry {
			d.points = append(d.points, point{g.Device.Name, g.Device.Profile, t.Key, t.Value, t.TS, false, g.Connector, g.Received})
		}
		for _, t := range g.Attributes {
			d.points = append(d.points, point{g.Device.Name, g.Device.Profile, t.Key, t.Value, t.TS, true, g.Connector, g.Received})
		}
	}
	if p.refuse != nil {
		if err := p.refuse(names); err != nil {
			return nil, err
		}
	}
	if p.fate != nil {
		d.err = p.fate(p.n)
	}
	p.n++
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	return d, nil
}

func (d *delivery) Wait(ctx context.Context) error {
	d.p.mu.Lock()
	hold := d.p.hold
	d.p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	d.p.inFlight--
	if d.err == nil {
		d.p.points = append(d.p.points, d.points...)
	}
	return d.err
}

func (p *platform) DeviceOnline(_ context.Context, d telemetry.Device) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.online[d.Name] = d.Profile
	return nil
}

func (p *platform) DeviceOffline(_ context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.online, name)
	p.offline = append(p.offline, name)
	return nil
}

func (p *platform) Attributes(_ context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	return []telemetry.Point{{Key: q.Keys[0], Value: telemetry.Int(1)}}, nil
}

func (p *platform) got() []point {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]point(nil), p.points...)
}

// ints returns the integer values with the key "n" that device sent.
func (p *platform) ints(device string) []int64 {
	ns := []int64{}
	for _, q := range p.got() {
		if q.device == device && q.key == "n" {
			ns = append(ns, q.value.Int())
		}
	}
	return ns
}

// feed is a connector that submits what a test tells it to.
type feed struct {
	connector.Func
	host chan connector.Host
}

func newFeed() *feed {
	f := &feed{host: make(chan connector.Host, 16)}
	f.Func = func(ctx context.Context, h connector.Host) error {
		h.Ready()
		f.host <- h
		<-ctx.Done()
		return nil
	}
	return f
}

func reading(device string, n int64) *telemetry.Batch {
	b := new(telemetry.Batch)
	b.Device(device, "meter")
	b.Telemetry("n", telemetry.Int(n))
	return b
}

func submit(t testing.TB, h connector.Host, device string, ns ...int64) {
	t.Helper()
	for _, n := range ns {
		_, err := h.Submit(t.Context(), reading(device, n))
		require.NoError(t, err)
	}
}

// run runs a gateway until the test ends, or stop is called, which returns what
// Run returned.
func run(t testing.TB, opts ...gateway.Option) (g *gateway.Gateway, stop func() error) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	opts = append([]gateway.Option{gateway.WithLogger(log), gateway.WithBackoff(time.Millisecond, 10*time.Millisecond)}, opts...)
	g, err := gateway.New(opts...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("Run did not return")
		}
	})
	t.Cleanup(func() { _ = stop() })
	return g, stop
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func upTo(n int64) []int64 {
	s := make([]int64, n)
	for i := range s {
		s[i] = int64(i + 1)
	}
	return s
}
