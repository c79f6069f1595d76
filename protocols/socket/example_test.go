package socket_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/socket"
)

// Stations that write lines such as "21.5,40" to TCP port 50000.
func Example() {
	four := 4
	stations := socket.New(socket.Config{
		Address: "0.0.0.0", Framing: socket.Framing{Delimiter: []byte("\n")},
		Devices: []socket.Device{{
			Address: "192.168.1.*:*", Name: "station",
			Timeseries: []socket.Datapoint{{Key: "temperature", To: &four, Type: "float"}, {Key: "humidity", From: 5, Type: "float"}},
		}},
	})
	_ = gateway.WithConnector("stations", stations)
}

// The same from a configuration file.
func ExampleType() {
	_, err := socket.Type().New([]byte(`{
		"socket": {"address": "0.0.0.0", "port": 50000, "framing": {"delimiter": "\n"}},
		"devices": [{"deviceName": "station", "encoding": "utf-7"}]
	}`), connector.Env{Name: "stations"})
	fmt.Println(err)
	// Output: socket: devices[0].encoding: "utf-7" is not one of ascii, cp1252, hex, iso-8859-1, latin-1, utf-16, utf-16-be, utf-16-le, utf-8, utf-8-sig, windows-1252
}
