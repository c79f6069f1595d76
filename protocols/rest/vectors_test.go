package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The vectors were recorded with the Python gateway, which makes a text of every value
// and answers 200 or 500 to what is malformed. A vector that is not marked as a quirk is
// therefore run with the switch that restores that. What ours makes of the same inputs
// without the switch is in TestValuesHaveTheirTypes and TestStatus.
func TestVectors(t *testing.T) {
	device := func(values string) string {
		return `{"deviceName":"D","deviceType":"default","attributes":{},"telemetry":[` + values + `]}`
	}
	at := func(values string) string { return `{"ts":1700000000000,"values":` + values + `}` }
	convertertest.Run(t, convertertest.Suite{
		Folder:     "rest",
		Run:        runAs(convert, "thingsboard"),
		Compatible: compatible(convert),
		Restores:   []string{"basic", "bool_and_object", "partial_template", "name_unresolved"},
		Better: map[string]string{
			"basic":            `{"deviceName":"SN1","deviceType":"TH","attributes":{"model":"T1000"},"telemetry":[` + at(`{"t":42.0}`) + `]}`,
			"bool_and_object":  device(at(`{"b":true,"o":"{\"x\":1}"}`)),
			"partial_template": device(""),
			"name_unresolved":  convertertest.Refused,
		},
	}, convertertest.Suite{
		Folder: "rest_downlink",
		Run:    downlink,
		Better: map[string]string{
			"attr_update": `{"url":"http://h/SN%201/k%201","data":"{\"deviceName\":\"SN 1\",\"k 1\":\"v\\\"q\"}"}`,
		},
	}, convertertest.Suite{
		Folder: "rest_http",
		Run:    runAs(live, "thingsboard"),
	}, convertertest.Suite{
		Folder: "config_migration",
		Glob:   "rest_*.json",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			known := rest.WithConverter("X", func(config json.RawMessage) (rest.UplinkConverter, error) {
				assert.JSONEq(tb, `{"k":1}`, string(config))
				return nothing{}, nil
			})
			old, err := rest.Load(string(v.Input), known)
			require.NoError(tb, err)
			now, err := rest.Load(string(v.Expected), known)
			require.NoError(tb, err)
			require.Equal(tb, now, old, "the old file and the new one mean the same")
			require.Len(tb, now.Endpoints, 2)
			return v.Expected, nil
		},
	})
}

// nothing is a converter that converts nothing.
type nothing struct{}

func (nothing) ConvertUplink(rest.Message, *telemetry.Batch) error { return nil }

type runner func(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error)

func runAs(run runner, compatibility string) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		tb.Helper()
		if v.Quirky() {
			return run(tb, v, "")
		}
		return run(tb, v, compatibility)
	}
}

func compatible(run runner) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		tb.Helper()
		return run(tb, v, "thingsboard")
	}
}

// load makes a connector of a configuration file with some keys.
func load(tb testing.TB, keys map[string]any) *rest.Connector {
	tb.Helper()
	keys["server"] = map[string]any{"port": 0}
	doc, err := json.Marshal(keys)
	require.NoError(tb, err)
	c, err := rest.Type().New(doc, connector.Env{Name: "test"})
	require.NoError(tb, err)
	return c.(*rest.Connector)
}

// convert puts the data of a vector through the converter of an endpoint.
func convert(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error) {
	tb.Helper()
	var endpoint map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &endpoint))
	endpoint["endpoint"], endpoint["HTTPMethods"] = "/v", "POST"
	var in struct{ Data json.RawMessage }
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	c := load(tb, map[string]any{"mapping": []any{endpoint}, "compatibility": compatibility})
	var b telemetry.Batch
	err := rest.Convert(c, rest.Message{ContentType: "application/json", Body: in.Data}, &b)
	return &b, err
}

// downlink fills in the templates of an attribute update. Blanks in a JSON body mean
// nothing.
func downlink(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	var update, data map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &update))
	var in struct {
		Device string
		Data   json.RawMessage
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	require.NoError(tb, json.Unmarshal(in.Data, &data))
	require.Len(tb, data, 1)
	var p telemetry.Point
	for key, x := range data {
		value, err := telemetry.ValueOf(x)
		require.NoError(tb, err)
		p = telemetry.Point{Key: key, Value: value}
		if f, ok := x.(float64); ok && f == float64(int64(f)) {
			p.Value = telemetry.Int(int64(f))
		}
	}
	c := load(tb, map[string]any{"requestsMapping": map[string]any{"attributeUpdates": []any{update}}})
	address, content, err := rest.Outgoing(c, in.Device, p)
	if err != nil {
		return nil, err
	}
	var want struct{ Data string }
	require.NoError(tb, json.Unmarshal(v.Expected, &want))
	var a, b any
	if json.Unmarshal([]byte(want.Data), &a) == nil && json.Unmarshal(content, &b) == nil && assert.ObjectsAreEqual(a, b) {
		content = []byte(want.Data)
	}
	return map[string]string{"url": address, "data": string(content)}, nil
}

// live sends the request of a vector to a server.
func live(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error) {
	tb.Helper()
	t := tb.(*testing.T)
	keys := map[string]any{"compatibility": compatibility}
	var endpoint map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &endpoint))
	if endpoint != nil {
		keys["mapping"] = []any{endpoint}
	}
	host := connectortest.NewHost(t)
	c := load(tb, keys)
	run(t, c, host)
	var in struct {
		Method, Path, ContentType, Body string
		Authorization                   *string
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	req, err := http.NewRequestWithContext(t.Context(), in.Method, "http://"+c.Addrs()[0]+in.Path, strings.NewReader(in.Body))
	require.NoError(tb, err)
	if in.ContentType != "" {
		req.Header.Set("Content-Type", in.ContentType)
	}
	if in.Authorization != nil {
		req.Header.Set("Authorization", *in.Authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(tb, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return map[string]any{"status": resp.StatusCode, "body": string(body), "stored": stored(t, host)}, nil
}

// stored returns what the host has as the vectors show it.
func stored(t *testing.T, host *connectortest.Host) json.RawMessage {
	t.Helper()
	var b telemetry.Batch
	for i, r := range host.Readings(true) {
		if i == 0 {
			b.Device(r.Device.Name, r.Device.Profile)
		}
		r.TS = 0
		if r.Attribute {
			b.AddAttribute(r.Point)
		} else {
			b.AddTelemetry(r.Point)
		}
	}
	return convertertest.Messages(&b)
}
