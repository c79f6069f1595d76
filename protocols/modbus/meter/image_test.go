package meter_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An entry is a point as the file of its profile has it. What follows decodes
// registers by it without the package under test.
type entry struct {
	Key     string
	Address int
	Type    string
	Order   string
	Scale   float64
	Count   int
	First   int `json:"firstOrder"`
	Group   string
	Sign    string
}

type profileFile struct {
	Function int
	Points   []entry
}

func readProfile(t *testing.T, name string) profileFile {
	t.Helper()
	doc, err := os.ReadFile("profiles/" + name + ".json")
	require.NoError(t, err)
	var f profileFile
	require.NoError(t, json.Unmarshal(doc, &f))
	return f
}

func (e entry) size() int {
	switch e.Type {
	case "uint16", "int16", "bits16":
		return 1
	case "uint32", "int32", "float32":
		return 2
	case "uint64", "int64", "float64":
		return 4
	}
	return 0 // raw
}

// bits returns the number that the words at addr make.
func (e entry) bits(image []uint16, addr int) (u uint64) {
	n := e.size()
	for i := range n {
		w := image[addr+i]
		if e.Order == "CDAB" {
			w = image[addr+n-1-i]
		}
		u = u*65536 + uint64(w)
	}
	return u
}

// read returns the value at addr and whether the meter has one.
func (e entry) read(image []uint16, addr int) (float64, bool) {
	u := e.bits(image, addr)
	x, absent := 0.0, false
	switch e.Type {
	case "uint16", "bits16":
		x, absent = float64(u), u == 1<<16-1
	case "int16":
		x, absent = float64(int16(u)), u == 1<<15 || u == 1<<15-1
	case "uint32":
		x, absent = float64(u), u == 1<<32-1
	case "int32":
		x, absent = float64(int32(u)), u == 1<<31 || u == 1<<31-1
	case "uint64":
		x, absent = float64(u), u == 1<<64-1
	case "int64":
		x, absent = float64(int64(u)), u == 1<<63 || u == 1<<63-1
	case "float32":
		x = float64(math.Float32frombits(uint32(u)))
		absent = math.IsNaN(x)
	case "float64":
		x = math.Float64frombits(u)
		absent = math.IsNaN(x)
	}
	if e.Group == "settings" || e.Group == "ratio" || e.Type == "bits16" {
		absent = false
	}
	if e.Scale != 0 {
		x *= e.Scale
	}
	return x, !absent
}

// randomImage returns registers of which each point holds a random number, and now
// and then the one that means that there is none.
func randomImage(f profileFile, r *rand.Rand) []uint16 {
	last := 0
	for _, e := range f.Points {
		last = max(last, e.Address+64)
	}
	image := make([]uint16, last)
	for i := range image {
		image[i] = uint16(r.Uint32())
	}
	for _, e := range f.Points {
		for i := range max(e.Count, 1) {
			e.set(image, e.Address+i*e.size(), r)
		}
	}
	return image
}

func (e entry) set(image []uint16, addr int, r *rand.Rand) {
	n := e.size()
	var u uint64
	x := (r.Float64() - 0.5) * math.Pow10(r.IntN(9))
	special := r.IntN(8)
	switch {
	case e.Type == "float32" && special == 0:
		u = 0xFFC00000
	case e.Type == "float32":
		u = uint64(math.Float32bits(float32(x)))
	case e.Type == "float64" && special == 0:
		u = math.Float64bits(math.NaN())
	case e.Type == "float64":
		u = math.Float64bits(x)
	case n == 0:
		return
	case special == 0:
		u = 1 << (16*n - 1)
	case special == 1:
		u = 1<<(16*n-1) - 1
	case special == 2:
		u = math.MaxUint64
	case n == 4:
		u = r.Uint64() >> 2
	default:
		u = r.Uint64()
	}
	for i := range n {
		at := n - 1 - i
		if e.Order == "CDAB" {
			at = i
		}
		image[addr+at] = uint16(u >> (16 * i))
	}
}

