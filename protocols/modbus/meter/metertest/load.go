package metertest

import (
	"math"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
)

// A load is what a simulated meter measures.
type load struct {
	peak   float64    // kW
	shares [3]float64 // of the phases
	at     time.Time

	kW     float64
	energy float64 // kWh
}

const (
	powerFactor = 0.95
	reactive    = 0.3287 // kvar to each kW: the tangent of the angle
	firstEnergy = 12000  // kWh
	dcVolts     = 750
)

// newLoad returns the load of one phase, if p has no others.
func newLoad(peak float64, p *meter.Profile) *load {
	l := &load{peak: peak, shares: [3]float64{1, 0, 0}, energy: firstEnergy}
	for i := range p.Points {
		if strings.HasSuffix(p.Points[i].Key, "_l3") {
			l.shares = [3]float64{0.36, 0.33, 0.31}
		}
	}
	return l
}

// advance moves the load on to a time.
func (l *load) advance(now time.Time) {
	if !l.at.IsZero() {
		l.energy += l.kW * now.Sub(l.at).Hours()
	}
	l.at = now
	hour := float64(now.Hour()) + float64(now.Minute())/60 + float64(now.Second())/3600
	day := math.Max(0, math.Sin(math.Pi*(hour-6)/15))
	ripple := 1 + 0.03*math.Sin(float64(now.UnixMilli())/7000)
	l.kW = l.peak * (0.35 + 0.62*day) * ripple
}

// value returns the value of a key in the unit of the profiles, and whether the load
// has one. order is that of a harmonic.
func (l *load) value(key string, order int) (float64, bool) {
	quantity, share, volts := l.split(key)
	switch {
	case strings.HasPrefix(quantity, "energy_"):
		return l.energyOf(quantity) * share, true
	case strings.HasPrefix(quantity, "harmonic_"):
		return 4 / float64(max(order, 1)), true
	case strings.Contains(quantity, "demand"):
		known := strings.HasPrefix(quantity, "demand_active_import") || strings.HasPrefix(quantity, "demand_reactive_import") ||
			strings.HasPrefix(quantity, "max_demand_month_active_import") || strings.HasPrefix(quantity, "max_demand_month_reactive_import")
		return l.peak * tangentOf(quantity), known
	}
	kW := l.kW * share
	switch quantity {
	case "voltage", "voltage_avg", "voltage_fundamental":
		return volts, true
	case "voltage_line", "voltage_ll_avg":
		return volts * math.Sqrt(3), true
	case "voltage_dc":
		return dcVolts, true
	case "current", "current_fundamental":
		return kW / powerFactor * 1000 / volts, true
	case "current_total":
		return l.kW / powerFactor * 1000 / volts, true
	case "current_avg":
		return l.kW / powerFactor * 1000 / volts / 3, true
	case "current_dc":
		return l.kW * 1000 / dcVolts, true
	case "current_n", "current_vector_sum":
		return l.kW / powerFactor * 1000 / volts * 0.04, true
	case "active_power", "active_power_import", "active_power_fundamental":
		return kW, true
	case "reactive_power", "reactive_power_fundamental":
		return kW * reactive, true
	case "apparent_power":
		return kW / powerFactor, true
	}
	return constant(quantity)
}

// constant returns the value of a quantity that does not depend on the load.
func constant(quantity string) (float64, bool) {
	switch quantity {
	case "power_factor", "power_factor_4q":
		return powerFactor, true
	case "frequency":
		return 50, true
	case "phase_angle":
		return 18.2, true
	case "pt_ratio", "ct_ratio":
		return 1, true
	case "thd_voltage":
		return 1.8, true
	case "thd_current":
		return 6.5, true
	case "temperature", "temperature_n":
		return 31.5, true
	case "voltage_unbalance", "current_unbalance":
		return 1.2, true
	case "residual_current":
		return 4, true
	default:
		return 0, false
	}
}

// split returns a key without its phase, the phase's share of the load and its
// voltage.
func (l *load) split(key string) (quantity string, share, volts float64) {
	swing := func(i float64) float64 { return 231 + 2*math.Sin(float64(l.at.UnixMilli())/20000+i) }
	for i, line := range [...]string{"voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1"} {
		if key == line {
			return "voltage_line", 1, swing(float64(i))
		}
	}
	for i, phase := range [...]string{"_l1", "_l2", "_l3"} {
		if before, ok := strings.CutSuffix(key, phase); ok {
			return before, l.shares[i], swing(float64(i))
		}
	}
	return strings.TrimSuffix(key, "_total"), 1, swing(0)
}

// energyOf returns the energy of a quantity without its phase, all of which was
// imported.
func (l *load) energyOf(quantity string) float64 {
	if strings.Contains(quantity, "_export") {
		return 0
	}
	e := l.energy * tangentOf(quantity)
	for tariff, share := range map[string]float64{
		"_spike": 0.1, "_peak": 0.35, "_flat": 0.35, "_valley": 0.2, "_t1": 0.6, "_t2": 0.4,
	} {
		if strings.HasSuffix(quantity, tariff) {
			return e * share
		}
	}
	return e
}

// tangentOf returns what makes active quantities reactive, if quantity is.
func tangentOf(quantity string) float64 {
	if strings.Contains(quantity, "reactive") {
		return reactive
	}
	return 1
}
