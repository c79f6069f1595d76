package meter_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter/metertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// poll polls a simulated meter once and returns its readings by key, and the
// requests that it took.
func poll(t *testing.T, d modbus.Device, prepare func(u *modbustest.Unit)) (map[string]telemetry.Value, []modbustest.Request) {
	t.Helper()
	var bus modbustest.Bus
	u := bus.Unit(d.Unit)
	var requests []modbustest.Request
	if prepare != nil {
		prepare(u)
	} else {
		u.OnRequest(func(r modbustest.Request) { requests = append(requests, r) })
	}
	d.URL, d.Poll = "tcp://meter", time.Hour
	c := meter.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}})
	h := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	h.Eventually(t, "readings", func() bool { return len(h.Readings(false)) > 0 })
	cancel()
	require.NoError(t, <-done)
	values := make(map[string]telemetry.Value)
	for _, r := range h.Readings(false) {
		values[r.Key] = r.Value
	}
	return values, requests
}

func TestTheDefaultGroupsTakeTwoRequests(t *testing.T) {
	values, requests := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second), nil)
	require.Len(t, requests, 2)
	require.Contains(t, values, "voltage_l1")
	require.Contains(t, values, "energy_active_import")
	require.Contains(t, values, "pt_ratio")
	require.NotContains(t, values, "harmonic_voltage_l1_h2")
}

func TestAllGroupsTakeFewRequestsAndCoverTheSuggestedBlocks(t *testing.T) {
	values, requests := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second, meter.Groups(meter.AllGroups()...)), nil)
	require.LessOrEqual(t, len(requests), 9)
	for _, block := range [][2]int{{14, 56}, {70, 52}, {122, 120}, {242, 60}, {302, 57}, {407, 46}, {464, 49}, {616, 2}} {
		for a := block[0]; a < block[0]+block[1]; a++ {
			require.True(t, slices.ContainsFunc(requests, func(r modbustest.Request) bool {
				return int(r.Address) <= a && a < int(r.Address+r.Count)
			}) || a >= 453 && a < 464 || a == 495 || a == 497, "address %d is not read", a)
		}
	}
	for _, phase := range []string{"l1", "l2", "l3"} {
		for order := 2; order <= 31; order++ {
			require.Contains(t, values, fmt.Sprintf("harmonic_voltage_%s_h%d", phase, order))
			require.Contains(t, values, fmt.Sprintf("harmonic_current_%s_h%d", phase, order))
		}
	}
}

// TestKnownRegisters checks scale, sign, width and order against words made by hand.
func TestKnownRegisters(t *testing.T) {
	values, _ := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second, meter.Groups(meter.AllGroups()...)), func(u *modbustest.Unit) {
		u.SetWords(modbus.Holding, 20, 2301)
		u.SetWords(modbus.Holding, 26, 512)
		u.SetWords(modbus.Holding, 36, 0xFFFF, 0xFC18) // -1000 W
		u.SetWords(modbus.Holding, 57, 987)
		u.SetWords(modbus.Holding, 59, 4998)
		u.SetWords(modbus.Holding, 62, 0x0001, 0xE240) // 1234.56 kWh
		u.SetWords(modbus.Holding, 151, 77)
		u.SetWords(modbus.Holding, 356, 0xFFF6)
		u.SetWords(modbus.Holding, 413, 0, 42)
		u.SetWords(modbus.Holding, 58, 5)
	})
	for key, want := range map[string]telemetry.Value{
		"voltage_l1": telemetry.Float(230.1), "current_l1": telemetry.Float(5.12), "active_power_total": telemetry.Float(-1),
		"power_factor_total": telemetry.Float(-0.987), "frequency": telemetry.Float(49.98), "energy_active_import": telemetry.Float(1234.56),
		"harmonic_voltage_l1_h31": telemetry.Float(0.77), "temperature_l1": telemetry.Float(-1),
		"energy_active_total_valley": telemetry.Float(0.42), "di_status": telemetry.Int(5),
	} {
		require.Equal(t, want, values[key], key)
	}
}

func TestRatios(t *testing.T) {
	prepare := func(u *modbustest.Unit) {
		u.SetWords(modbus.Holding, 14, 10, 40)
		u.SetWords(modbus.Holding, 20, 2301)
		u.SetWords(modbus.Holding, 26, 512)
		u.SetUint32(modbus.Holding, 62, 123456)
	}
	tests := []struct {
		name                     string
		opts                     []meter.Option
		voltage, current, energy float64
	}{
		{"off", nil, 230.1, 5.12, 1234.56},
		{"fixed", []meter.Option{meter.Ratios(1, 40)}, 230.1, 204.8, 49382.4},
		{"from the meter", []meter.Option{meter.RatiosFromMeter()}, 2301, 204.8, 493824},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values, _ := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second, tt.opts...), prepare)
			require.Equal(t, tt.voltage, values["voltage_l1"].Float())
			require.Equal(t, tt.current, values["current_l1"].Float())
			require.Equal(t, tt.energy, values["energy_active_import"].Float())
			require.Equal(t, telemetry.Int(40), values["ct_ratio"])
		})
	}
}

