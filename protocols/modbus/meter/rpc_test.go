package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// call runs c until it has readings, and calls a method of the device "m".
func running(t *testing.T, c connector.Connector) func(method, params string) (string, error) {
	t.Helper()
	h := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	h.Eventually(t, "readings", func() bool { return len(h.Readings(false)) > 0 })
	handler, ok := connector.As[connector.RPCHandler](c)
	require.True(t, ok)
	return func(method, params string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		v, err := handler.HandleRPC(ctx, connector.RPCRequest{Device: "m", Method: method, Params: json.RawMessage(params)})
		return string(v.AppendJSON(nil)), err
	}
}

// local makes a connector in code for the meter of d on a simulated bus.
func local(t *testing.T, opts ...meter.Option) (call func(method, params string) (string, error), u *modbustest.Unit) {
	t.Helper()
	var bus modbustest.Bus
	u = bus.Unit(1)
	d := meter.Device(meter.ADW300, "m", 1, time.Hour, opts...)
	d.URL = "tcp://meter"
	u.SetWords(modbus.Holding, 14, 2, 3)
	return running(t, meter.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}})), u
}

func TestTheClockIsReadAndSet(t *testing.T) {
	call, u := local(t)
	u.SetWords(modbus.Holding, 17, 0x1E3B, 0x171F, 0x011A)
	got, err := call("clock", "")
	require.NoError(t, err)
	require.JSONEq(t, `"2026-01-31T23:59:30"`, got)

	got, err = call("clock", `"2027-12-24T08:09:10"`)
	require.NoError(t, err)
	require.JSONEq(t, `"2027-12-24T08:09:10"`, got)
	writes := u.Writes()
	require.Len(t, writes, 1)
	require.EqualValues(t, 16, writes[0].Function)
	require.EqualValues(t, 17, writes[0].Address)
	require.Equal(t, []uint16{0x0A09, 0x0818, 0x0C1B}, writes[0].Words)

	before := time.Now().Truncate(time.Second)
	got, err = call("clock", `{"value": "now"}`)
	require.NoError(t, err)
	set, err := time.ParseInLocation(`"2006-01-02T15:04:05"`, got, time.Local)
	require.NoError(t, err)
	require.False(t, set.Before(before))

	for _, wrong := range []string{`"tomorrow"`, `"1999-01-01T00:00:00"`, `"2026-02-30T00:00:00"`, `5`} {
		_, err = call("clock", wrong)
		require.ErrorContains(t, err, "meter: m clock: ", wrong)
	}
	require.Len(t, u.Writes(), 2)
}

func TestTheHistoryOfAMonth(t *testing.T) {
	tests := []struct {
		name  string
		opts  []meter.Option
		times float64
	}{
		{"off", nil, 1},
		{"fixed", []meter.Option{meter.Ratios(10, 40)}, 400},
		{"from the meter", []meter.Option{meter.RatiosFromMeter()}, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			call, u := local(t, tt.opts...)
			base := uint16(0x4900) // the month before the last
			u.SetWords(modbus.Holding, base, 0, 0x0001, 0x0B1A)
			u.SetUint32(modbus.Holding, base+5, 123456)
			u.SetUint32(modbus.Holding, base+0x51, 99)
			u.SetUint32(modbus.Holding, base+7, 0xFFFFFFFF)
			got, err := call("history", `{"month": 2}`)
			require.NoError(t, err)
			var result map[string]any
			require.NoError(t, json.Unmarshal([]byte(got), &result))
			require.InDelta(t, 2, result["month"], 0)
			require.Equal(t, "2026-11-01T00:00:00", result["time"])
			require.InEpsilon(t, 1234.56*tt.times, result["energy_active_import"], 1e-9)
			require.InEpsilon(t, 0.99*tt.times, result["energy_reactive_export_valley"], 1e-9)
			require.NotContains(t, result, "energy_active_export")
			require.Len(t, result, 2+39)
		})
	}
}

func TestTheExtremesOfAMonth(t *testing.T) {
	call, u := local(t, meter.Ratios(10, 40))
	u.SetWords(modbus.Holding, 0x0400, 2400, 0x1E0C, 0x0F0B)           // max voltage_l1
	u.SetWords(modbus.Holding, 0x042A, 0xFFFF, 0xFC18, 0x0501, 0x0102) // max active_power_total
	u.SetWords(modbus.Holding, 0x0400+0x4E+18, 25)                     // min current_l1
	got, err := call("extremes", "")
	require.NoError(t, err)
	var result struct {
		Month    int
		Max, Min map[string]struct {
			Value float64
			Time  string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got), &result))
	require.Equal(t, 2400.0, result.Max["voltage_l1"].Value)
	require.Equal(t, "11-15T12:30", result.Max["voltage_l1"].Time)
	require.Equal(t, -400.0, result.Max["active_power_total"].Value)
	require.Equal(t, "02-01T01:05", result.Max["active_power_total"].Time)
	require.Equal(t, 10.0, result.Min["current_l1"].Value)
	require.Len(t, result.Max, 22)
	require.Len(t, result.Min, 22)
}

