// Package metertest simulates energy meters on the units of modbustest, for examples
// and tests without hardware.
package metertest

import (
	"math"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// phases are the shares of the three phases in the load.
func phases() [3]float64 { return [3]float64{0.36, 0.33, 0.31} }

// ADW300 makes u an Acrel ADW300 that measures a load which follows the time of day:
// about a third of peak (kilowatts) at night, peak in the early afternoon, with a
// ripple of a few percent. Its registers are brought up to date by each request.
func ADW300(u *modbustest.Unit, peak float64) {
	m := &meter{unit: u, peak: peak, last: time.Now(), energy: [3]float64{4321, 3987, 3654}}
	u.SetWords(modbus.Holding, 14, 1, 1) // ratios
	m.update(m.last)
	u.OnRequest(func(modbustest.Request) { m.update(time.Now()) })
}

type meter struct {
	unit *modbustest.Unit
	peak float64

	mu     sync.Mutex
	last   time.Time
	energy [3]float64 // kWh by phase
}

// load returns the load in kilowatts at a time.
func (m *meter) load(t time.Time) float64 {
	hour := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
	day := math.Max(0, math.Sin(math.Pi*(hour-6)/15))
	ripple := 1 + 0.03*math.Sin(float64(t.UnixMilli())/7000)
	return m.peak * (0.35 + 0.62*day) * ripple
}

const powerFactor = 0.95

// update writes the registers for a time: voltages in 0.1 V, currents in 0.01 A,
// powers in watts as 32-bit numbers, energies in 0.01 kWh.
func (m *meter) update(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	hours := now.Sub(m.last).Hours()
	m.last = now
	total := m.load(now)
	reactive := total * math.Tan(math.Acos(powerFactor))
	apparent := total / powerFactor
	for i, share := range phases() {
		n := uint16(i)
		volts := 231 + 2*math.Sin(float64(now.UnixMilli())/20000+float64(i))
		m.energy[i] += total * share * hours
		m.word(20+n, volts*10)
		m.word(23+n, volts*math.Sqrt(3)*10)
		m.word(26+n, apparent*share*1000/volts*100)
		m.long(30+2*n, total*share*1000)
		m.long(38+2*n, reactive*share*1000)
		m.long(46+2*n, apparent*share*1000)
		m.word(54+n, powerFactor*1000)
		m.long(70+10*n, m.energy[i]*100)
		m.long(72+10*n, m.energy[i]*100)
	}
	m.long(36, total*1000)
	m.long(44, reactive*1000)
	m.long(52, apparent*1000)
	m.word(57, powerFactor*1000)
	m.word(59, 5000+2*math.Sin(float64(now.UnixMilli())/9000))
	m.long(60, (m.energy[0]+m.energy[1]+m.energy[2])*100)
	m.long(62, (m.energy[0]+m.energy[1]+m.energy[2])*100)
}

func (m *meter) word(addr uint16, v float64) {
	m.unit.SetWords(modbus.Holding, addr, uint16(math.Round(v)))
}

func (m *meter) long(addr uint16, v float64) {
	m.unit.SetUint32(modbus.Holding, addr, uint32(int32(math.Round(v))))
}
