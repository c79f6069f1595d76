package snmp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestVectors(t *testing.T) {
	convertertest.Run(t, convertertest.Suite{
		Folder: "snmp",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			if v.Kind == "rpc" || v.Kind == "attributeUpdate" {
				return command(tb, v)
			}
			return uplink(tb, v)
		},
		Skip: func(v *convertertest.Vector) string {
			if v.Kind == "rpc" && !v.Quirky() && strings.Contains(compact(v.Expected), `"replies":[]`) {
				return "every call has a reply, also one that is not found: an error"
			}
			return ""
		},
		Better: map[string]string{
			"r03-rpc-set-untyped-value-fails": replies(`{"result": "x"}`),
			"r07-reserved-set":                replies(`{"result": "abc"}`),
			"s18-bulkget-scalars-only": `{"deviceName": "Router 1", "deviceType": "snmp", "telemetry": [], "attributes": {"b": {
				"1.3.6.1.4.1.8072.9999.2.0": "-42", "1.3.6.1.4.1.8072.9999.20.1.1.1": "1", "1.3.6.1.4.1.8072.9999.20.1.1.2": "2"}}}`,
			"s20-bulktable-table-oid": `{"deviceName": "Router 1", "deviceType": "snmp", "attributes": {}, "telemetry": [{"ts": null, "values": {"t": [
				{"0": "1", "1": "1", "2": "portA", "3": "100"}, {"0": "2", "1": "2", "2": "portB", "3": "0"}]}}]}`,
		},
	})
}

func compact(doc json.RawMessage) string {
	return strings.NewReplacer(" ", "", "\n", "").Replace(string(doc))
}

func replies(content string) string {
	return fmt.Sprintf(`{"replies": [{"connectorContent": %s, "success_sent": null, "wire": %s}]}`, content, content)
}

// textual reports whether a vector records as text what is a number or an object
// here, unless the compatibility switch is on: the values in objects and tables, and
// the results of calls.
func textual(v *convertertest.Vector) bool {
	config := compact(v.Config)
	for _, method := range []string{"getnext", "walk", "multiwalk", "bulkwalk", "bulkget", "table", "bulktable"} {
		if v.Kind != "rpc" && strings.Contains(strings.ToLower(config), `"method":"`+method+`"`) {
			return true
		}
	}
	return v.Kind == "rpc" && !v.Quirky()
}

// lab is an agent with the objects that the vectors were recorded with.
func lab(tb testing.TB) *agent {
	tb.Helper()
	a := newAgent(tb)
	for oid, value := range map[string]string{
		"1.0": "INTEGER 0", "2.0": "INTEGER -42", "3.0": `STRING "21.5"`, "4.0": "Counter32 4294967295", "6.0": "Timeticks 360050",
		"8.0": "OID 1.3.6.1.4.1.8072.3.2.10", "9.0": `STRING ""`, "10.0": `STRING "lab"`,
		"20.1.1.1": "INTEGER 1", "20.1.1.2": "INTEGER 2", "20.1.2.1": `STRING "portA"`, "20.1.2.2": `STRING "portB"`,
		"20.1.3.1": "INTEGER 100", "20.1.3.2": "INTEGER 0",
	} {
		a.set(tb, "1.3.6.1.4.1.8072.9999."+oid, value)
	}
	return a
}

// vectorConnector loads the vector's device, which is at a.
func vectorConnector(tb testing.TB, v *convertertest.Vector, a *agent, device map[string]any) (connector.Connector, error) {
	tb.Helper()
	maps.Copy(device, map[string]any{"ip": "127.0.0.1", "port": a.port(), "pollPeriod": 50})
	root := map[string]any{"devices": []any{device}}
	if textual(v) {
		root["compatibility"] = "thingsboard"
	}
	doc, err := json.Marshal(root)
	require.NoError(tb, err)
	return snmp.Type().New(doc, connector.Env{Logger: slog.New(slog.DiscardHandler)})
}

