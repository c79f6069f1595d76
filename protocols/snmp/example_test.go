package snmp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

func Example() {
	c := snmp.New(snmp.Config{
		Names: snmp.Names{"sysName": "1.3.6.1.2.1.1.5", "ifTable": "1.3.6.1.2.1.2.2"},
		Devices: []snmp.Device{{
			Name: "switch", Profile: "switch", Address: "192.0.2.1", Poll: 30 * time.Second,
			Version: snmp.V3,
			User:    &snmp.User{Name: "gateway", Auth: "SHA-256", AuthPassword: "a long one", Priv: "AES", PrivPassword: "another one"},
			Objects: []snmp.Object{
				{Key: "name", OIDs: []string{"sysName.0"}, Attribute: true},
				{Key: "temperature", OIDs: []string{"1.3.6.1.4.1.9.9.13.1.3.1.3.1"}, Scale: 0.1},
				{Key: "interfaces", Method: snmp.BulkTable, OIDs: []string{"ifTable"}},
			},
			RPC: []snmp.Command{{Name: "rename", Method: snmp.Set, OIDs: []string{"sysName.0"}}},
		}},
		Traps: &snmp.Traps{Mappings: []snmp.TrapMapping{{
			Trap: "1.3.6.1.6.3.1.1.5.3", // linkDown
			Key:  "link", Value: "down",
			Objects: []snmp.TrapObject{{Key: "ifIndex", OID: "1.3.6.1.2.1.2.2.1.1"}},
		}}},
	})
	var _ connector.Connector = c // for gateway.WithConnector
	fmt.Println(c.Health().OK)
	// Output: true
}

func ExampleConfig_Validate() {
	err := snmp.Config{Devices: []snmp.Device{{Name: "switch", Address: "192.0.2.1", Objects: []snmp.Object{
		{Key: "uptime", OIDs: []string{"sysUpTime.0"}},
	}}}}.Validate()
	fmt.Println(err)
	// Output: device "switch": key "uptime": oid: "sysUpTime.0" is no name that the configuration knows
}

func ExampleType() {
	doc := json.RawMessage(`{"devices": [{
		"deviceName": "switch", "ip": "192.0.2.1", "community": "public", "pollPeriod": 30000,
		"telemetry": [{"key": "uptime", "method": "get", "oid": "1.3.6.1.2.1.1.3.0"}]}]}`)
	c, err := snmp.Type().New(doc, connector.Env{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.(connector.RPCHandler).HandleRPC(context.Background(), connector.RPCRequest{Device: "router", Method: "get"})
	fmt.Println(err)
	// Output: snmp: no device "router"
}
