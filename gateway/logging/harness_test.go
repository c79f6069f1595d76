package logging_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// buffer is a writer that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) lines() []string {
	text := strings.TrimSuffix(b.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// platform is a logging.Publisher in memory.
type platform struct {
	mu      sync.Mutex
	points  []telemetry.Point
	sizes   []int // points of each publication
	publish func(ctx context.Context) error
}

func (p *platform) PublishOwn(ctx context.Context, points, _ []telemetry.Point) error {
	if p.publish != nil {
		if err := p.publish(ctx); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.points = append(p.points, points...)
	p.sizes = append(p.sizes, len(points))
	return nil
}

// of returns what was published under a key.
func (p *platform) of(key string) (lines []string, stamps []int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pt := range p.points {
		if pt.Key == key {
			lines = append(lines, pt.Value.String())
			stamps = append(stamps, pt.TS)
		}
	}
	return lines, stamps
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, 20*time.Second, 5*time.Millisecond, what)
}
