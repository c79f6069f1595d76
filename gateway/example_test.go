package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

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

func ExampleWithRPC() {
	g, err := gateway.New(
		gateway.WithPlatform(newPlatform()),
		gateway.WithRPC("sum", func(_ context.Context, params json.RawMessage) (telemetry.Value, error) {
			var numbers []int64
			if err := json.Unmarshal(params, &numbers); err != nil {
				return telemetry.Value{}, err
			}
			total := int64(0)
			for _, n := range numbers {
				total += n
			}
			return telemetry.Int(total), nil
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	// As the platform calls it.
	v, err := g.HandleRPC(context.Background(), "sum", json.RawMessage(`[1, 2, 3]`))
	fmt.Println(v, err)
	// Output: 6 <nil>
}

// A connection is tried for a minute; the present one goes on if it fails.
func ExampleGateway_SetPlatform() {
	g, err := gateway.New(gateway.WithPlatform(newPlatform()))
	if err != nil {
		log.Fatal(err)
	}
	next := newPlatform() // usually tbclient.Dial(cfg)
	if err := g.SetPlatform(context.Background(), next, time.Minute); err != nil {
		log.Print(err)
	}
	fmt.Println(g.Platform() == gateway.Platform(next))
	// Output: true
}
