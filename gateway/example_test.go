package gateway_test

import (
	"context"
	"log"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The platform is usually a *tbclient.Client, and the store a
// *filestore.Store; without a store, events are kept in memory.
func ExampleNew() {
	once := connector.Func(func(ctx context.Context, host connector.Host) error {
		var b telemetry.Batch
		b.Device("hall", "thermometer")
		b.Telemetry("temperature", telemetry.Float(21.5))
		if _, err := host.Submit(ctx, &b); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	g, err := gateway.New(
		gateway.WithPlatform(newPlatform()),
		gateway.WithConnector("hall", once, gateway.WithPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange})),
	)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a real program waits for a signal
	if err := g.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
}
