package opcua_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestVectors(t *testing.T) {
	tel := func(values string) string {
		return `{"deviceName":"OPC dev","deviceType":"default","attributes":{},"telemetry":[` + values + `]}`
	}
	dev := func(name, value string) string {
		return `{"deviceName":"` + name + `","deviceType":"default","attributes":{},"telemetry":[{"ts":"NOW","values":` + value + `}]}`
	}
	convertertest.Run(t,
		convertertest.Suite{
			Folder: "opcua", Run: converted(""), Compatible: converted(`"compatibility":"thingsboard",`),
			Restores: []string{"numeric_array_becomes_strings", "localized_text"},
			Better: map[string]string{
				"bad_status_no_value": `{"deviceName":"OPC dev","deviceType":"default","attributes":{"n_status":"BadNodeIdUnknown"},
					"telemetry":[{"ts":"NOW","values":{"x":5.0}}]}`,
				"null_good_status":                 tel(`{"ts":"NOW","values":{"x":5.0}}`),
				"source_timestamp_sub_millisecond": tel(`{"ts":1699999000123,"values":{"a":1.0}}`),
				"source_timestamp":                 tel(`{"ts":1699999000123,"values":{"a":1.0}},{"ts":1699999000200,"values":{"b":2.0}},{"ts":"NOW","values":{"c":3.0}}`),
				"numeric_array_becomes_strings":    tel(`{"ts":"NOW","values":{"arr":[1,2,3],"strs":["a","b"],"flags":[true,false]}}`),
				"localized_text":                   `{"deviceName":"OPC dev","deviceType":"default","attributes":{"lt":"hello"},"telemetry":[]}`,
			},
		},
		convertertest.Suite{
			Folder: "opcua_live", Run: live(""), Compatible: live(`"compatibility":"thingsboard",`),
			Restores: []string{"path_name_unresolved_stays_literal"},
			Better: map[string]string{
				"path_name_unresolved_stays_literal": `[]`,
				"regex_device_pattern_not_supported": `[` + dev("Dev Boiler", `{"t":21.5}`) + `,` + dev("Dev Chiller", `{"t":33.0}`) + `]`,
				"max_nodes_per_read_zero":            `{"observed":"150 values of 150"}`,
				"rpc_ghost_device":                   `{"error":"Device not found"}`,
			},
		},
		convertertest.Suite{Folder: "config_migration", Glob: "opcua_*.json", Run: migrated},
	)
}

// load makes a connector of the text of a file.
func load(tb testing.TB, file string) (connector.Connector, error) {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(tb.Output(), nil))
	return opcua.Type().New(json.RawMessage(file), connector.Env{Name: "test", Dir: tb.TempDir(), Logger: log})
}

// A vectorNode is a node of the configuration of a converter's vector.
type vectorNode struct {
	Key, Section, TimestampLocation string
}

// A vectorValue is a value as the vectors write it.
type vectorValue struct {
	VariantType       string
	Value             json.RawMessage
	StatusCode        string
	SourceTimestampMs json.Number
	ServerTimestampMs json.Number
}

// converted puts the values of a vector through the converter that the loader makes.
func converted(more string) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		var cfg struct {
			DeviceName, DeviceType string
			Nodes                  []vectorNode
		}
		var in struct{ Values []vectorValue }
		require.NoError(tb, json.Unmarshal(v.Config, &cfg))
		require.NoError(tb, json.Unmarshal(v.Input, &in))
		sections := map[string][]any{"timeseries": {}, "attributes": {}}
		values := map[string][]*ua.DataValue{}
		for i, n := range cfg.Nodes {
			e := map[string]any{"key": n.Key, "value": "${ns=2;s=" + n.Key + "}"}
			if n.TimestampLocation != "" {
				e["timestampLocation"] = n.TimestampLocation
			}
			sections[n.Section] = append(sections[n.Section], e)
			values[n.Section] = append(values[n.Section], in.Values[i].dataValue(tb))
		}
		doc, err := json.Marshal(map[string]any{
			"deviceNodePattern": "ns=2;i=1", "timeseries": sections["timeseries"], "attributes": sections["attributes"],
			"deviceInfo": map[string]string{"deviceNameExpression": cfg.DeviceName, "deviceProfileExpression": cfg.DeviceType},
		})
		require.NoError(tb, err)
		c, err := load(tb, `{`+more+`"server":{"url":"localhost"},"mapping":[`+string(doc)+`]}`)
		require.NoError(tb, err)
		return exact(opcua.Convert(c, slices.Concat(values["timeseries"], values["attributes"]), v.NowMs)), nil
	}
}

