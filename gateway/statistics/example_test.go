package statistics_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/statistics"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// printer stands for a *tbclient.Client.
type printer struct{ done context.CancelFunc }

func (p printer) PublishOwn(_ context.Context, points, _ []telemetry.Point) error {
	for _, pt := range points {
		if pt.Key == "connectorsStats" {
			fmt.Println(pt.Value)
		}
	}
	p.done()
	return nil
}

func ExampleCollector_Run() {
	c := statistics.New(statistics.Config{
		Settings: statistics.Settings{Period: time.Minute},
		Gateway: func() gateway.Stats { // that of a *gateway.Gateway
			return gateway.Stats{Connectors: map[string]gateway.ConnectorStats{"meters": {Received: 9, Records: 9, Bytes: 120, Telemetry: 18}}}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := c.Run(ctx, printer{cancel}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"meters":{"connectorMsgsReceived":9,"connectorBytesReceived":120,"storageMsgPushed":9},"meters_converter":{"convertersMsgProcessed":9,"convertersTsProduced":18,"convertersAttrProduced":0,"convertersMsgDropped":0}}
}