func uplink(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	a := lab(tb)
	var device map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &device))
	var input struct {
		AgentValues      map[string]string
		DecodedResponses map[string]any
	}
	require.NoError(tb, json.Unmarshal(v.Input, &input))
	for oid, value := range input.AgentValues {
		a.set(tb, oid, value)
	}
	decoded(tb, a, device, input.DecodedResponses)
	c, err := vectorConnector(tb, v, a, device)
	if err != nil {
		return nil, err
	}
	var got json.RawMessage
	alive(tb, c, func(w *witness) {
		for end := time.Now().Add(20 * time.Second); got == nil && time.Now().Before(end); got = w.first() {
			time.Sleep(5 * time.Millisecond)
		}
	})
	return got, nil
}

// decoded makes the agent hold the responses of a vector of kind uplink-converter,
// whose items name no object.
func decoded(tb testing.TB, a *agent, device map[string]any, responses map[string]any) {
	tb.Helper()
	oid := 100
	for _, section := range []string{"attributes", "telemetry"} {
		items, _ := device[section].([]any)
		for _, item := range items {
			m := item.(map[string]any)
			response, ok := responses[fmt.Sprint(m["key"])]
			if !ok {
				continue
			}
			oid++
			m["method"], m["oid"] = "get", "1.3.6.1.4.1.8072.9999."+strconv.Itoa(oid)
			notation := fmt.Sprint(response)
			if n, ok := response.(float64); ok {
				notation = fmt.Sprintf("INTEGER %d", int(n))
			}
			a.set(tb, fmt.Sprint(m["oid"]), notation)
		}
	}
}

func command(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	a := lab(tb)
	var device map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &device))
	c, err := vectorConnector(tb, v, a, device)
	if err != nil {
		return nil, err
	}
	var in struct {
		Device string
		Data   struct {
			ID     int64
			Method string
			Params json.RawMessage
		}
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	var got telemetry.Value
	alive(tb, c, func(w *witness) {
		require.Eventually(tb, w.IsReady, 20*time.Second, time.Millisecond)
		call := connector.RPCRequest{Device: in.Device, ID: in.Data.ID, Method: in.Data.Method, Params: in.Data.Params}
		got, err = callUntilRunning(tb, c.(*snmp.Connector), call)
	})
	if err != nil && !v.Quirky() {
		// The words of an error are the product's own: that there is one counts.
		require.Contains(tb, string(v.Expected), `"error"`, err)
		return v.Expected, nil
	}
	if err != nil {
		return nil, err
	}
	return json.RawMessage(replies(string(got.AppendJSON(nil)))), nil
}

// callUntilRunning makes a call as soon as the device's lane runs.
func callUntilRunning(tb testing.TB, c *snmp.Connector, r connector.RPCRequest) (v telemetry.Value, err error) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		v, err = c.HandleRPC(tb.Context(), r)
		if err == nil || !strings.Contains(err.Error(), "not running") || time.Now().After(end) {
			return v, err
		}
	}
}

// A witness keeps the first batch that has something in it.
type witness struct {
	*connectortest.Host

	mu    sync.Mutex
	batch json.RawMessage
}

// Submit implements connector.Sink.
func (w *witness) Submit(_ context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.batch == nil && !b.Empty() {
		w.batch = convertertest.Messages(undated(b))
	}
	return connector.Receipt{}, nil
}

// Logger implements connector.Host.
func (w *witness) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *witness) first() json.RawMessage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.batch
}

// undated returns b without its time, which is that of the poll.
func undated(b *telemetry.Batch) *telemetry.Batch {
	out := new(telemetry.Batch)
	for _, g := range b.Groups() {
		out.Device(g.Device.Name, g.Device.Profile)
		for _, p := range g.Attributes {
			out.Attribute(p.Key, p.Value)
		}
		for _, p := range g.Telemetry {
			out.Telemetry(p.Key, p.Value)
		}
	}
	return out
}

// alive runs c while f does.
func alive(tb testing.TB, c connector.Connector, f func(w *witness)) {
	tb.Helper()
	w := &witness{Host: connectortest.NewHost(tb)}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, w) }()
	f(w)
	cancel()
	require.NoError(tb, <-done)
}