func TestWrongMonthsAreRefused(t *testing.T) {
	call, _ := local(t)
	for params, want := range map[string]string{
		`{"month": 0}`: "month: 0 is not in 1 to 12", `13`: "month: 13 is not in 1 to 12", `{"month": "x"}`: "parameters are not", `"x"`: "parameters are not",
	} {
		_, err := call("history", params)
		require.ErrorContains(t, err, want)
	}
	_, err := call("extremes", `4`)
	require.ErrorContains(t, err, "month: 4 is not in 0 to 3")
}

func TestARatioThatIsNotKnownIsAnError(t *testing.T) {
	call, _ := local(t, meter.Groups(meter.Status))
	_, err := call("history", `1`)
	require.ErrorContains(t, err, "the ratio is not known")
}

func TestOutputsAndTariffTablesAreWritten(t *testing.T) {
	for name, opts := range map[string][]meter.Option{
		"not read": nil, "read": {meter.Groups(meter.Status, meter.Settings)},
	} {
		t.Run(name, func(t *testing.T) {
			call, u := local(t, opts...)
			_, err := call("do1", `1`)
			require.NoError(t, err)
			require.EqualValues(t, 1, u.Word(modbus.Holding, 450))
			_, err = call("tou_zone_dates", `"010203"`)
			require.NoError(t, err)
			require.EqualValues(t, 0x0102, u.Word(modbus.Holding, 359))
			_, err = call("overvoltage_threshold", `250`)
			require.Error(t, err, "a setting is written")
		})
	}
	call, u := local(t, meter.Groups(meter.Settings), meter.WritableSettings())
	_, err := call("overvoltage_threshold", `250`)
	require.NoError(t, err)
	require.EqualValues(t, 2500, u.Word(modbus.Holding, 465))
}

func TestMethodsOfModbusStay(t *testing.T) {
	call, u := local(t)
	u.SetWords(modbus.Holding, 20, 2301)
	got, err := call("voltage_l1", "")
	require.NoError(t, err)
	require.Equal(t, "230.1", got)
	_, err = call("nonsense", "")
	require.ErrorContains(t, err, "method not found")
}

func load(t *testing.T, s *modbustest.Server, slave string) (connector.Connector, error) {
	t.Helper()
	port := s.Addr()[strings.LastIndexByte(s.Addr(), ':')+1:]
	return meter.Type().New(json.RawMessage(fmt.Sprintf(
		`{"master": {"slaves": [{"host": "127.0.0.1", "port": %s, "unitId": 1, "deviceName": "m", "pollPeriod": 50, %s}]}}`, port, slave)), connector.Env{Name: "meters"})
}

func TestAFileNamesAnyProfile(t *testing.T) {
	s, err := modbustest.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	u := s.Unit(1)
	u.SetWords(modbus.Holding, 17, 0x1E3B, 0x171F, 0x011A)
	u.SetUint32(modbus.Holding, 0x4805, 100)
	c, err := load(t, s, `"profile": "acrel-adw300", "profileOptions": {"groups": ["measurement", "harmonics", "energy"],
		"periods": {"harmonics": 100}, "ratios": {"pt": 1, "ct": 40}, "arrays": "json"}`)
	require.NoError(t, err)
	call := running(t, c)
	got, err := call("clock", "")
	require.NoError(t, err)
	require.JSONEq(t, `{"result": {"value": "2026-01-31T23:59:30"}}`, got, "the form of a file's results")
	got, err = call("history", "1")
	require.NoError(t, err)
	require.Contains(t, got, `{"result":{"value":{"month":1,`)
	require.Contains(t, got, `"energy_active_import":40`)
	_, ok := connector.As[connector.AttributeSyncer](c)
	require.True(t, ok, "what the modbus connector can do is lost")

	_, err = load(t, s, `"profile": "eastron-sdm630"`)
	require.NoError(t, err)
}

func TestMistakesInProfileOptionsAreNamed(t *testing.T) {
	s, err := modbustest.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for options, want := range map[string]string{
		`{"groups": ["x"]}`:                 `no group "x"`,
		`{"group": []}`:                     "group: is unknown",
		`{"ratios": "yes"}`:                 "ratios: ",
		`{"ratios": 5}`:                     `ratios: is none of "off", "meter" and`,
		`{"ratios": {"pt": 0}}`:             "ratios 0 and 1 are not positive",
		`{"ratios": {"pt": "x"}}`:           "ratios.pt: ",
		`{"arrays": "list"}`:                "arrays: ",
		`{"periods": {"energy": 0}}`:        `period of group "energy" is not positive`,
		`{"periods": {"harmonics": 1000}}`:  `"harmonics", which is not read`,
		`{"writableSettings": "sometimes"}`: "writableSettings: ",
	} {
		_, err := load(t, s, `"profile": "acrel-adw300", "profileOptions": `+options)
		require.ErrorContains(t, err, want, options)
		require.ErrorContains(t, err, "master.slaves[0].profileOptions", options)
	}
}