// compare checks every point of a profile against the image that it was read from,
// and returns how many values it has compared.
func compare(t *testing.T, name string, image []uint16, values map[string]telemetry.Value) (n int) {
	t.Helper()
	f := readProfile(t, name)
	negative := make(map[string]bool)
	for _, e := range f.Points {
		if n := e.size(); n > 0 && n < 4 {
			u := e.bits(image, e.Address)
			negative[e.Key] = u>>(16*n-1) == 1
		}
	}
	for _, e := range f.Points {
		if e.size() == 0 {
			continue
		}
		for i := range max(e.Count, 1) {
			key := e.Key
			if e.Count > 0 {
				key = elementKey(e, i)
			}
			want, ok := e.read(image, e.Address+i*e.size())
			if e.Sign != "" && negative[e.Sign] {
				want = -want
			}
			got, reported := values[key]
			if tooLarge := e.Type == "uint64" && ok && e.bits(image, e.Address) >= 1<<63-1; tooLarge {
				ok = false
			}
			require.Equal(t, ok, reported, "%s %s: want %v", name, key, want)
			if ok {
				require.InDelta(t, want, got.Float(), math.Abs(want)*2e-7+1e-12, "%s %s", name, key)
				n++
			}
		}
	}
	return n
}

func elementKey(e entry, i int) string {
	stem := e.Key[:len(e.Key)-len("_2_31")]
	return stem + "_h" + []string{
		"2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
		"21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
	}[i]
}

func TestEveryProfileDecodesRandomRegisters(t *testing.T) {
	total := 0
	for i, name := range meter.Names() {
		t.Run(name, func(t *testing.T) {
			f := readProfile(t, name)
			image := randomImage(f, rand.New(rand.NewPCG(uint64(i), 7)))
			table := modbus.Holding
			if f.Function == 4 {
				table = modbus.Input
			}
			d := meter.Device(name, "m", 1, time.Second, meter.Groups(meter.AllGroups()...))
			values, _ := poll(t, d, func(u *modbustest.Unit) { u.SetWords(table, 0, image...) })
			n := compare(t, name, image, values)
			require.NotZero(t, n)
			total += n
		})
	}
	t.Logf("%d values compared", total)
}

// TestEveryProfileReadsItsSimulator also checks that the simulator holds what a meter
// could: voltages and currents that make its powers.
func TestEveryProfileReadsItsSimulator(t *testing.T) {
	for _, name := range meter.Names() {
		t.Run(name, func(t *testing.T) {
			d := meter.Device(name, "m", 1, time.Second, meter.Groups(meter.AllGroups()...))
			values, _ := poll(t, d, func(u *modbustest.Unit) { simulate(t, u, name) })
			for _, e := range readProfile(t, name).Points {
				if e.size() > 0 && e.Count == 0 {
					require.Contains(t, values, e.Key)
				}
			}
			plausible(t, values)
		})
	}
}

func plausible(t *testing.T, values map[string]telemetry.Value) {
	t.Helper()
	seen := 0
	within := func(key string, low, high float64) {
		if v, ok := values[key]; ok {
			require.GreaterOrEqual(t, v.Float(), low, key)
			require.LessOrEqual(t, v.Float(), high, key)
			seen++
		}
	}
	within("voltage_l1", 225, 235)
	within("voltage_dc", 700, 800)
	within("frequency", 49.9, 50.1)
	within("active_power_total", 3, 11)
	within("energy_active_import", 11900, 12100)
	within("power_factor_total", 0.94, 0.96)
	require.NotZero(t, seen)
	u, ok1 := values["voltage_l1"]
	i, ok2 := values["current_l1"]
	p, ok3 := values["active_power_l1"]
	if ok1 && ok2 && ok3 {
		require.InEpsilon(t, p.Float(), u.Float()*i.Float()*0.95/1000, 0.05, "active_power_l1")
	}
}
