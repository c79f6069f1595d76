// Package metertest simulates energy meters on the units of modbustest, for examples
// and tests without hardware.
package metertest

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// ADW300 makes u an Acrel ADW300, see [Simulate].
func ADW300(u *modbustest.Unit, peak float64) {
	if err := Simulate(u, meter.ADW300, peak); err != nil {
		panic(err) // the profile is part of the program
	}
}

// refresh is how old the registers of a simulated meter may be.
const refresh = 100 * time.Millisecond

// Simulate makes u a meter of a profile that measures a load which follows the time of
// day: about a third of peak (kilowatts) at night, peak in the early afternoon, with a
// ripple of a few percent. Its registers are brought up to date by requests.
//
// Voltages, currents, powers and energies agree with each other. Outputs and settings
// hold what is written to them; the clock is that of this machine and cannot be set.
// Points that are no quantity are zero.
func Simulate(u *modbustest.Unit, profile string, peak float64) error {
	p, err := meter.Load(profile)
	if err != nil {
		return err
	}
	if !(peak > 0) {
		return fmt.Errorf("metertest: the peak of %v kW is not positive", peak)
	}
	s := &simulation{unit: u, table: modbus.Holding, load: newLoad(peak, p)}
	if p.Function == 4 {
		s.table = modbus.Input
	}
	now := time.Now()
	s.load.advance(now)
	for i := range p.Points {
		point := &p.Points[i]
		if s.write(point, point.Address, now, 1) && point.Group != meter.Settings {
			s.points = append(s.points, point)
		}
		if point.Key == "clock" {
			s.points = append(s.points, point)
		}
	}
	s.past(p, now)
	u.OnRequest(func(modbustest.Request) { s.update(time.Now()) })
	return nil
}

type simulation struct {
	unit   *modbustest.Unit
	table  modbus.Table
	points []*meter.Point // that change

	mu   sync.Mutex
	load *load
}

// update brings the registers up to date.
func (s *simulation) update(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.load.at) < refresh {
		return
	}
	s.load.advance(now)
	for _, p := range s.points {
		s.write(p, p.Address, now, 1)
	}
}

// write sets p's registers from addr to the load's value times share, and reports
// whether there is one.
func (s *simulation) write(p *meter.Point, addr uint16, now time.Time, share float64) bool {
	if p.Format != "" {
		s.unit.SetWords(s.table, addr, clock(p.Format, now)...)
		return true
	}
	for i := range max(p.Count, 1) {
		x, ok := s.load.value(p.Key, p.First+i)
		if !ok {
			return false
		}
		words := encode(p, x*share)
		s.unit.SetWords(s.table, addr, words...)
		addr += uint16(len(words))
	}
	return true
}

// past fills the history and the extremes.
func (s *simulation) past(p *meter.Profile, now time.Time) {
	if h := p.History; h != nil {
		for n := range h.Count {
			first := h.First + uint16(n)*h.Stride
			month := time.Date(now.Year(), now.Month()-time.Month(n), 1, 0, 0, 0, 0, now.Location())
			s.unit.SetWords(s.table, first, clock(h.Time, month)...)
			for i := range h.Points {
				s.write(&h.Points[i], first+h.Points[i].Address, now, 1-0.05*float64(n+1))
			}
		}
	}
	if x := p.Extremes; x != nil {
		for n := range x.Count {
			for part, share := range [...]float64{1.1, 0.4} {
				first := x.First + uint16(n)*x.Stride + uint16(part)*x.MinOffset
				for i := range x.Max {
					addr := first + x.Max[i].Address
					s.write(&x.Max[i], addr, now, share)
					s.unit.SetWords(s.table, addr+uint16(len(encode(&x.Max[i], 0))), clock("mhdM", now)...)
				}
			}
		}
	}
}

// clock returns the registers of a time, two of layout's parts in each.
func clock(layout string, t time.Time) []uint16 {
	part := map[byte]int{
		'y': t.Year() % 100, 'M': int(t.Month()), 'd': t.Day(), 'h': t.Hour(), 'm': t.Minute(), 's': t.Second(),
	}
	var words []uint16
	for i := 0; i+1 < len(layout); i += 2 {
		words = append(words, uint16(part[layout[i]]<<8|part[layout[i+1]]))
	}
	return words
}

// encode returns the registers of p, of one value, that say x.
func encode(p *meter.Point, x float64) []uint16 {
	if p.Scale != 0 {
		x /= p.Scale
	}
	var bits uint64
	n := 1
	switch p.Type {
	case "float32":
		bits, n = uint64(math.Float32bits(float32(x))), 2
	case "float64":
		bits, n = math.Float64bits(x), 4
	case "int32", "uint32":
		bits, n = uint64(int64(math.Round(x))), 2
	case "int64", "uint64":
		bits, n = uint64(int64(math.Round(x))), 4
	default:
		bits = uint64(int64(math.Round(x)))
	}
	words := make([]uint16, n)
	for i := range words {
		at := n - 1 - i
		if p.Order == "CDAB" {
			at = i
		}
		words[at] = uint16(bits >> (16 * i))
	}
	return words
}
