package meter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter/metertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

func simulate(t *testing.T, u *modbustest.Unit, name string) {
	t.Helper()
	require.NoError(t, metertest.Simulate(u, name, 10))
}

// unitOf returns the unit that a key has in all profiles.
func unitOf(key string) string {
	switch {
	case strings.HasSuffix(key, "_time") || strings.HasSuffix(key, "_cycle"):
		return ""
	case strings.HasPrefix(key, "energy_active"):
		return "kWh"
	case strings.HasPrefix(key, "energy_reactive"):
		return "kvarh"
	case strings.Contains(key, "demand_reactive"), strings.Contains(key, "max_demand_month_reactive"), strings.HasPrefix(key, "reactive_power"):
		return "kvar"
	case strings.Contains(key, "demand_apparent"), strings.HasPrefix(key, "apparent_power"):
		return "kVA"
	case strings.Contains(key, "demand"), strings.HasPrefix(key, "active_power"):
		return "kW"
	case strings.HasPrefix(key, "thd_"), strings.HasPrefix(key, "harmonic_"), strings.HasSuffix(key, "_unbalance"):
		return "%"
	case strings.Contains(key, "_angle"):
		return "°"
	case strings.HasPrefix(key, "voltage_"):
		return "V"
	case strings.HasPrefix(key, "current_"):
		return "A"
	case strings.HasPrefix(key, "temperature"):
		return "°C"
	case key == "frequency":
		return "Hz"
	case key == "residual_current":
		return "mA"
	default:
		return ""
	}
}

func TestProfilesShareKeysAndUnits(t *testing.T) {
	known := map[meter.Group]bool{"ratio": true}
	for _, g := range meter.AllGroups() {
		known[g] = true
	}
	require.GreaterOrEqual(t, len(meter.Names()), 43)
	for _, name := range meter.Names() {
		p, err := meter.Load(name)
		require.NoError(t, err)
		require.Equal(t, name, p.ID)
		require.Contains(t, []meter.Confidence{meter.High, meter.MediumHigh, meter.Medium}, p.Confidence, name)
		require.True(t, p.Confidence == meter.High || p.Why != "", "%s does not say why it is uncertain", name)
		require.NotEmpty(t, p.Sources, name)
		require.NotEmpty(t, p.Model, name)
		require.Contains(t, []uint8{3, 4}, p.Function, name)
		keys := make(map[string]bool)
		for _, point := range p.Points {
			require.False(t, keys[point.Key], "%s has two %s", name, point.Key)
			keys[point.Key] = true
			require.True(t, known[point.Group], "%s %s: group %s", name, point.Key, point.Group)
			if point.Group != meter.Settings {
				require.Equal(t, unitOf(point.Key), point.Unit, "%s %s", name, point.Key)
			}
		}
	}
}

func TestProfilesHaveNoTwoPointsAtOneRegister(t *testing.T) {
	for _, name := range meter.Names() {
		taken := make(map[int]string)
		p, err := meter.Load(name)
		require.NoError(t, err)
		for i, e := range readProfile(t, name).Points {
			size := e.size() * max(e.Count, 1)
			if size == 0 {
				size = p.Points[i].Registers
			}
			for a := e.Address; a < e.Address+size; a++ {
				require.Empty(t, taken[a], "%s: %s and %s share register %d", name, taken[a], e.Key, a)
				taken[a] = e.Key
			}
		}
	}
}

func TestEveryProfileIsAValidDevice(t *testing.T) {
	for _, name := range meter.Names() {
		for _, opts := range [][]meter.Option{nil, {meter.Groups(meter.AllGroups()...)}, {meter.Groups(meter.AllGroups()...), meter.Arrays(), meter.WritableSettings()}} {
			d := meter.Device(name, "m", 1, time.Second, opts...)
			require.NoError(t, d.Err, name)
			require.NoError(t, modbus.Config{URL: "tcp://x", Devices: []modbus.Device{d}}.Validate(), name)
		}
	}
}

func TestMetersWithoutAPublicMapAreNotShipped(t *testing.T) {
	for _, name := range meter.Names() {
		for _, missing := range []string{"adw310", "aem96", "adw350"} {
			require.NotContains(t, name, missing)
		}
	}
	_, err := meter.Load("acrel-adw310")
	require.ErrorContains(t, err, `no profile "acrel-adw310"; there are abb-a-b-series, acrel-adl3000`)
}

func TestInferredPointsSaySo(t *testing.T) {
	p, err := meter.Load(meter.ADW300)
	require.NoError(t, err)
	require.Len(t, p.Points, 235)
	inferred := 0
	for _, point := range p.Points {
		require.Equal(t, point.Inferred != "", point.Confidence == meter.Inferred, point.Key)
		if point.Inferred != "" {
			inferred++
		}
	}
	require.Equal(t, 5, inferred)
}