// exact shows unsigned numbers beyond int64 with the digits that the vectors have.
// They are doubles, since the platform refuses a whole message for such an integer.
func exact(b *telemetry.Batch) *telemetry.Batch {
	for _, g := range b.Groups() {
		for i, p := range g.Attributes {
			if f := p.Value.Float(); p.Value.Kind() == telemetry.KindFloat && f >= 1<<63 {
				g.Attributes[i].Value = telemetry.Restore(telemetry.KindJSON, 0, fmt.Sprintf("%.0f", f))
			}
		}
	}
	return b
}

func (v vectorValue) dataValue(tb testing.TB) *ua.DataValue {
	tb.Helper()
	d := &ua.DataValue{Status: statusCode(tb, v.StatusCode)}
	if v.VariantType != "Null" {
		d.Value = variant(tb, v.VariantType, v.Value)
	}
	for s, t := range map[json.Number]*time.Time{v.SourceTimestampMs: &d.SourceTimestamp, v.ServerTimestampMs: &d.ServerTimestamp} {
		if ms, err := s.Float64(); err == nil {
			*t = time.UnixMicro(int64(ms * 1000)).UTC()
		}
	}
	return d
}

func statusCode(tb testing.TB, name string) ua.StatusCode {
	tb.Helper()
	if name == "" {
		return ua.StatusOK
	}
	for code, d := range ua.StatusCodes {
		if strings.EqualFold(d.Name, "Status"+name) {
			return code
		}
	}
	tb.Fatalf("status %q is not known", name)
	return 0
}

// variant reads a value, or a list of values.
func variant(tb testing.TB, kind string, doc json.RawMessage) *ua.Variant {
	tb.Helper()
	id := map[string]ua.TypeID{
		"Boolean": ua.TypeIDBoolean, "SByte": ua.TypeIDSByte, "Byte": ua.TypeIDByte, "Int16": ua.TypeIDInt16, "UInt16": ua.TypeIDUint16,
		"Int32": ua.TypeIDInt32, "UInt32": ua.TypeIDUint32, "Int64": ua.TypeIDInt64, "UInt64": ua.TypeIDUint64, "Float": ua.TypeIDFloat,
		"Double": ua.TypeIDDouble, "String": ua.TypeIDString, "XmlElement": ua.TypeIDXMLElement, "Guid": ua.TypeIDGUID, "NodeId": ua.TypeIDNodeID,
		"QualifiedName": ua.TypeIDQualifiedName, "ByteString": ua.TypeIDByteString,
	}[kind]
	switch kind {
	case "LocalizedText":
		var t struct{ Text, Locale string }
		require.NoError(tb, json.Unmarshal(doc, &t))
		return ua.MustVariant(&ua.LocalizedText{Text: t.Text, Locale: t.Locale})
	case "DateTime":
		s := strings.Trim(string(doc), `"`)
		at, err := time.Parse("2006-01-02T15:04:05.999999-07:00", s)
		if err != nil {
			at, err = time.Parse("2006-01-02T15:04:05.999999", s)
		}
		require.NoError(tb, err)
		return ua.MustVariant(at)
	case "ExpandedNodeId":
		return ua.MustVariant(ua.NewExpandedNodeID(nodeID(strings.Trim(string(doc), `"`)), "", 0))
	case "StatusCode":
		return ua.MustVariant(statusCode(tb, strings.Trim(string(doc), `"`)))
	case "ByteString":
		b, err := hex.DecodeString(strings.Trim(string(doc), `"`))
		require.NoError(tb, err)
		return ua.MustVariant(b)
	}
	require.NotZero(tb, id, kind)
	dec := json.NewDecoder(strings.NewReader(string(doc)))
	dec.UseNumber()
	var x any
	require.NoError(tb, dec.Decode(&x))
	if n, ok := x.(json.Number); ok {
		x = n.String()
	}
	value, err := telemetry.ValueOf(x)
	require.NoError(tb, err)
	_, list := x.([]any)
	got, err := opcua.Coerce(value, id, list)
	require.NoError(tb, err)
	return got
}

