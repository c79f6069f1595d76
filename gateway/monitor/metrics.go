package monitor

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSamples bounds the samples of one scrape.
const maxSamples = 100_000

// Type is the type of a metric.
type Type string

// The types of metrics.
const (
	TypeCounter Type = "counter" // grows only, and starts again at zero
	TypeGauge   Type = "gauge"   // goes up and down
)

// A Family is a metric with its samples.
type Family struct {
	Name    string // with its unit and, if it is a counter, "_total" at the end
	Help    string
	Type    Type
	Samples []Sample
}

// A Sample is a value of a metric.
type Sample struct {
	Labels []Label
	Value  float64
}

// A Label tells samples of a metric apart.
type Label struct{ Name, Value string }

// A Collector adds metrics to those that are shown.
type Collector interface {
	// Collect adds the present values to m, which it must not keep. It may be
	// called concurrently and must not block.
	Collect(m *Metrics)
}

// A CollectorFunc is a Collector.
type CollectorFunc func(m *Metrics)

// Collect implements Collector.
func (f CollectorFunc) Collect(m *Metrics) { f(m) }

// Metrics collects the samples of one scrape. What cannot be shown is left out and
// counted: names that Prometheus does not take, a second sample with the same
// labels, a metric that has another type already. It is not safe for concurrent
// use.
type Metrics struct {
	families []*Family
	byName   map[string]*Family
	seen     map[string]struct{} // samples
	key      []byte
	rejected int
}

// Counter adds a sample of a counter. Labels are names and values in turn.
func (m *Metrics) Counter(name, help string, value float64, labels ...string) {
	m.add(name, help, TypeCounter, value, labels)
}

// Gauge adds a sample of a gauge. Labels are names and values in turn.
func (m *Metrics) Gauge(name, help string, value float64, labels ...string) {
	m.add(name, help, TypeGauge, value, labels)
}

func (m *Metrics) add(name, help string, typ Type, value float64, labels []string) {
	f := m.byName[name]
	switch {
	case f == nil && !isName(name, true), f != nil && f.Type != typ, !m.first(name, labels):
		m.rejected++
		return
	case f == nil:
		f = &Family{Name: name, Help: help, Type: typ}
		if m.byName == nil {
			m.byName = make(map[string]*Family)
		}
		m.byName[name] = f
		m.families = append(m.families, f)
	}
	s := Sample{Value: value, Labels: make([]Label, 0, len(labels)/2)}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, Label{labels[i], strings.ToValidUTF8(labels[i+1], string(utf8.RuneError))})
	}
	f.Samples = append(f.Samples, s)
}

// first reports whether the labels are good and there is no such sample yet.
func (m *Metrics) first(name string, labels []string) bool {
	if len(labels)%2 != 0 || len(m.seen) >= maxSamples {
		return false
	}
	m.key = append(append(m.key[:0], name...), 0)
	names := make([]string, 0, 8)
	for i := 0; i < len(labels); i += 2 {
		if !isName(labels[i], false) || slices.Contains(names, labels[i]) {
			return false
		}
		names = append(names, labels[i])
		m.key = append(append(append(append(m.key, labels[i]...), 0), strings.ToValidUTF8(labels[i+1], string(utf8.RuneError))...), 0)
	}
	if _, dup := m.seen[string(m.key)]; dup {
		return false
	}
	if m.seen == nil {
		m.seen = make(map[string]struct{})
	}
	m.seen[string(m.key)] = struct{}{}
	return true
}

// isName reports whether Prometheus takes the name of a metric, or of a label.
func isName(name string, metric bool) bool {
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= '0' && c <= '9' && i > 0, c == ':' && metric:
		default:
			return false
		}
	}
	return name != "" && (metric || !strings.HasPrefix(name, "__"))
}
