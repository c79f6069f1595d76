// Package otel gives the metrics of a gateway to OpenTelemetry, under the names
// that gateway/monitor shows and docs/metrics.md documents.
//
//	m := monitor.New(monitor.Config{Gateway: g.Stats})
//	e, err := otel.Register(provider.Meter("gridlinks"), m.Gather, nil)
//	...
//	defer e.Close()
//
// It is a module of its own because OpenTelemetry needs a later Go than the
// gateway.
package otel

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gridlinks/iot-gateway/gateway/monitor"
)

// An Exporter gives metrics to a meter until it is closed. It does nothing unless
// the meter collects.
type Exporter struct {
	meter  metric.Meter
	gather func() []monitor.Family
	log    *slog.Logger
	wg     sync.WaitGroup // of refresh

	mu           sync.Mutex
	closed       bool
	refreshing   bool
	instruments  map[string]metric.Float64Observable // by name; nil: the meter does not take it
	registration metric.Registration
}

// Register gives the metrics that gather returns, which is the Gather of a
// monitor.Monitor, to a meter: counters as observable counters and gauges as
// observable gauges, of float64, with their labels as attributes. What gather
// returns for the first time later, such as a metric of a connector that was
// added, is there from the collection after the next on. A metric that the meter
// does not take is logged, once, and costs no other. A nil log means
// slog.Default().
func Register(meter metric.Meter, gather func() []monitor.Family, log *slog.Logger) (*Exporter, error) {
	if log == nil {
		log = slog.Default()
	}
	e := &Exporter{meter: meter, gather: gather, log: log, instruments: make(map[string]metric.Float64Observable)}
	if err := e.refresh(gather()); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return e, nil
}

// Close ends the export. The metrics are not there in the next collection.
func (e *Exporter) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.wg.Wait()
	if e.registration == nil {
		return nil
	}
	return e.registration.Unregister()
}

// refresh makes instruments of new metrics and registers all of them. It is called
// one at a time, and not while the meter collects, which holds a lock.
func (e *Exporter) refresh(families []monitor.Family) error {
	var all []metric.Observable
	e.mu.Lock()
	for _, f := range families {
		if _, known := e.instruments[f.Name]; known {
			continue
		}
		instrument, err := e.instrument(f)
		if err != nil {
			e.log.Warn("metric is not exported", "metric", f.Name, "error", err)
		}
		e.instruments[f.Name] = instrument
	}
	for _, instrument := range e.instruments {
		if instrument != nil {
			all = append(all, instrument)
		}
	}
	e.mu.Unlock()
	before := e.registration
	r, err := e.meter.RegisterCallback(e.observe, all...)
	if err != nil {
		return err
	}
	e.registration = r
	if before != nil {
		return before.Unregister()
	}
	return nil
}

func (e *Exporter) instrument(f monitor.Family) (metric.Float64Observable, error) {
	var instrument metric.Float64Observable
	var err error
	if f.Type == monitor.TypeCounter {
		instrument, err = e.meter.Float64ObservableCounter(f.Name, metric.WithDescription(f.Help))
	} else {
		instrument, err = e.meter.Float64ObservableGauge(f.Name, metric.WithDescription(f.Help))
	}
	if err != nil {
		return nil, err
	}
	return instrument, nil
}

// observe is called when the meter collects.
func (e *Exporter) observe(_ context.Context, o metric.Observer) error {
	families := e.gather()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	news := false
	for _, f := range families {
		instrument, known := e.instruments[f.Name]
		news = news || !known
		if instrument == nil {
			continue
		}
		for _, s := range f.Samples {
			o.ObserveFloat64(instrument, s.Value, metric.WithAttributes(attributes(s.Labels)...))
		}
	}
	if news && !e.refreshing {
		e.refreshing = true
		e.wg.Go(func() { e.refreshLater(families) })
	}
	return nil
}

// refreshLater waits for the end of the collection by the meter's own lock.
func (e *Exporter) refreshLater(families []monitor.Family) {
	err := e.refresh(families)
	e.mu.Lock()
	e.refreshing = false
	e.mu.Unlock()
	if err != nil {
		e.log.Warn("new metrics are not exported", "error", err)
	}
}

func attributes(labels []monitor.Label) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(labels))
	for _, l := range labels {
		out = append(out, attribute.String(l.Name, l.Value))
	}
	return out
}