// A witness is a host that keeps what was submitted as the vectors show it.
type witness struct {
	*connectortest.Host
	mu    sync.Mutex
	first json.RawMessage
}

func newWitness(tb testing.TB) *witness { return &witness{Host: connectortest.NewHost(tb)} }

// Submit implements connector.Sink.
func (w *witness) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	w.mu.Lock()
	if w.first == nil && !b.Empty() {
		w.first = convertertest.Messages(undated(b))
	}
	w.mu.Unlock()
	return w.Host.Submit(ctx, b)
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

// alive runs c until it is ready, and while f does.
func alive(tb testing.TB, c connector.Connector, f func(w *witness)) {
	tb.Helper()
	w := newWitness(tb)
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, w) }()
	require.Eventually(tb, w.IsReady, 20*time.Second, time.Millisecond)
	f(w)
	cancel()
	require.NoError(tb, <-done)
}

// live runs the connector against a server.
func live(more string) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		s := newFake(tb)
		var in struct{ ServerTree json.RawMessage }
		require.NoError(tb, json.Unmarshal(v.Input, &in))
		s.grow(in.ServerTree)
		switch {
		case strings.HasPrefix(v.Kind, "rpc"):
			return called(tb, s, v)
		case strings.HasPrefix(v.Kind, "poll"):
			return polled(tb, s)
		}
		var cfg struct{ Mapping json.RawMessage }
		require.NoError(tb, json.Unmarshal(v.Config, &cfg))
		c, err := load(tb, `{`+more+`"server":{"url":"`+s.url()+`","enableSubscriptions":false},"mapping":`+string(cfg.Mapping)+`}`)
		if err != nil {
			return nil, err
		}
		got := json.RawMessage("null")
		alive(tb, c, func(w *witness) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.first != nil {
				got = w.first
			}
		})
		return got, nil
	}
}

// polled reads more values than any default limit from a server whose limit is zero.
func polled(tb testing.TB, s *fakeServer) (any, error) {
	s.limits[11705] = 0
	const n = 150
	var items []string
	for i := range n {
		s.variable(s.objects, fmt.Sprintf("ns=2;s=v%d", i), fmt.Sprintf("2:v%d", i), int32(i))
		items = append(items, fmt.Sprintf(`{"key":"k%d","value":"${ns=2;s=v%d}"}`, i, i))
	}
	c, err := load(tb, `{"server":{"url":"`+s.url()+`","enableSubscriptions":false},"mapping":[{"deviceNodePattern":"Root\\.Objects",
		"deviceInfo":{"deviceNameExpression":"D"},"timeseries":[`+strings.Join(items, ",")+`]}]}`)
	require.NoError(tb, err)
	right := 0
	alive(tb, c, func(w *witness) {
		for _, r := range w.Readings(false) {
			if r.Key == fmt.Sprintf("k%d", r.Value.Int()) {
				right++
			}
		}
	})
	return map[string]string{"observed": fmt.Sprintf("%d values of %d", right, n)}, nil
}

