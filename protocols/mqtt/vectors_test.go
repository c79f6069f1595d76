package mqtt_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // the vectors were made there
	os.Exit(m.Run())
}

func TestVectors(t *testing.T) {
	convertertest.Run(t, uplinkVectors(), liveVectors(), migrationVectors(), topicVectors())
}

// uplinkVectors go through the loader and the converter that it makes.
func uplinkVectors() convertertest.Suite {
	const now = `"ts":1700000000000,"values":`
	dev := func(values string) string {
		return `{"deviceName":"Dev","deviceType":"default","attributes":{},"telemetry":[` + values + `]}`
	}
	d1 := func(values string) string {
		return `{"deviceName":"D1","deviceType":"default","attributes":{},"telemetry":[{` + now + values + `}]}`
	}
	return convertertest.Suite{
		Folder: "mqtt",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return convertVector(tb, v, "")
		},
		Compatible: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return convertVector(tb, v, `"compatibility":"ThingsBoard",`)
		},
		Restores: []string{
			"bytes_negative_and_open_slices", "bytes_topic_name_source_ignored", "bytes_type_key_is_ignored",
			"json_message_name_missing", "json_object_value_becomes_python_repr", "json_partially_missing_template",
			"json_tsfield_first_wins", "json_tsfield_nested_last_segment_search", "json_tsfield_numeric_ignored", "json_useeval",
		},
		Better: map[string]string{
			"bytes_negative_and_open_slices":          `{"deviceName":"ID","deviceType":"default","attributes":{},"telemetry":[{` + now + `{"tail":"ZZ","mid":"[2:-2]"}}]}`,
			"bytes_single_index_text_mode_fails":      d1(`{"one":"B","two":"A"}`),
			"bytes_topic_name_source_ignored":         `{"deviceName":"77","deviceType":"default","attributes":{},"telemetry":[{` + now + `{"a":"Z"}}]}`,
			"bytes_type_key_is_ignored":               d1(`{"n":42}`),
			"json_array_same_device_same_ts":          `{"deviceName":"A","deviceType":"default","attributes":{},"telemetry":[{"ts":1000,"values":{"t":1.0}},{"ts":1000,"values":{"t":2.0}}]}`,
			"json_hyphen_and_digit_keys":              dev(`{` + now + `{"a":1.0,"b":2.0,"c":3.0,"d":4.0,"e":4.0}}`),
			"json_message_name_missing":               convertertest.Refused,
			"json_object_value_becomes_python_repr":   dev(`{` + now + `{"o":"{\"x\":1,\"y\":null}","l":"[1,\"a\",true]","b":"false"}}`),
			"json_partially_missing_template":         `[]`,
			"json_tsfield_first_wins":                 dev(`{"ts":1704067200000,"values":{"a":1.0}},{"ts":1717200000000,"values":{"b":2.0}}`),
			"json_tsfield_nested_last_segment_search": dev(`{"ts":1735689600000,"values":{"a":9.0}}`),
			"json_tsfield_numeric_ignored":            dev(`{"ts":1699999990000,"values":{"a":4.0}}`),
			"json_unsupported_chars_in_placeholder":   dev(`{` + now + `{"a":"1","b":"2","c":"3"}}`),
			"json_useeval":                            dev(`{` + now + `{"f":68.9,"i":21}}`),
		},
	}
}

// convertVector converts the message of a vector with a mapping that is loaded of
// a file. What is added to the file is its compatibility.
func convertVector(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error) {
	tb.Helper()
	var in struct {
		Topic, PayloadHex string
		Payload           *string
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	payload, err := hex.DecodeString(in.PayloadHex)
	require.NoError(tb, err)
	if in.Payload != nil {
		payload = []byte(*in.Payload)
	}
	c := load(tb, `{"broker":{"host":"localhost"},`+compatibility+`"mapping":[`+string(v.Config)+`]}`)
	var b telemetry.Batch
	err = mqtt.ConverterOf(c, 0).ConvertUplink(mqtt.Message{Topic: in.Topic, Payload: payload}, &b)
	return &b, err
}

// migrationVectors are configurations in older formats. What they become is
// loaded too.
func migrationVectors() convertertest.Suite {
	return convertertest.Suite{
		Folder: "config_migration",
		Glob:   "mqtt_*.json",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			upgraded := mqtt.Upgrade(v.Input)
			require.Equal(tb, describe(tb, v.Input), describe(tb, upgraded), "the old file and the new one mean the same")
			require.Equal(tb, string(upgraded), string(mqtt.Upgrade(upgraded)), "the present format stays as it is")
			return upgraded, nil
		},
		Better: map[string]string{
			"mqtt_new_format_custom_first_loses_requests": `{"broker":{"host":"h","security":{"type":"anonymous"}},
			 "mapping":[{"topicFilter":"d","converter":{"type":"custom","extension":"X","extensionConfig":{"k":1}}}],
			 "requestsMapping":{"connectRequests":[{"topicFilter":"c","deviceInfo":{"deviceNameExpressionSource":"constant","deviceNameExpression":"D"}}]}}`,
		},
	}
}

