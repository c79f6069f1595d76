package modbus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// A boiler with a temperature in tenths of a degree and a setpoint that can be
// changed. A simulated one stands in for rtu:///dev/ttyUSB0?baud=9600.
func ExampleNew() {
	boiler, err := modbustest.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer boiler.Close()
	boiler.Unit(1).SetWords(modbus.Holding, 100, 645)

	c := modbus.New(modbus.Config{
		URL: boiler.URL(),
		Devices: []modbus.Device{{
			Name: "boiler", Unit: 1, Poll: time.Second,
			Registers: []modbus.Register{
				{Key: "temperature", Address: 100, Type: modbus.Int16, Scale: 0.1},
				{Key: "setpoint", Address: 200, Scale: 0.1, Writable: true},
			},
		}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	host := newPrinter() // gateway.New has one that stores and forwards
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	fmt.Println(<-host.lines)

	v, err := c.HandleRPC(ctx, connector.RPCRequest{Device: "boiler", Method: "setpoint", Params: json.RawMessage("70.5")})
	fmt.Println("setpoint", v, err, boiler.Unit(1).Word(modbus.Holding, 200))
	cancel()
	fmt.Println(<-done)
	// Output:
	// boiler temperature 64.5
	// setpoint 70.5 <nil> 705
	// <nil>
}

func ExampleType() {
	c, err := modbus.Type().New(json.RawMessage(`{"master": {"slaves": [{
		"type": "tcp", "method": "socket", "host": "192.0.2.1", "port": 502, "unitId": 1, "deviceName": "boiler",
		"pollPeriod": 5000, "byteOrder": "BIG", "wordOrder": "BIG",
		"timeseries": [{"tag": "temperature", "type": "32int", "functionCode": 3, "objectsCount": 1, "address": 100}]
	}]}}`), connector.Env{Name: "plant"})
	fmt.Println(c, err)
	// Output:
	// <nil> master.slaves[0].timeseries[0]: objectsCount: 1 is too few registers for 32int
}