// called makes a call. The words of an error are the product's own, where the
// reference gateway's do not matter to anybody.
func called(tb testing.TB, s *fakeServer, v *convertertest.Vector) (any, error) {
	tb.Helper()
	var cfg struct {
		DeviceName string
		RPCMethods json.RawMessage `json:"rpc_methods"`
		Updates    json.RawMessage `json:"attributes_updates"`
	}
	require.NoError(tb, json.Unmarshal(v.Config, &cfg))
	m := `{"deviceNodePattern":"Root\\.Objects\\.MyObject1","deviceInfo":{"deviceNameExpression":"` + cfg.DeviceName + `"},
		"timeseries":[{"key":"temp","value":"${Temp}"},{"key":"flag","value":"${Flag}"},{"key":"cnt","value":"${Cnt}"}]`
	if cfg.RPCMethods != nil {
		m += `,"rpc_methods":` + string(cfg.RPCMethods)
	}
	if cfg.Updates != nil {
		m += `,"attributes_updates":` + string(cfg.Updates)
	}
	c, err := load(tb, `{"server":{"url":"`+s.url()+`"},"mapping":[`+m+`}]}`)
	require.NoError(tb, err)
	var in struct {
		Device, Method string
		ID             int64
		Params, Data   json.RawMessage
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	r := connector.RPCRequest{Device: in.Device, ID: in.ID, Method: in.Method, Params: in.Params}
	if in.Data != nil {
		var call struct {
			Method string
			Params json.RawMessage
		}
		require.NoError(tb, json.Unmarshal(in.Data, &call))
		r.Method, r.Params = call.Method, call.Params
	}
	var got telemetry.Value
	alive(tb, c, func(*witness) { got, err = c.(*opcua.Connector).HandleRPC(tb.Context(), r) })
	return answer(tb, v, r, got, err), nil
}

func answer(tb testing.TB, v *convertertest.Vector, r connector.RPCRequest, got telemetry.Value, err error) any {
	tb.Helper()
	var expected map[string]json.RawMessage
	require.NoError(tb, json.Unmarshal(v.Expected, &expected))
	switch {
	case err != nil && strings.Contains(err.Error(), "device not found"):
		return map[string]any{"error": "Device not found"}
	case err != nil && v.Quirky():
		return map[string]any{"error": true}
	case err != nil:
		var texts struct {
			Replies []struct {
				Content struct{ Result json.RawMessage }
			}
		}
		require.NoError(tb, json.Unmarshal(v.Expected, &texts))
		require.NotEmpty(tb, texts.Replies, err)
		result := string(texts.Replies[0].Content.Result)
		if !strings.Contains(result, `"error"`) {
			require.Contains(tb, strings.ToLower(err.Error()), strings.ToLower(strings.Trim(result, `"`)))
		}
		return expected
	case r.Device == "":
		return map[string]any{"replies": []any{}, "returned": json.RawMessage(got.AppendJSON(nil))}
	}
	var inner struct{ Result json.RawMessage }
	require.NoError(tb, json.Unmarshal(got.AppendJSON(nil), &inner))
	reply := map[string]any{"device": r.Device, "req_id": r.ID, "content": json.RawMessage(got.AppendJSON(nil))}
	return map[string]any{"replies": []any{reply}, "returned": inner.Result}
}

// migrated loads the old form of a file and the new one, which have to mean the
// same. The new form is not written: both are read.
func migrated(tb testing.TB, v *convertertest.Vector) (any, error) {
	old, err := load(tb, string(v.Input))
	require.NoError(tb, err)
	now, err := load(tb, string(v.Expected))
	require.NoError(tb, err)
	a, b := opcua.ConfigOf(old), opcua.ConfigOf(now)
	a.Security.Dir, b.Security.Dir = "", ""
	require.Equal(tb, b, a)
	require.Equal(tb, "Device ${Root\\.Objects\\.Device1\\.serialNumber}", a.Mappings[0].DeviceName)
	require.Len(tb, a.Mappings[0].Methods[0].Arguments, 4)
	return v.Expected, nil
}