// describe loads a file and returns all that it says but the converters.
func describe(tb testing.TB, file json.RawMessage) mqtt.Config {
	tb.Helper()
	made := mqtt.WithConverterFunc("X", func(config json.RawMessage) (mqtt.UplinkConverter, error) {
		require.JSONEq(tb, `{"k":1}`, string(config))
		return nothing, nil
	})
	c, err := mqtt.Type(made).New(file, connector.Env{Name: "test"})
	require.NoError(tb, err)
	cfg := mqtt.ConfigOf(c)
	cfg.ClientID = "" // random
	for i := range cfg.Mappings {
		require.NotNil(tb, cfg.Mappings[i].Converter)
		cfg.Mappings[i].Converter = nil
	}
	return cfg
}

// topicVectors is a table of filters and topics. The reference differs from the
// specification: it takes an empty level for none, and filters that the
// specification forbids for patterns.
func topicVectors() convertertest.Suite {
	return convertertest.Suite{Folder: "expressions", Glob: "topic_filters.json", Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
		tb.Helper()
		var cases []struct {
			Filter, Topic string
			Match         bool
		}
		require.NoError(tb, json.Unmarshal(v.Cases, &cases))
		require.NotEmpty(tb, cases)
		different := map[string]bool{
			"a/+/b on a//b": true, "a/# on a": true, "a/# on a/": true, "+/+ on a/": true, "+/+ on /x": true,
			"# on $SYS/q": false, "+/+ on $SYS/q": false,
		}
		for _, c := range cases {
			if strings.Contains(c.Filter, "a+") {
				require.Error(tb, mqtt.CheckFilter(c.Filter))
				continue
			}
			require.NoError(tb, mqtt.CheckFilter(c.Filter))
			want := c.Match
			if better, ok := different[c.Filter+" on "+c.Topic]; ok {
				want = better
			}
			require.Equal(tb, want, mqtt.Match(c.Filter, c.Topic), "%s on %s", c.Filter, c.Topic)
		}
		return nil, nil
	}}
}

// load makes a connector of the text of a configuration file.
func load(t testing.TB, config string) connector.Connector {
	t.Helper()
	c, err := mqtt.Type().New(json.RawMessage(config), connector.Env{Name: "test", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	return c
}

// A point is a point of a batch with its device, in a comparable form. The kind
// counts, so that 1 and 1.0 differ.
type point struct {
	device, profile string
	attribute       bool
	ts              int64
	key             string
	kind            telemetry.Kind
	value           string
}

func batchPoints(b *telemetry.Batch, now int64) map[point]bool {
	points := make(map[point]bool)
	for _, g := range b.Groups() {
		for _, p := range g.Attributes {
			points[point{g.Device.Name, g.Device.Profile, true, 0, p.Key, p.Value.Kind(), p.Value.String()}] = true
		}
		for _, p := range g.Telemetry {
			if p.TS == 0 {
				p.TS = now
			}
			points[point{g.Device.Name, g.Device.Profile, false, p.TS, p.Key, p.Value.Kind(), p.Value.String()}] = true
		}
	}
	return points
}

// jsonValue reads a value of which the text tells integers and floats apart.
func jsonValue(t testing.TB, raw json.RawMessage) telemetry.Value {
	t.Helper()
	var x any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	require.NoError(t, d.Decode(&x))
	v, err := telemetry.ValueOf(x)
	require.NoError(t, err)
	return v
}