func TestGroupsHavePeriodsOfTheirOwn(t *testing.T) {
	d := meter.Device(meter.ADW300, "m", 1, time.Second, meter.Every(meter.Energy, time.Minute))
	require.NoError(t, d.Err)
	for _, r := range d.Registers {
		require.Equal(t, r.Key[:6] == "energy", r.Poll == time.Minute, r.Key)
	}
}

func TestMistakesAreReportedByTheConnector(t *testing.T) {
	for want, d := range map[string]modbus.Device{
		`no profile "adw301"`:       meter.Device("adw301", "m", 1, time.Second),
		`no group "everything"`:     meter.Device(meter.ADW300, "m", 1, time.Second, meter.Groups("everything")),
		`"harmonics", which is not`: meter.Device(meter.ADW300, "m", 1, time.Second, meter.Every(meter.Harmonics, time.Minute)),
		"ratios 0 and 1 are not":    meter.Device(meter.ADW300, "m", 1, time.Second, meter.Ratios(0, 1)),
		`period of group "energy"`:  meter.Device(meter.ADW300, "m", 1, time.Second, meter.Every(meter.Energy, 0)),
		"has no ratios to read":     meter.Device(meter.SDM120, "m", 1, time.Second, meter.RatiosFromMeter()),
		"none of the groups":        meter.Device(meter.SDM120, "m", 1, time.Second, meter.Groups(meter.Settings)),
	} {
		require.ErrorContains(t, modbus.Config{URL: "tcp://x", Devices: []modbus.Device{d}}.Validate(), want)
	}
}

func TestTheSimulatedMeterIsPlausible(t *testing.T) {
	values, _ := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second), func(u *modbustest.Unit) { metertest.ADW300(u, 20) })
	f := func(key string) float64 { return values[key].Float() }
	require.InDelta(t, 231, f("voltage_l1"), 3)
	require.InDelta(t, 50, f("frequency"), 0.1)
	require.Greater(t, f("active_power_total"), 5.0)
	require.Less(t, f("active_power_total"), 21.0)
	require.InDelta(t, f("active_power_total"), f("active_power_l1")+f("active_power_l2")+f("active_power_l3"), 0.01)
	require.InDelta(t, f("active_power_l1"), f("voltage_l1")*f("current_l1")*f("power_factor_l1")/1000, 0.02)
	require.Greater(t, f("energy_active_import"), 10000.0)
}

func TestThePowerFactorHasTheSignOfThePower(t *testing.T) {
	values, _ := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second), func(u *modbustest.Unit) {
		u.SetUint32(modbus.Holding, 30, 5000)
		u.SetUint32(modbus.Holding, 32, 0xFFFFEC78) // -5000
		u.SetWords(modbus.Holding, 54, 950, 950, 950, 950)
	})
	require.Equal(t, 0.95, values["power_factor_l1"].Float())
	require.Equal(t, -0.95, values["power_factor_l2"].Float())
	require.Equal(t, 0.95, values["power_factor_total"].Float())
	require.Equal(t, telemetry.Int(-1), values["power_direction_l2"])
}

func TestValuesThatAreNotAvailableAreNotReported(t *testing.T) {
	values, _ := poll(t, meter.Device(meter.ADW300, "m", 1, time.Second, meter.Groups(meter.AllGroups()...), meter.Ratios(2, 3)), func(u *modbustest.Unit) {
		u.SetWords(modbus.Holding, 20, 0xFFFF, 0xFFFE)
		u.SetWords(modbus.Holding, 356, 0x8000, 0x7FFF, 0x7FFE)
		u.SetUint32(modbus.Holding, 30, 0x80000000)
		u.SetUint32(modbus.Holding, 32, 0x80000001)
		u.SetUint32(modbus.Holding, 62, 0xFFFFFFFF)
		u.SetWords(modbus.Holding, 58, 0xFFFF)
	})
	for _, key := range []string{"voltage_l1", "temperature_l1", "temperature_l2", "active_power_l1", "energy_active_import"} {
		require.NotContains(t, values, key)
	}
	for _, key := range []string{"voltage_l2", "temperature_l3", "active_power_l2", "energy_active_export", "di_status"} {
		require.Contains(t, values, key)
	}
}

func TestArraysAndTimesAreDecoded(t *testing.T) {
	d := meter.Device(meter.ADW300, "m", 1, time.Second, meter.Groups(meter.Harmonics, meter.Settings, meter.Demand), meter.Arrays())
	values, _ := poll(t, d, func(u *modbustest.Unit) {
		u.SetWords(modbus.Holding, 122, 400, 25, 0xFFFF)
		u.SetWords(modbus.Holding, 17, 0x1E3B, 0x171F, 0x011A)
		u.SetWords(modbus.Holding, 102, 0x0F08, 0x1D02)
	})
	require.Equal(t, "[4.0,0.25,null"+strings.Repeat(",0.0", 27)+"]", values["harmonic_voltage_l1"].String())
	require.Equal(t, telemetry.String("2026-01-31T23:59:30"), values["clock"])
	require.Equal(t, telemetry.String("02-29T08:15"), values["max_demand_month_active_import_time"])
	require.Equal(t, telemetry.String("00000000"), values["max_demand_month_active_export_time"], "a time that is none is reported as it is")
	require.NotContains(t, values, "harmonic_voltage_l1_h2")
}
