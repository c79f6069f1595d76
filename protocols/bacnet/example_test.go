package bacnet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A printer is a host that passes on the first reading of each batch as text.
type printer struct {
	connector.Host
	lines chan string
}

// Ready implements connector.Host.
func (p *printer) Ready() {}

// Logger implements connector.Host.
func (p *printer) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// DeviceOnline implements connector.Host.
func (p *printer) DeviceOnline(context.Context, telemetry.Device) error { return nil }

// Submit implements connector.Sink.
func (p *printer) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	g := b.Groups()[0]
	select {
	case p.lines <- fmt.Sprint(g.Device.Name, ": ", g.Telemetry[0].Key, " ", g.Telemetry[0].Value):
	case <-ctx.Done():
	}
	return connector.Receipt{}, nil
}

// An air handling unit with a temperature and a valve, which is commanded with
// priority 8. A simulated one stands in for 192.0.2.10.
func ExampleNew() {
	unit, valve := bacnettest.NewDevice(7, "1"), wire.NewObjectID(wire.AnalogOutput, 1)
	unit.Set(wire.NewObjectID(wire.AnalogInput, 1), wire.ObjectName, wire.TextValue("supply temperature"))
	unit.Set(wire.NewObjectID(wire.AnalogInput, 1), wire.PresentValue, wire.RealValue(18.5))
	unit.Command(valve, wire.RealValue(0))
	network := &bacnettest.Network{}
	if err := network.Add(unit, "192.0.2.10"); err != nil {
		fmt.Println(err)
		return
	}

	c := bacnet.New(bacnet.Config{
		Local:   bacnet.Local{Host: "192.0.2.1", Instance: 599},
		Sockets: bacnet.NewSockets(network.Open), // without it UDP is used
		Devices: []bacnet.Device{{
			Name: "AHU ${objectName}", Address: "192.0.2.10", Poll: time.Second,
			Items: []bacnet.Item{{Key: "${objectName}", Objects: bacnet.Objects(wire.AnalogInput)}},
			RPC:   []bacnet.Command{{Method: "valve", Object: valve, Property: wire.PresentValue, Write: true, Priority: 8}},
		}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	host := &printer{lines: make(chan string)} // gateway.New has one that stores and forwards
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	fmt.Println(<-host.lines)

	v, err := c.HandleRPC(ctx, connector.RPCRequest{Device: "AHU 1", Method: "valve", Params: json.RawMessage("42.5")})
	fmt.Println("valve", v, err, unit.Writes()[0].Priority)
	cancel()
	fmt.Println(<-done)
	// Output:
	// AHU 1: supply temperature 18.5
	// valve 42.5 <nil> 8
	// <nil>
}

func ExampleType() {
	c, err := bacnet.Type().New(json.RawMessage(`{
		"application": {"objectName": "gateway", "host": "192.0.2.1", "port": 47808, "objectIdentifier": 599},
		"devices": [{
			"deviceInfo": {"deviceNameExpression": "AHU ${objectName}"}, "host": "192.0.2.10", "port": 47808,
			"timeseries": [{"key": "temperature", "objectType": "analogInput", "objectId": 1, "propertyId": "presentvalue"}]
		}]}`), connector.Env{Name: "plant"})
	fmt.Println(c, err)
	// Output:
	// <nil> bacnet: devices[0].timeseries[0].propertyId: wire: "presentvalue" is not a property
}
