package opcua_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/opcua"
)

// A gateway adds the connector with gateway.WithConnector("plant", c).
func ExampleNew() {
	c := opcua.New(opcua.Config{
		URL: "opc.tcp://192.0.2.10:4840",
		Security: opcua.Security{
			Policy: "Basic256Sha256", Mode: "SignAndEncrypt",
			ServerCert: "plc.pem",
		},
		Identity: opcua.Identity{User: "gateway", Password: "secret"},
		Publish:  500 * time.Millisecond,
		Mappings: []opcua.Mapping{{
			Node:       `Root\.Objects\.Line[0-9]+`, // each is a device
			DeviceName: "line ${Name}",
			Telemetry: []opcua.Item{
				{Key: "temperature", Node: `Sensors\.Temperature`, Time: opcua.SourceTime, Deadband: 0.1},
				{Key: "state", Node: "ns=2;s=Plant.State"},
			},
			Updates: []opcua.Update{{Key: "setpoint", Node: "Setpoint"}},
			Methods: []opcua.Method{{Name: "Restart"}},
		}},
	})
	fmt.Println(c.Health().OK)
	// Output: false
}

// A mistake is found before anything is started.
func ExampleConfig_Validate() {
	fmt.Println(opcua.Config{URL: "plc", Mappings: []opcua.Mapping{{Node: "Objects.Line", DeviceName: "line"}}}.Validate())
	// Output: mapping[0]: node: "Objects.Line" does not start with Root\. and is not a node identifier
}

// What a server holds can be listed.
func ExampleBrowse() {
	err := opcua.Browse(context.Background(), opcua.Config{URL: "opc.tcp://127.0.0.1:1"}, opcua.BrowseOptions{}, func(n opcua.Node) error {
		fmt.Println(n.Path, n.Value)
		return nil
	})
	fmt.Println(err != nil)
	// Output: true
}
