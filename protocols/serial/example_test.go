package serial_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/serial"
)

// A scale that prints lines such as "W=12.5 kg".
func Example() {
	scale := serial.New(serial.Config{Devices: []serial.Device{{
		Name: "scale", Port: "/dev/ttyUSB0", Baud: 9600, Delimiter: "\r\n",
		Timeseries: []serial.Datapoint{{Key: "weight", Type: serial.Float, Part: serial.Part{FromDelimiter: "W=", UntilDelimiter: "kg"}}},
	}}})
	_ = gateway.WithConnector("scale", scale)
}

// The same from a configuration file.
func ExampleType() {
	_, err := serial.Type().New([]byte(`{
		"devices": [{"name": "scale", "port": "/dev/ttyUSB0", "baudrate": 96000000,
			"telemetry": [{"key": "weight", "type": "float", "fromDelimiter": "W=", "untilDelimiter": "kg"}]}]
	}`), connector.Env{Name: "scales"})
	fmt.Println(err)
	// Output: serial: devices[0].baudrate: 96000000 is not a whole number from 50 to 4000000
}
