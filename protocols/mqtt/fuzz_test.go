package mqtt_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func FuzzMatch(f *testing.F) {
	for _, filter := range []string{"a/#", "+/b", "#", "$share/g/a/+", "a//b", "$SYS/#", "+"} {
		f.Add(filter, "a/b")
	}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if mqtt.CheckFilter(filter) != nil {
			mqtt.Match(filter, topic)
			return
		}
		got := mqtt.Match(filter, topic)
		if !strings.ContainsAny(topic, "+#") && topic != "" && mqtt.Covers(filter, topic) != got && !strings.HasPrefix(filter, "$share/") && !strings.HasPrefix(topic, "$share/") {
			t.Fatalf("%q matches %q: %v, covers: %v", filter, topic, got, !got)
		}
		if !mqtt.Covers(filter, filter) {
			t.Fatalf("%q does not cover itself", filter)
		}
	})
}

// checkBatch fails if a batch holds what no gateway can store.
func checkBatch(t *testing.T, b *telemetry.Batch) {
	t.Helper()
	for _, g := range b.Groups() {
		if g.Device.Name == "" {
			t.Fatal("a device without a name")
		}
		for _, p := range append(g.Telemetry, g.Attributes...) {
			if p.Key == "" || p.Value.Kind() == telemetry.KindNone {
				t.Fatalf("point %q of kind %d", p.Key, p.Value.Kind())
			}
			if p.Value.Kind() == telemetry.KindJSON && !json.Valid([]byte(p.Value.String())) {
				t.Fatalf("%q is not JSON", p.Value.String())
			}
		}
	}
}

func FuzzJSON(f *testing.F) {
	c, err := mqtt.NewJSON(mqtt.JSONConfig{
		Device:        mqtt.DeviceInfo{Name: key("D ${id}"), Profile: mqtt.Expression{Source: mqtt.FromTopic, Text: "(?<=/)[^/]*"}},
		AllAttributes: true, AllTimeseries: true, Evaluate: true,
		Timeseries: []mqtt.Datapoint{
			{Key: key("${k}"), Type: "integer", Value: "${a.b[0]}+1"},
			{Key: key("j"), Type: "json", Value: "${$..c}", TimeField: "at"},
			{Key: key("t"), Type: "bool", Value: "${s}", TimeField: "${m.at}", DayFirst: true},
		},
	})
	require.NoError(f, err)
	for _, payload := range []string{
		payload300, `[{"id":1},{"id":"x","k":"a","a":{"b":["2"]}},5]`, `{"id":"\ud800","ts":1e400,"s":"on"}`, `{"ts":1,"values":{"a":[{}]},"id":null}`, "{\"id\":\"\xff\"}",
		`{"id":1,"at":"2024-01-02","m":{"at":-1.5}}`,
	} {
		f.Add("a/b", []byte(payload))
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		var b telemetry.Batch
		if c.ConvertUplink(mqtt.Message{Topic: topic, Payload: payload}, &b) == nil {
			checkBatch(t, &b)
		}
	})
}

// What encoding/json takes for an object is converted.
func FuzzJSONAcceptsWhatIsJSON(f *testing.F) {
	c, err := mqtt.NewJSON(mqtt.JSONConfig{Device: mqtt.DeviceInfo{Name: constant("D")}, AllTimeseries: true})
	require.NoError(f, err)
	f.Add([]byte(payload300))
	f.Add([]byte(`{"a":"\u0000\\","b":[[[]]],"":1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var object map[string]any
		if json.Unmarshal(payload, &object) != nil || object == nil || strings.Count(string(payload), "[")+strings.Count(string(payload), "{") > 100 {
			return // not an object, or perhaps deeper than the parser goes
		}
		var b telemetry.Batch
		if err := c.ConvertUplink(mqtt.Message{Payload: payload}, &b); err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
	})
}

func FuzzBytes(f *testing.F) {
	c, err := mqtt.NewBytes(mqtt.BytesConfig{
		Device:     mqtt.DeviceInfo{Name: key("[0:2]x"), Profile: key("[-1:]")},
		Attributes: []mqtt.Datapoint{{Key: key("k[0]"), Value: "[1:3]", Type: "double"}, {Key: key("h"), Value: "[:]", HexMode: true}},
		Timeseries: []mqtt.Datapoint{{Key: key("u"), Value: "[2:]", Decode: "uint"}, {Key: key("i"), Value: "[-3:]", Decode: "int", LittleEndian: true}, {Key: key("f"), Value: "[0:4]", Decode: "float"}},
	})
	require.NoError(f, err)
	for _, payload := range []string{"", "AM1223.5", "\xff\x00\x10\xab", "12345678901234567890"} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var b telemetry.Batch
		if c.ConvertUplink(mqtt.Message{Topic: "x", Payload: payload}, &b) == nil {
			checkBatch(t, &b)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(benchmarkConfig)
	f.Add(`{"broker":{"host":"h","security":{"username":"u"}},"dataMapping":[{"topicFilter":"a","converter":{"type":"bytes","deviceInfo":{"deviceNameExpression":"[0:2]"},"timeseries":[{"key":"k","value":"[2:]","decode":"int","byteOrder":"little"}]}}]}`)
	f.Add(`{"broker":{"host":"h"},"requestsMapping":{"connectRequests":[{"topicFilter":"c","deviceInfo":{"deviceNameExpression":"x"}}],"serverSideRpc":[{}],"attributeUpdates":[null]}}`)
	log := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, config string) {
		if strings.Contains(config, "athTo") || strings.Contains(config, "ert") && strings.Contains(config, "ecurity") {
			return // do not read files
		}
		c, err := mqtt.Type().New(json.RawMessage(config), connector.Env{Name: "fuzz", Logger: log})
		if err != nil {
			return
		}
		cfg := mqtt.ConfigOf(c)
		for i := range cfg.Mappings {
			var b telemetry.Batch
			if mqtt.ConverterOf(c, i).ConvertUplink(mqtt.Message{Topic: "a/b", Payload: []byte(`{"a":1}`)}, &b) == nil {
				checkBatch(t, &b)
			}
		}
	})
}
