package meter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// TestKnownRegistersOfOtherMeters checks the files of profiles, by words made by hand.
func TestKnownRegistersOfOtherMeters(t *testing.T) {
	tests := []struct {
		profile string
		table   modbus.Table
		address uint16
		words   []uint16
		key     string
		want    float64
	}{
		{"eastron-sdm630", modbus.Input, 0, []uint16{0x4366, 0x199A}, "voltage_l1", 230.1},
		{"eastron-sdm630", modbus.Input, 52, []uint16{0xC47A, 0x0000}, "active_power_total", -1},
		{"eastron-sdm120", modbus.Input, 0, []uint16{0x4366, 0x199A}, "voltage_l1", 230.1},
		{"carlogavazzi-em-et-330-340", modbus.Input, 40, []uint16{0xD8F0, 0xFFFF}, "active_power_total", -1},
		{"carlogavazzi-em-et-330-340", modbus.Input, 52, []uint16{0x86A0, 0x0001}, "energy_active_import", 10000},
		{"schneider-iem3000", modbus.Holding, 3059, []uint16{0x3FC0, 0x0000}, "active_power_total", 1.5},
		{"schneider-pm5xxx-pm2xxx", modbus.Holding, 3203, []uint16{0, 0, 0x0001, 0xE240}, "energy_active_import", 123.456},
		{"chint-dtsu666", modbus.Holding, 8198, []uint16{0x450F, 0xD000}, "voltage_l1", 230.1},
		{"acrel-adl3000-dtsd1352", modbus.Holding, 106, []uint16{0xFC18}, "active_power_total", -1},
		{"acrel-adl400", modbus.Holding, 2114, []uint16{0, 12345}, "energy_active_total", 1234.5},
		{"janitza-umg96rm", modbus.Holding, 19068, []uint16{0x4974, 0x2400}, "energy_active_import", 1000},
		{"siemens-pac2200", modbus.Input, 801, []uint16{0x412E, 0x8480, 0, 0}, "energy_active_import", 1000},
		{"sbc-ale3", modbus.Holding, 50, []uint16{750}, "active_power_total", 7.5},
	}
	for _, tt := range tests {
		t.Run(tt.profile+" "+tt.key, func(t *testing.T) {
			values, _ := poll(t, meter.Device(tt.profile, "m", 1, time.Second), func(u *modbustest.Unit) {
				u.SetWords(tt.table, tt.address, tt.words...)
			})
			require.Contains(t, values, tt.key)
			require.InDelta(t, tt.want, values[tt.key].Float(), 1e-4)
		})
	}
}
