package bacnet_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// peerFile is a configuration of devices at addresses.
func peerFile(addrs []string, members string) json.RawMessage {
	list := ""
	for _, addr := range addrs {
		if list != "" {
			list += ","
		}
		list += fmt.Sprintf(`{"deviceInfo": {"deviceNameExpression": "${objectName}", "deviceProfileExpression": "sim"}, "address": %q, %s}`, addr, members)
	}
	return json.RawMessage(`{"application": {"host": "127.0.0.1", "port": 0, "mask": "8", "objectIdentifier": 599, "devicesDiscoverPeriodSeconds": 1}, "devices": [` + list + `]}`)
}

func peerConnector(t *testing.T, doc json.RawMessage) connector.Connector {
	t.Helper()
	c, err := bacnet.Type().New(doc, connector.Env{Name: "plant"})
	require.NoError(t, err)
	return c
}

func TestPeerDeviceIsReadAndWritten(t *testing.T) {
	addrs := peer.BACnet{First: 4321, Objects: 20}.Start(t)
	c := peerConnector(t, peerFile(addrs, `"pollPeriod": 50,
		"attributes": [{"key": "unit", "objectType": "analogInput", "objectId": 1, "propertyId": "units"}],
		"timeseries": [
			{"key": "${objectName}", "objectType": "analogInput", "objectId": "*", "propertyId": "presentValue"},
			{"key": "valve", "objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue"},
			{"key": "missing", "objectType": "analogOutput", "objectId": 77, "propertyId": "presentValue"}],
		"serverSideRpc": [{"method": "valve", "requestType": "writeProperty", "objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue", "priority": 8},
			{"method": "getValve", "requestType": "readProperty", "objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue"}]`))
	host := connectortest.NewHost(t)
	start(t, c, host)
	const name = "js-sim-ß€ 4321"
	eventually(t, "it is online", online(host, name))
	eventually(t, "it is read", is(host, name, "AI 19", telemetry.Float(19)))
	eventually(t, "its attribute is read", is(host, name, "unit", telemetry.String("degrees-celsius")))
	call := func(method, params string) string {
		v, err := c.(connector.RPCHandler).HandleRPC(t.Context(), connector.RPCRequest{Device: name, Method: method, Params: json.RawMessage(params)})
		require.NoError(t, err)
		return v.String()
	}
	require.JSONEq(t, `{"result": "{'value': 55.5}"}`, call("valve", "55.5"))
	require.JSONEq(t, `{"result": "{'value': '55.5'}"}`, call("getValve", ""))
	eventually(t, "it was written", is(host, name, "valve", telemetry.Float(55.5)))
	require.JSONEq(t, `{"result": "{'value': ()}"}`, call("valve", "null"))
	eventually(t, "it was released", is(host, name, "valve", telemetry.Float(0)))
	require.Contains(t, call("set", `"objectType=analogInput;objectId=1;propertyId=presentValue;value=1;"`), "property: write-access-denied")
}

// 50 devices with 20 objects each are found and polled.
func TestPeerFiftyDevices(t *testing.T) {
	addrs := peer.BACnet{First: 1000, Devices: 50, Objects: 20}.Start(t)
	c := peerConnector(t, peerFile(addrs, `"pollPeriod": 1000, "attributes": [],
		"timeseries": [{"key": "${objectName}", "objectType": "analogInput", "objectId": "*", "propertyId": "presentValue"}]`))
	host := connectortest.NewHost(t)
	begin := time.Now()
	start(t, c, host)
	eventually(t, "all values of all devices are read", func() bool {
		seen := make(map[string]bool)
		for _, r := range host.Readings(false) {
			if n, err := strconv.Atoi(r.Key[3:]); err == nil && r.Value == telemetry.Float(float64(n)) {
				seen[r.Device.Name+r.Key] = true
			}
		}
		return len(seen) == 1000
	})
	found, stats := time.Since(begin), c.(*bacnet.Connector).Stats()
	cpu := processCPU()
	polls := len(host.Readings(false))
	eventually(t, "five more polls", func() bool { return len(host.Readings(false)) >= polls+5000 })
	after := c.(*bacnet.Connector).Stats()
	t.Logf("50 devices x 20 objects: found and read in %v with %d datagrams; then %d readings with %d datagrams, %v of CPU",
		found.Round(time.Millisecond), stats.Sent+stats.Received, len(host.Readings(false))-polls, after.Sent+after.Received-stats.Sent-stats.Received,
		(processCPU() - cpu).Round(time.Millisecond))
	require.Len(t, host.Online(), 50)
	require.Zero(t, after.Malformed)
	// One ReadPropertyMultiple and its answer for each poll of 20 objects, and some for the objects' names once.
	require.LessOrEqual(t, float64(after.Sent-stats.Sent), 1.5*float64(len(host.Readings(false))-polls)/20)
}

// 1,000 objects are subscribed to, and all of their changes arrive.
func TestPeerThousandSubscriptions(t *testing.T) {
	const change = 2 * time.Second
	addrs := peer.BACnet{First: 1000, Objects: 1000, Change: change}.Start(t)
	c := peerConnector(t, peerFile(addrs, `"pollPeriod": 1000, "cov": {"lifetime": 60}, "apduTimeout": 1000, "attributes": [],
		"timeseries": [{"key": "AI ${objectId}", "objectType": "analogInput", "objectId": "0-999", "propertyId": "presentValue"}]`))
	host := connectortest.NewHost(t)
	start(t, c, host)
	eventually(t, "it is online", func() bool { return len(host.Online()) == 1 })
	seen := 0
	counts := make(map[telemetry.Value]int)
	cpu, stats := processCPU(), c.(*bacnet.Connector).Stats()
	complete := 0
	eventually(t, "three changes of all objects arrive", func() bool {
		list := host.Readings(false)
		for _, r := range list[seen:] {
			step := int(r.Value.Float()) / 10000
			if counts[telemetry.Int(int64(step))]++; counts[telemetry.Int(int64(step))] == 1000 && step > 0 {
				complete++
			}
		}
		seen = len(list)
		return complete >= 3
	})
	after := c.(*bacnet.Connector).Stats()
	t.Logf("1000 objects by COV: %d readings with %d datagrams, %v of CPU, %d goroutines",
		seen, after.Sent+after.Received-stats.Sent-stats.Received, (processCPU() - cpu).Round(time.Millisecond), runtime.NumGoroutine())
	require.Zero(t, after.Malformed)
}
