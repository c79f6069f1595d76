package statistics_test

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/statistics"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// platform is a statistics.Publisher in memory.
type platform struct {
	mu         sync.Mutex
	messages   [][]telemetry.Point
	attributes []telemetry.Point
	err        error
	down       chan struct{} // PublishOwn waits for it if it is not nil
}

func (p *platform) PublishOwn(ctx context.Context, points, attributes []telemetry.Point) error {
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down != nil {
		select {
		case <-down:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	p.messages = append(p.messages, points)
	p.attributes = append(p.attributes, attributes...)
	return nil
}

func (p *platform) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// all returns the values that were published under a key.
func (p *platform) all(key string) (values []telemetry.Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		for _, pt := range m {
			if pt.Key == key {
				values = append(values, pt.Value)
			}
		}
	}
	return values
}

// docs returns the JSON objects that were published under a key.
func (p *platform) docs(t *testing.T, key string) (docs []map[string]any) {
	t.Helper()
	for _, v := range p.all(key) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(v.String()), &m))
		docs = append(docs, m)
	}
	return docs
}

// source is the gateway and the client that are counted.
type source struct {
	mu     sync.Mutex
	stats  gateway.Stats
	client statistics.Platform
	errors map[string]uint64
}

func newSource() *source {
	return &source{stats: gateway.Stats{Connectors: map[string]gateway.ConnectorStats{}}, errors: map[string]uint64{}}
}

func (s *source) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *source) config() statistics.Config {
	return statistics.Config{
		Gateway: func() gateway.Stats {
			s.mu.Lock()
			defer s.mu.Unlock()
			out := s.stats
			out.Connectors = maps.Clone(s.stats.Connectors)
			return out
		},
		Platform: func() statistics.Platform {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.client
		},
	}
}

func (s *source) countErrors() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.errors)
}

// run runs c until stop is called, or the test ends.
func run(t *testing.T, c *statistics.Collector, p statistics.Publisher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, c.Run(ctx, p)) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}
