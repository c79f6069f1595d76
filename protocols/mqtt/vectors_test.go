package mqtt_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // the vectors were made there
	os.Exit(m.Run())
}

func vectorFiles(t *testing.T, folder string) []string {
	t.Helper()
	dir := os.Getenv("GATEWAY_VECTORS")
	if dir == "" {
		dir = filepath.Join("testdata", "vectors")
	}
	files, err := filepath.Glob(filepath.Join(dir, folder, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// A message is what a converter says about one device.
type message struct {
	DeviceName string
	DeviceType *string
	Attributes map[string]json.RawMessage
	Telemetry  []struct {
		TS     json.RawMessage
		Values map[string]json.RawMessage
	}
}

type uplinkVector struct {
	Name      string
	Converter string
	Config    json.RawMessage
	Input     struct {
		Topic      string
		Payload    *string
		PayloadHex string
	}
	NowMs       int64
	Expected    json.RawMessage
	Quirk       string
	Recommended string
}

// better holds what is recommended where the reference misbehaves, by the name
// of the file. An empty text means that the message is refused.
var better = map[string]string{
	"bytes_invalid_utf8":                      `{"deviceName":"D1","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"a":"A"}}]}`,
	"bytes_negative_and_open_slices":          `{"deviceName":"ID","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"tail":"ZZ","mid":"[2:-2]"}}]}`,
	"bytes_single_index_text_mode_fails":      `{"deviceName":"D1","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"one":"B","two":"A"}}]}`,
	"bytes_topic_name_source_ignored":         `{"deviceName":"77","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"a":"Z"}}]}`,
	"bytes_type_key_is_ignored":               `{"deviceName":"D1","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"n":42}}]}`,
	"json_hyphen_and_digit_keys":              `{"deviceName":"Dev","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"a":1.0,"b":2.0,"c":3.0,"d":4.0,"e":4.0}}]}`,
	"json_message_name_missing":               ``,
	"json_partially_missing_template":         `[]`,
	"json_tsfield_first_wins":                 `{"deviceName":"Dev","deviceType":"default","telemetry":[{"ts":1704067200000,"values":{"a":1.0}},{"ts":1717200000000,"values":{"b":2.0}}]}`,
	"json_tsfield_nested_last_segment_search": `{"deviceName":"Dev","deviceType":"default","telemetry":[{"ts":1735689600000,"values":{"a":9.0}}]}`,
	"json_tsfield_numeric_ignored":            `{"deviceName":"Dev","deviceType":"default","telemetry":[{"ts":1699999990000,"values":{"a":4.0}}]}`,
	"json_useeval":                            `{"deviceName":"Dev","deviceType":"default","telemetry":[{"ts":1700000000000,"values":{"f":68.9,"i":21}}]}`,
}

func TestVectors(t *testing.T) {
	ran, skipped := 0, 0
	for _, file := range vectorFiles(t, "mqtt") {
		name := filepath.Base(file[:len(file)-len(".json")])
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			var v uplinkVector
			require.NoError(t, json.Unmarshal(raw, &v))
			expected := v.Expected
			if b, ok := better[name]; ok {
				expected = json.RawMessage(b)
			} else if v.Quirk != "" {
				skipped++
				t.Skipf("skipped: a quirk whose better behaviour is not recorded here: %s", v.Quirk)
			}
			ran++
			runVector(t, v, expected)
		})
	}
	fmt.Printf("mqtt vectors: %d run, %d skipped\n", ran, skipped)
}

func runVector(t *testing.T, v uplinkVector, expected json.RawMessage) {
	t.Helper()
	c := load(t, `{"broker":{"host":"localhost"},"mapping":[`+string(v.Config)+`]}`)
	payload, err := hex.DecodeString(v.Input.PayloadHex)
	require.NoError(t, err)
	if v.Input.Payload != nil {
		payload = []byte(*v.Input.Payload)
	}
	var b telemetry.Batch
	err = mqtt.ConverterOf(c, 0).ConvertUplink(mqtt.Message{Topic: v.Input.Topic, Payload: payload}, &b)
	if len(expected) == 0 {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	require.Equal(t, expectedPoints(t, expected, v.NowMs), batchPoints(&b, v.NowMs))
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

func expectedPoints(t *testing.T, raw json.RawMessage, now int64) map[point]bool {
	t.Helper()
	var messages []message
	if !bytes.HasPrefix(raw, []byte("[")) {
		raw = append(append([]byte("["), raw...), ']')
	}
	require.NoError(t, json.Unmarshal(raw, &messages))
	points := make(map[point]bool)
	for _, m := range messages {
		profile := ""
		if m.DeviceType != nil {
			profile = *m.DeviceType
		}
		for key, value := range m.Attributes {
			v := jsonValue(t, value)
			points[point{m.DeviceName, profile, true, 0, key, v.Kind(), v.String()}] = true
		}
		for _, entry := range m.Telemetry {
			ts := now
			if !bytes.Contains(entry.TS, []byte("NOW")) {
				require.NoError(t, json.Unmarshal(entry.TS, &ts))
			}
			for key, value := range entry.Values {
				v := jsonValue(t, value)
				points[point{m.DeviceName, profile, false, ts, key, v.Kind(), v.String()}] = true
			}
		}
	}
	return points
}

// jsonValue reads a value of which the text tells integers and floats apart.
func jsonValue(t *testing.T, raw json.RawMessage) telemetry.Value {
	t.Helper()
	if len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') {
		var compact bytes.Buffer
		require.NoError(t, json.Compact(&compact, raw))
		v, err := telemetry.JSON(compact.Bytes())
		require.NoError(t, err)
		return v
	}
	var x any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	require.NoError(t, d.Decode(&x))
	v, err := telemetry.ValueOf(x)
	require.NoError(t, err)
	return v
}
