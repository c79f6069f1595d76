package bacnet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
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

// A tally counts readings, and tells those that are as they should be apart.
type tally struct {
	*connectortest.Host
	readings, complete atomic.Int64

	mu   sync.Mutex
	seen map[string]bool
}

// Submit implements connector.Sink.
func (c *tally) Submit(_ context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range b.Groups() {
		c.readings.Add(int64(len(g.Telemetry)))
		if int(c.complete.Load()) == len(c.seen) && c.readings.Load() > 20000 {
			continue
		}
		for _, p := range g.Telemetry {
			n, err := strconv.Atoi(p.Key[3:])
			step := int(p.Value.Float()) / 10000
			if id := fmt.Sprint(g.Device.Name, p.Key, step); err == nil && int(p.Value.Float()) == n+step*10000 && !c.seen[id] {
				c.seen[id] = true
				c.complete.Add(1)
			}
		}
	}
	return connector.Receipt{}, nil
}

func newTally(t *testing.T) *tally {
	t.Helper()
	return &tally{Host: connectortest.NewHost(t), seen: make(map[string]bool)}
}

// 50 devices with 20 objects each are found and polled.
func TestPeerFiftyDevices(t *testing.T) {
	addrs := peer.BACnet{First: 1000, Devices: 50, Objects: 20}.Start(t)
	c := peerConnector(t, peerFile(addrs, `"pollPeriod": 1000, "attributes": [],
		"timeseries": [{"key": "${objectName}", "objectType": "analogInput", "objectId": "*", "propertyId": "presentValue"}]`))
	host := newTally(t)
	begin := time.Now()
	start(t, c, host)
	eventually(t, "all values of all devices are read", func() bool { return host.complete.Load() == 1000 })
	found, stats := time.Since(begin), c.(*bacnet.Connector).Stats()
	cpu, polls, since := processCPU(), host.readings.Load(), time.Now()
	eventually(t, "five more polls", func() bool { return host.readings.Load() >= polls+5000 })
	after, read := c.(*bacnet.Connector).Stats(), host.readings.Load()-polls
	t.Logf("50 devices x 20 objects: found and read in %v with %d datagrams; then %d readings with %d datagrams, %v of CPU in %v",
		found.Round(time.Millisecond), stats.Sent+stats.Received, read, after.Sent+after.Received-stats.Sent-stats.Received,
		(processCPU() - cpu).Round(time.Millisecond), time.Since(since).Round(time.Millisecond))
	require.Len(t, host.Online(), 50)
	require.Zero(t, after.Malformed)
	// One ReadPropertyMultiple and its answer for each poll of 20 objects, and some for the objects' names once.
	require.LessOrEqual(t, float64(after.Sent-stats.Sent), 1.5*float64(read)/20)
}

// 1,000 objects are subscribed to, and all of their changes arrive.
func TestPeerThousandSubscriptions(t *testing.T) {
	const change = 2 * time.Second
	addrs := peer.BACnet{First: 1000, Objects: 1000, Change: change}.Start(t)
	c := peerConnector(t, peerFile(addrs, `"pollPeriod": 1000, "cov": {"lifetime": 60}, "apduTimeout": 1000, "attributes": [],
		"timeseries": [{"key": "AI ${objectId}", "objectType": "analogInput", "objectId": "0-999", "propertyId": "presentValue"}]`))
	host := newTally(t)
	cpu, since := processCPU(), time.Now()
	start(t, c, host)
	eventually(t, "the first value and three changes of all objects arrive", func() bool { return host.complete.Load() >= 4000 })
	stats := c.(*bacnet.Connector).Stats()
	t.Logf("1000 objects by COV: %d readings with %d datagrams, %v of CPU in %v, %d goroutines",
		host.readings.Load(), stats.Sent+stats.Received, (processCPU() - cpu).Round(time.Millisecond), time.Since(since).Round(time.Millisecond), runtime.NumGoroutine())
	require.Zero(t, stats.Malformed)
}
