package snmp_test

import (
	"context"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A counter is a host that only counts batches.
type counter struct {
	*connectortest.Host

	polled chan struct{}
}

// Submit implements connector.Sink.
func (c *counter) Submit(ctx context.Context, _ *telemetry.Batch) (connector.Receipt, error) {
	select {
	case c.polled <- struct{}{}:
	case <-ctx.Done():
	}
	return connector.Receipt{}, nil
}

// BenchmarkPoll reads 60 objects of an agent in one request. Most of the memory is
// that of the library and of the agent in the same process.
func BenchmarkPoll(b *testing.B) {
	a := newAgent(b)
	d := device(a, many(b, a, 60)...)
	d.Poll = time.Microsecond
	h := &counter{Host: connectortest.NewHost(b), polled: make(chan struct{})}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- connect(d).Run(ctx, h) }()
	<-h.polled
	b.ReportAllocs()
	for b.Loop() {
		<-h.polled
	}
	b.StopTimer()
	cancel()
	<-done
}

// BenchmarkTrap decodes a trap and makes its readings.
func BenchmarkTrap(b *testing.B) {
	d := snmp.NewTrapDecoder(b, []string{"public"}, nil, "engine-1")
	msg := notify(b, 0xa7, "public", linkDown, number("1.3.6.1.2.1.2.2.1.1.7", 7))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := d.Decode(msg); err != nil {
			b.Fatal(err)
		}
	}
}
