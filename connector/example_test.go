package connector_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A connector that submits one reading and waits to be stopped.
func ExampleFunc() {
	c := connector.Func(func(ctx context.Context, host connector.Host) error {
		host.Ready()
		var b telemetry.Batch
		b.Device("hall", "thermometer")
		b.Telemetry("temperature", telemetry.Float(21.5))
		if err := connector.Deliver(ctx, host, &b); err != nil {
			return err // nothing is acknowledged; the gateway runs the connector again
		}
		<-ctx.Done()
		return nil
	})
	_ = c
}

// A type makes connectors from configuration files.
func ExampleSet() {
	clock := connector.Type{Name: "clock", New: func(cfg json.RawMessage, _ connector.Env) (connector.Connector, error) {
		var c struct {
			Zone string `json:"zone"`
		}
		if err := json.Unmarshal(cfg, &c); err != nil {
			return nil, err
		}
		return connector.Func(func(ctx context.Context, _ connector.Host) error { <-ctx.Done(); return nil }), nil
	}}
	set, err := connector.NewSet(clock)
	if err != nil {
		panic(err)
	}
	_, err = set.New("sundial", nil, connector.Env{Name: "garden"})
	fmt.Println(err)
	// Output:
	// connector "garden": type "sundial" is not linked into this program (it has: clock)
}
