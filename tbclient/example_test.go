package tbclient_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// commands carries out what the platform asks of devices.
type commands struct{}

func (commands) HandleRPC(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	return telemetry.String(r.Method + " done"), nil
}

func (commands) UpdateAttributes(context.Context, connector.AttributeUpdate) error { return nil }

func (commands) SharedAttributes(string) []string { return nil }

// A client publishes telemetry and answers a remote procedure call. A gateway
// does this with gateway.WithPlatform.
func Example() {
	platform, err := tbtest.NewServer(tbtest.Config{Token: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer platform.Close()

	client := tbclient.Dial(tbclient.Config{
		Broker:      platform.URL(), // such as "tls://demo.thingsboard.io:8883"
		AccessToken: "secret",
		Logger:      slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = client.Run(ctx, commands{}) })
	defer running.Wait()
	defer stop()

	var b telemetry.Batch
	b.Device("boiler", "heating")
	b.AddTelemetry(telemetry.Point{Key: "temperature", TS: 1_700_000_000_000, Value: telemetry.Float(61.5)})
	delivery, err := client.Publish(ctx, b.Groups())
	if err == nil {
		err = delivery.Wait(ctx)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range platform.Readings() {
		fmt.Println(r.Device, r.Key, r.TS, r.Value)
	}
	reply, err := platform.Call(ctx, "boiler", "ignite", nil)
	fmt.Println(string(reply), err)
	// Output:
	// boiler temperature 1700000000000 61.5
	// "ignite done" <nil>
}
