package meter_test

import (
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
)

func ExampleDevice() {
	cfg := modbus.Config{
		URL: "rtu:///dev/ttyUSB0?baud=9600",
		Devices: []modbus.Device{
			meter.Device(meter.ADW300, "feeder-1", 1, 5*time.Second),
			meter.Device(meter.ADW300, "feeder-2", 2, 5*time.Second,
				meter.Groups(meter.Measurement, meter.Energy, meter.Harmonics),
				meter.Every(meter.Harmonics, time.Minute), meter.Ratios(1, 40)),
		},
	}
	fmt.Println(cfg.Validate(), len(cfg.Devices[0].Registers), len(cfg.Devices[1].Registers))
	// Output: <nil> 58 272
}
