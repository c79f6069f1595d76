package meter

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Connector is a modbus.Connector that knows which of its devices are meters: it
// reports their clocks as times and their arrays as arrays, and has remote procedures
// for what takes more than one register. It implements connector.Connector and
// connector.RPCHandler, and all else that the connector within it does.
type Connector struct {
	inner connector.Connector
	units map[string]*unit // by device name
}

// A unit is a meter of a connector.
type unit struct {
	name    string
	profile *Profile
	formats map[string]*format // of the readings that are not numbers yet, by key
	factors map[string]float64 // what pt, ct and pt*ct multiply, as far as known
	meter   bool               // the ratios are in the meter
}

var (
	_ connector.Connector  = (*Connector)(nil)
	_ connector.RPCHandler = (*Connector)(nil)
)

// New returns a connector for cfg, in which the devices whose profile is the name of
// a meter profile, as those that [Device] returns, are meters.
func New(cfg modbus.Config) *Connector {
	c := &Connector{inner: modbus.New(cfg), units: make(map[string]*unit)}
	loaded := make(map[string]*Profile)
	known := Names()
	for _, d := range cfg.Devices {
		if !slices.Contains(known, d.Profile) {
			continue
		}
		p := loaded[d.Profile]
		if p == nil {
			var err error
			if p, err = Load(d.Profile); err != nil {
				continue // d has this error, too, and the connector does not start
			}
			loaded[d.Profile] = p
		}
		c.units[d.Name] = newUnit(p, d)
	}
	return c
}

// Unwrap returns the connector that polls the meters.
func (c *Connector) Unwrap() connector.Connector { return c.inner }

// Run implements connector.Connector. It logs once for each profile in use whose
// confidence is below high, that and why.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	c.warn(host.Logger())
	return c.inner.Run(ctx, &decodingHost{Host: host, units: c.units})
}

func (c *Connector) warn(log *slog.Logger) {
	uncertain := make(map[string]*Profile)
	for _, u := range c.units {
		if u.profile.Confidence != High {
			uncertain[u.profile.ID] = u.profile
		}
	}
	for _, name := range Names() {
		if p := uncertain[name]; p != nil {
			log.Warn("meter profile is not certain: compare its readings with the meter's display",
				slog.String("profile", name), slog.String("confidence", string(p.Confidence)), slog.String("why", p.Why))
		}
	}
}

// newUnit returns the meter that d was made by p.
func newUnit(p *Profile, d modbus.Device) *unit {
	u := &unit{name: d.Name, profile: p, formats: make(map[string]*format), factors: map[string]float64{"": 1}}
	for _, r := range d.Registers {
		for i := range p.Points {
			point := &p.Points[i]
			switch {
			case point.Count > 0 && r.Type == modbus.Bytes && r.Key == point.stem():
				u.formats[r.Key] = &format{point: point}
			case point.Key != r.Key:
			case point.Format != "":
				u.formats[r.Key] = &format{point: point}
			case point.Ratio != "":
				u.meter = len(r.Times) > 0
				u.factors[point.Ratio] = factorOf(r, point)
			}
		}
	}
	return u
}

// factorOf returns what a register of point is multiplied by, beside its scale.
func factorOf(r modbus.Register, point *Point) float64 {
	f := 1.0
	if r.Scale != 0 {
		f = r.Scale
	}
	if r.Divider != 0 {
		f /= r.Divider
	}
	return f / point.scale()
}

// A decodingHost decodes the readings of meters on their way to the gateway.
type decodingHost struct {
	connector.Host
	units map[string]*unit
	mu    sync.Mutex // buses submit concurrently
}

// Submit implements connector.Sink.
func (h *decodingHost) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	for _, g := range b.Groups() {
		u := h.units[g.Device.Name]
		if u == nil || len(u.formats) == 0 {
			continue
		}
		h.mu.Lock()
		u.decode(g.Telemetry)
		u.decode(g.Attributes)
		h.mu.Unlock()
	}
	return h.Host.Submit(ctx, b)
}

// decode replaces the bytes in points by what they are.
func (u *unit) decode(points []telemetry.Point) {
	for i := range points {
		if f := u.formats[points[i].Key]; f != nil {
			points[i].Value = f.decode(points[i].Value)
		}
	}
}
