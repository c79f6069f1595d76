package mqtt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// scanned is a configuration that needs no message to be parsed.
func scanned() mqtt.JSONConfig {
	return mqtt.JSONConfig{
		Device:     mqtt.DeviceInfo{Name: key("D ${id}"), Profile: mqtt.Expression{Source: mqtt.FromTopic, Text: "(?<=/)[^/]*"}},
		Attributes: []mqtt.Datapoint{{Key: key("fw"), Type: "string", Value: "${fw}"}, {Key: key("k ${k}"), Value: "${o}"}},
		Timeseries: []mqtt.Datapoint{
			{Key: key("t"), Type: "double", Value: "${t}"},
			{Key: key("n"), Type: "long", Value: "${o.n}"},
			{Key: key("on"), Type: "bool", Value: "${on}"},
			{Key: key("both"), Value: "${t}/${o.n}", TimeField: "${m.at}", DayFirst: true},
			{Key: key("auto"), Value: "${o.n}", TimeField: "at"},
		},
	}
}

func scannedMessages() []string {
	return []string{
		`{"id":1,"fw":"1.4","t":21.5,"on":true,"o":{"n":5},"ts":7}`, `{"id":"\u00e9","k":null,"o":{"n":1e3},"m":{"at":"03.04.2024"},"at":1700000000}`,
		`{"id":"x","x":{"at":5},"t":"20","o":5}`, `{"id":"x","at":"soon","ts":"now","o":{"n":{}}}`, `{"id":"x","o.n":3,"o":{"n":4},"o":{"n":5}}`,
		`{"id":"x","t":nan,"o":{"n":01}}`, "{\"id\":\"x\ty\",\"t\":1}", `{"id":"x","\u0074":1}`, `[{"id":1,"t":2},{"id":2}]`, `{"id":"x","t":1`, `{"id":"x","t":1,"at":1700000000,"m":{"at":5},"ts":"now"}`, `{"t":1}`, ``, `5`,
		"{\"id\":\"x\xff\",\"t\":1}", `{"id":"x","t":-0,"timestamp":1.5}`, payload300,
	}
}

// compareScanned fails unless a message becomes the same whether it is parsed or
// not.
func compareScanned(t *testing.T, scans, parses mqtt.UplinkConverter, topic, payload string) {
	t.Helper()
	var got, want telemetry.Batch
	m := mqtt.Message{Topic: topic, Payload: []byte(payload)}
	err, wantErr := scans.ConvertUplink(m, &got), parses.ConvertUplink(m, &want)
	require.Equal(t, fmt.Sprint(wantErr), fmt.Sprint(err), "%q", payload)
	if err == nil {
		require.Equal(t, fmt.Sprint(want.Groups()), fmt.Sprint(got.Groups()), "%q", payload)
		require.Equal(t, batchPoints(&want, 1), batchPoints(&got, 1), "%q", payload)
	}
	require.Equal(t, valuesOf(parses), valuesOf(scans), "%q", payload)
}

// valuesOf returns what a converter has counted.
func valuesOf(c mqtt.UplinkConverter) mqtt.ValueStats {
	return mqtt.New(mqtt.Config{Broker: "tcp://x", Mappings: []mqtt.Mapping{{Filter: "x", Converter: c}}}).Stats().Values
}

func scannedPair(tb testing.TB) (scans, parses mqtt.UplinkConverter) {
	tb.Helper()
	scans, parses = newJSON(tb, scanned()), newJSON(tb, scanned())
	require.True(tb, mqtt.Scans(scans))
	mqtt.ParseAll(parses)
	return scans, parses
}

func TestMessagesThatAreNotParsedBecomeTheSame(t *testing.T) {
	for _, payload := range scannedMessages() {
		scans, parses := scannedPair(t)
		compareScanned(t, scans, parses, "a/b", payload)
	}
}

func FuzzMessagesThatAreNotParsedBecomeTheSame(f *testing.F) {
	scans, parses := scannedPair(f)
	for _, payload := range scannedMessages() {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		compareScanned(t, scans, parses, "a/b", payload)
	})
}

func TestWhatNeedsTheWholeMessageParsesIt(t *testing.T) {
	require.True(t, mqtt.Scans(sixValues(t)))
	for name, change := range map[string]func(*mqtt.JSONConfig){
		"attributes":  func(c *mqtt.JSONConfig) { c.AllAttributes = true },
		"time series": func(c *mqtt.JSONConfig) { c.AllTimeseries = true },
		"compatible":  func(c *mqtt.JSONConfig) { c.Compatible = true },
		"evaluated":   func(c *mqtt.JSONConfig) { c.Evaluate = true },
		"name":        func(c *mqtt.JSONConfig) { c.Device.Name.Text = "${a[0]}" },
		"key":         func(c *mqtt.JSONConfig) { c.Timeseries[0].Key.Text = "${$..k}" },
		"value":       func(c *mqtt.JSONConfig) { c.Attributes[0].Value = "${a.*}" },
		"time":        func(c *mqtt.JSONConfig) { c.Timeseries[0].TimeField = "a[-1]" },
	} {
		cfg := scanned()
		change(&cfg)
		require.False(t, mqtt.Scans(newJSON(t, cfg)), name)
	}
}
