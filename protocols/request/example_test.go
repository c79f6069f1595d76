package request_test

import (
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/request"
)

// Meters behind a REST API, all of them in one answer.
func Example() {
	meters := request.New(request.Config{
		Host: "https://meters.example.com", Auth: request.Auth{Token: request.TokenFile("/run/secrets/meters")},
		Endpoints: []request.Endpoint{{
			Request: request.Request{URL: "api/readings?since=${last.s}", Timeout: 5 * time.Second, Tries: 3},
			Period:  30 * time.Second,
			Items:   "${items}",
			JSON: request.JSONConfig{
				Device: "meter ${id}", Profile: "meter",
				Timeseries: []request.Datapoint{{Key: "power", Value: "${p}", TimeField: "at"}},
			},
		}},
	})
	_ = gateway.WithConnector("meters", meters)
}

// The same from a configuration file.
func ExampleType() {
	_, err := request.Type().New([]byte(`{
		"host": "https://meters.example.com",
		"mapping": [{"url": "api/readings", "responseFormat": "yaml", "converter": {"deviceNameJsonExpression": "meter ${id}"}}]
	}`), connector.Env{Name: "meters"})
	fmt.Println(err)
	// Output: request: mapping[0].responseFormat: "yaml" is not one of json, xml, csv, text
}
