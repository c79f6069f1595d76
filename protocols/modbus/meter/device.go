package meter

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An Option adapts a meter.
type Option func(*options)

type options struct {
	groups    []Group // nil: measurement and energy
	periods   map[Group]time.Duration
	fromMeter bool
	pt, ct    float64
}

// Groups says what is read, instead of Measurement and Energy.
func Groups(groups ...Group) Option {
	return func(o *options) { o.groups = groups }
}

// Every reads a group at a period of its own. It does not add the group.
func Every(g Group, period time.Duration) Option {
	return func(o *options) { o.periods[g] = period }
}

// Ratios multiplies secondary values by the given ratios of the voltage and current
// transformers.
func Ratios(pt, ct float64) Option {
	return func(o *options) { o.pt, o.ct, o.fromMeter = pt, ct, false }
}

// RatiosFromMeter multiplies secondary values by the ratios that the meter is set
// to. Values are reported once the ratios were read.
func RatiosFromMeter() Option {
	return func(o *options) { o.pt, o.ct, o.fromMeter = 1, 1, true }
}

// Device returns a meter for modbus.Config. Its device profile on the platform is
// the name of the register profile. A mistake in the arguments is in the device's
// Err, with which the connector refuses to run.
func Device(profile, name string, unit uint8, period time.Duration, opts ...Option) modbus.Device {
	d := modbus.Device{Name: name, Profile: profile, Unit: unit, Poll: period}
	return complete(d, profile, opts)
}

// complete adds the registers of a profile to d.
func complete(d modbus.Device, name string, opts []Option) modbus.Device {
	o := options{periods: make(map[Group]time.Duration), pt: 1, ct: 1}
	for _, opt := range opts {
		opt(&o)
	}
	registers, err := o.registers(name)
	if err != nil {
		d.Err = err
		return d
	}
	d.Registers = append(slices.Clip(d.Registers), registers...)
	return d
}

func (o *options) registers(name string) ([]modbus.Register, error) {
	p, err := load(name)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	var list []modbus.Register
	for _, point := range p.Points {
		if point.Group != ratioGroup && !slices.Contains(o.groups, point.Group) {
			continue
		}
		registers, err := point.registers()
		if err != nil {
			return nil, err
		}
		for _, r := range registers {
			list = append(list, o.adapt(r, point))
		}
	}
	return list, nil
}

func (o *options) check() error {
	if o.groups == nil {
		o.groups = []Group{Measurement, Energy}
	}
	known := []Group{Measurement, Energy, TimeOfUse, Demand, Harmonics, Status, Configuration}
	for _, g := range o.groups {
		if !slices.Contains(known, g) {
			return fmt.Errorf("meter: no group %q; there are %v", g, known)
		}
	}
	for g, period := range o.periods {
		if !slices.Contains(o.groups, g) {
			return fmt.Errorf("meter: a period is given for group %q, which is not read", g)
		}
		if period <= 0 {
			return fmt.Errorf("meter: the period of group %q is not positive", g)
		}
	}
	if o.pt <= 0 || o.ct <= 0 {
		return fmt.Errorf("meter: ratios %v and %v are not positive", o.pt, o.ct)
	}
	return nil
}

// adapt applies the options to a register of point.
func (o *options) adapt(r modbus.Register, point Point) modbus.Register {
	r.Poll = o.periods[point.Group]
	switch {
	case point.Group == ratioGroup:
		r.Attribute = true
		r.Report = &telemetry.ReportPolicy{Mode: telemetry.OnChange}
	case point.Group == Status && point.Writable: // the outputs
		r.Writable, r.WriteMultiple = true, true
	}
	for factor := range strings.SplitSeq(point.Ratio, "*") {
		switch {
		case factor == "":
		case o.fromMeter:
			r.Times = append(r.Times, factor+"_ratio")
		default:
			ratio := map[string]float64{"pt": o.pt, "ct": o.ct}[factor]
			r = times(r, ratio)
		}
	}
	return r
}

// times multiplies r by ratio. The scale becomes a divisor, so that a reading is
// multiplied by a whole number and divided by a power of ten.
func times(r modbus.Register, ratio float64) modbus.Register {
	if ratio == 1 {
		return r
	}
	if r.Divider == 0 && r.Scale != 0 {
		r.Divider, r.Scale = 1/r.Scale, 1
	}
	if r.Scale == 0 {
		r.Scale = 1
	}
	r.Scale *= ratio
	return r
}

// Profiles returns the profiles for modbus.WithProfiles.
func Profiles() modbus.Profiles {
	p := make(modbus.Profiles)
	for _, name := range Names() {
		p[name] = func(d modbus.Device, doc json.RawMessage) (modbus.Device, error) {
			opts, err := parseOptions(doc)
			if err != nil {
				return d, err
			}
			d = complete(d, name, opts)
			err, d.Err = d.Err, nil
			return d, err
		}
	}
	return p
}

// parseOptions reads the profileOptions of a configuration file.
func parseOptions(doc json.RawMessage) ([]Option, error) {
	if len(doc) == 0 {
		return nil, nil
	}
	var f struct {
		Groups  []Group           `json:"groups"`
		Periods map[Group]float64 `json:"periods"`
		Ratios  json.RawMessage   `json:"ratios"`
	}
	dec := json.NewDecoder(strings.NewReader(string(doc)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	var opts []Option
	if f.Groups != nil {
		opts = append(opts, Groups(f.Groups...))
	}
	for g, ms := range f.Periods {
		opts = append(opts, Every(g, time.Duration(ms*float64(time.Millisecond))))
	}
	ratios, err := parseRatios(f.Ratios)
	return append(opts, ratios...), err
}

func parseRatios(doc json.RawMessage) ([]Option, error) {
	switch string(doc) {
	case "", "null", `"off"`:
		return nil, nil
	case `"meter"`:
		return []Option{RatiosFromMeter()}, nil
	}
	fixed := struct {
		PT float64 `json:"pt"`
		CT float64 `json:"ct"`
	}{1, 1}
	if err := json.Unmarshal(doc, &fixed); err != nil {
		return nil, errors.New(`ratios: want "off", "meter" or {"pt": 1, "ct": 40}`)
	}
	return []Option{Ratios(fixed.PT, fixed.CT)}, nil
}
