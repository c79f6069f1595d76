package meter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Device returns a meter for modbus.Config. Its device profile on the platform is
// the name of the register profile. A mistake in the arguments is in the device's
// Err, with which the connector refuses to run.
func Device(profile, name string, unit uint8, period time.Duration, opts ...Option) modbus.Device {
	d := modbus.Device{Name: name, Profile: profile, Unit: unit, Poll: period}
	p, err := Load(profile)
	if err == nil {
		d, err = complete(d, p, newOptions(opts))
	}
	d.Err = err
	return d
}

// complete adds the registers and commands of p to d.
func complete(d modbus.Device, p *Profile, o options) (modbus.Device, error) {
	if err := o.check(p); err != nil {
		return d, err
	}
	table := p.table()
	d.Registers, d.RPC = slices.Clip(d.Registers), slices.Clip(d.RPC)
	for i := range p.Points {
		point := &p.Points[i]
		read := point.Group == ratioGroup || slices.Contains(o.groups, point.Group)
		if !read && !point.Command {
			continue
		}
		registers, err := point.registers(table)
		if err != nil {
			return d, err
		}
		if o.arrays && point.Count > 0 {
			registers = []modbus.Register{point.array(table)}
		}
		for _, r := range registers {
			if !read {
				d.RPC = append(d.RPC, modbus.Command{Method: r.Key, Function: writeMultiple, Register: r})
				continue
			}
			d.Registers = append(d.Registers, o.adapt(r, point))
		}
	}
	signs, err := o.signs(p)
	d.Registers = append(d.Registers, signs...)
	if err == nil && len(d.Registers) == 0 {
		err = fmt.Errorf("meter: profile %s has none of the groups %v", p.ID, o.groups)
	}
	return d, err
}

// writeMultiple is function 16, which writes several registers, and the only one that
// writes to the meters that can be written to.
const writeMultiple = 16

// table returns where the points of p are.
func (p *Profile) table() modbus.Table {
	if p.Function == 4 {
		return modbus.Input
	}
	return modbus.Holding
}

// adapt applies the options to a register of point.
func (o *options) adapt(r modbus.Register, point *Point) modbus.Register {
	r.Poll = o.periods[point.Group]
	if point.Group == ratioGroup {
		r.Attribute = true
		r.Report = &telemetry.ReportPolicy{Mode: telemetry.OnChange}
	}
	if point.Writable && (point.Command || o.writable && point.Group == Settings) {
		r.Writable, r.WriteMultiple = true, true
	}
	scale := point.scale()
	for factor := range strings.SplitSeq(point.Ratio, "*") {
		switch {
		case factor == "":
		case o.fromMeter:
			r.Times = append(r.Times, factor+"_ratio")
		default:
			ratio := o.ratio(factor)
			r, scale = times(r, ratio), scale*ratio
		}
	}
	if low, high, ok := point.available(); ok && point.measured() && r.Type != modbus.Bytes && len(r.Times) == 0 {
		low, high = low*scale, high*scale
		if point.Sign != "" {
			low = -high
		}
		r.Min, r.Max = &low, &high
	}
	if point.Sign != "" {
		r.Times = append(r.Times, signKey(point.Sign))
	}
	return r
}

// ratio returns the fixed ratio of a name in a profile.
func (o *options) ratio(name string) float64 {
	switch name {
	case "pt":
		return o.pt
	case "ct":
		return o.ct
	default:
		return 1
	}
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

// signs returns the registers that hold the signs which points are given. Each is
// the highest byte of another point's register: an attribute that is 1 or -1.
func (o *options) signs(p *Profile) ([]modbus.Register, error) {
	var list []modbus.Register
	var variants map[string]telemetry.Value // one for all: it takes 20 kB
	for i := range p.Points {
		point := &p.Points[i]
		if point.Sign == "" || !slices.Contains(o.groups, point.Group) {
			continue
		}
		of := p.point(point.Sign)
		if of == nil {
			return nil, fmt.Errorf("meter: point %s of profile %s has the sign of %q, which is none", point.Key, p.ID, point.Sign)
		}
		if variants == nil {
			variants = byteSigns()
		}
		r := modbus.Register{
			Key: signKey(of.Key), Table: p.table(), Address: of.Address, Type: modbus.Int8, Variants: variants,
			Attribute: true, Report: &telemetry.ReportPolicy{Mode: telemetry.OnChange}, Poll: o.periods[point.Group],
		}
		if of.Order == "CDAB" {
			r.Address += uint16(of.words() - 1)
		}
		list = append(list, r)
	}
	return list, nil
}

// signKey returns the key of the sign of a power: power_direction_l1 for
// active_power_l1.
func signKey(of string) string {
	return "power_direction" + strings.TrimPrefix(of, "active_power")
}

// byteSigns makes a signed byte its sign.
func byteSigns() map[string]telemetry.Value {
	m := make(map[string]telemetry.Value, 256)
	for i := -128; i < 128; i++ {
		sign := int64(1)
		if i < 0 {
			sign = -1
		}
		m[strconv.Itoa(i)] = telemetry.Int(sign)
	}
	return m
}
