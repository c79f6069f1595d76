package otel_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/gridlinks/iot-gateway/contrib/otel"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/monitor"
)

// source is a gateway whose connectors can change.
type source struct {
	mu    sync.Mutex
	stats gateway.Stats
	extra bool // the program has a metric of its own
}

func (s *source) set(connectors map[string]gateway.ConnectorStats, extra bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Connectors, s.extra = connectors, extra
}

func (s *source) monitor() *monitor.Monitor {
	return monitor.New(monitor.Config{
		Gateway: func() gateway.Stats {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.stats
		},
		Collectors: []monitor.Collector{monitor.CollectorFunc(func(m *monitor.Metrics) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.extra {
				m.Gauge("plant_pressure_pascals", "Pressure.", 5)
			}
		})},
	})
}

// collect returns the values by name and attributes.
func collect(t *testing.T, r *metric.ManualReader) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, r.Collect(t.Context(), &rm))
	out := make(map[string]float64)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			var points []metricdata.DataPoint[float64]
			switch d := m.Data.(type) {
			case metricdata.Sum[float64]:
				require.True(t, d.IsMonotonic, m.Name)
				points = d.DataPoints
			case metricdata.Gauge[float64]:
				points = d.DataPoints
			default:
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
			for _, p := range points {
				key := m.Name
				for _, kv := range p.Attributes.ToSlice() {
					key += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.AsString())
				}
				out[key] = p.Value
			}
		}
	}
	return out
}

func TestOpenTelemetrySeesTheSameMetrics(t *testing.T) {
	s := &source{stats: gateway.Stats{Published: 7}}
	s.set(map[string]gateway.ConnectorStats{"meters": {State: gateway.Running, Type: "modbus", Stored: 3}}, false)
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	m := s.monitor()
	e, err := otel.Register(provider.Meter("test"), m.Gather, nil)
	require.NoError(t, err)

	got := collect(t, reader)
	require.Equal(t, 7.0, got["gateway_published_points_total"])
	require.Equal(t, 3.0, got["gateway_connector_points_total connector=meters result=stored"])
	require.Equal(t, 1.0, got["gateway_connector_state connector=meters state=running type=modbus"])
	samples := 0
	for _, f := range m.Gather() {
		samples += len(f.Samples)
	}
	require.Len(t, got, samples, "all of them")

	require.NoError(t, e.Close())
	require.Empty(t, collect(t, reader))
}

func TestConnectorsAndMetricsComeAndGo(t *testing.T) {
	s := new(source)
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	e, err := otel.Register(provider.Meter("test"), s.monitor().Gather, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	require.NotContains(t, collect(t, reader), "plant_pressure_pascals")

	s.set(map[string]gateway.ConnectorStats{"sensors": {Restarts: 2}}, true)
	require.Eventually(t, func() bool {
		got := collect(t, reader)
		return got["plant_pressure_pascals"] == 5 && got["gateway_connector_restarts_total connector=sensors"] == 2
	}, 30*time.Second, time.Millisecond)

	s.set(nil, false)
	got := collect(t, reader)
	require.NotContains(t, got, "plant_pressure_pascals")
	require.NotContains(t, got, "gateway_connector_restarts_total connector=sensors")
}

func TestCloseWhileItCollects(t *testing.T) {
	s := new(source)
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	e, err := otel.Register(provider.Meter("test"), s.monitor().Gather, nil)
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 100 {
			s.set(nil, i%2 == 0)
			collect(t, reader)
		}
	})
	require.NoError(t, e.Close())
	wg.Wait()
}
