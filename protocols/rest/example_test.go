package rest_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/rest"
)

// Sensors that POST {"temp": 21.5} to /rooms/4.
func Example() {
	server := rest.New(rest.Config{
		Hosts: []string{"0.0.0.0"},
		Endpoints: []rest.Endpoint{{
			Path: "/rooms/{room}", Methods: []string{"POST"},
			Auth:       rest.Auth{Tokens: []string{"a long secret"}},
			Device:     rest.DeviceInfo{Name: rest.Expression{Text: "Room ${room}"}},
			Timeseries: []rest.Datapoint{{Key: "temperature", Type: "double", Value: "${temp}"}},
		}},
	})
	_ = gateway.WithConnector("rooms", server)
}

// The same from a configuration file.
func ExampleType() {
	_, err := rest.Type().New([]byte(`{
		"server": {"host": "0.0.0.0", "port": 500000},
		"mapping": [{"endpoint": "/rooms/{room}", "HTTPMethods": ["POST"], "security": {"type": "bearer", "token": "a long secret"},
			"converter": {"deviceInfo": {"deviceNameExpression": "Room ${room}"},
				"timeseries": [{"key": "temperature", "type": "double", "value": "${temp}"}]}}]
	}`), connector.Env{Name: "rooms"})
	fmt.Println(err)
	// Output: rest: server.port: 500000 is not a whole number from 0 to 65535
}
