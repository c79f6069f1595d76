package mqtt_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The file has every key of the format, as the reference gateway's own example has
// most of them.
func TestAFileWithEveryKeyLoads(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "mqtt.json"))
	require.NoError(t, err)
	var given json.RawMessage
	c, log, err := loadLogged(t, string(raw), mqtt.WithConverterFunc("CustomMqttUplinkConverter", func(config json.RawMessage) (mqtt.UplinkConverter, error) {
		given = config
		return nothing, nil
	}))
	require.NoError(t, err)
	require.JSONEq(t, `{"temperature":2,"humidity":2,"batteryLevel":1}`, string(given))
	cfg := mqtt.ConfigOf(c)
	require.Len(t, cfg.Mappings, 7)
	require.Len(t, cfg.Connects, 2)
	require.Len(t, cfg.Disconnects, 2)
	require.Len(t, cfg.AttributeRequests, 3)
	require.Len(t, cfg.AttributeUpdates, 2)
	require.Len(t, cfg.RPCs, 3)
	require.Equal(t, 1, log.count("level=WARN"), "no key is without a meaning")
	require.Equal(t, 1, log.count("do not apply", `keys="[broker.maxMessageNumberPerWorker broker.maxMessageQueue broker.maxNumberOfWorkers`+
		` broker.maxProcessingMessageQueue mapping[].converter.cached mapping[].converter.timeout]"`))
	require.Contains(t, points(t, mqtt.ConverterOf(c, 0), "sensor/data", `{"serialNumber":"SN-1","sensorType":"probe","temp":20.5}`),
		point{device: "SN-1", profile: "probe", ts: 1, key: "temperature", kind: telemetry.KindFloat, value: "20.5"})
}

func TestSendDataOnlyOnChangeIsAReportStrategy(t *testing.T) {
	const period = `"reportStrategy":{"type":"ON_REPORT_PERIOD","reportPeriod":500}`
	for name, c := range map[string]struct {
		top, mapping, converter, device, key string
		want                                 *telemetry.ReportPolicy
	}{
		"nowhere":             {},
		"of the connector":    {top: `"sendDataOnlyOnChange":true`, want: &telemetry.ReportPolicy{Mode: telemetry.OnChange}},
		"false":               {top: `"sendDataOnlyOnChange":false`},
		"of the converter":    {converter: `"sendDataOnlyOnChange":true`, want: &telemetry.ReportPolicy{Mode: telemetry.OnChange}},
		"a strategy beside":   {top: `"sendDataOnlyOnChange":true,` + period},
		"a strategy below":    {top: `"sendDataOnlyOnChange":true`, mapping: period, want: &telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 500 * time.Millisecond}},
		"of the device":       {mapping: `"sendDataOnlyOnChange":true`, device: period, want: &telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 500 * time.Millisecond}},
		"of the key":          {device: period, key: `"reportStrategy":{"type":"ON_RECEIVED"}`, want: &telemetry.ReportPolicy{Mode: telemetry.OnReceived, Period: 10 * time.Second}},
		"strategy, same item": {converter: `"sendDataOnlyOnChange":true,` + period, want: &telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: 500 * time.Millisecond}},
	} {
		member := func(s string) string {
			if s == "" {
				return ""
			}
			return "," + s
		}
		file := `{"broker":{"host":"h"}` + member(c.top) + `,"mapping":[{"topicFilter":"a"` + member(c.mapping) + `,"converter":{"type":"json"` + member(c.converter) +
			`,"deviceInfo":{"deviceNameExpression":"x"` + member(c.device) + `},"timeseries":[{"key":"k","value":"1"` + member(c.key) + `}]}}]}`
		conn, _, err := loadLogged(t, file)
		require.NoError(t, err, name)
		var b telemetry.Batch
		require.NoError(t, mqtt.ConverterOf(conn, 0).ConvertUplink(mqtt.Message{Payload: []byte("{}")}, &b))
		require.Equal(t, c.want, b.Groups()[0].Telemetry[0].Report, name)
	}
}

// The broker sees the protocol level of CONNECT (MQTT 5.0, 3.1.2.2), which follows
// the name of the protocol.
func TestTheConfiguredVersionIsSpoken(t *testing.T) {
	for version, level := range map[string]byte{"4": 4, "5": 5} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		done := make(chan []byte, 1)
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			first := make([]byte, 12)
			n, _ := conn.Read(first)
			_ = conn.Close()
			done <- first[:n]
		}()
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		c := load(t, `{"broker":{"host":"127.0.0.1","port":`+port+`,"version":`+version+`}}`)
		require.Error(t, c.Run(t.Context(), connectortest.NewHost(t)))
		_, after, found := bytes.Cut(<-done, []byte("MQTT"))
		require.True(t, found)
		require.NotEmpty(t, after)
		require.Equal(t, level, after[0])
		require.NoError(t, l.Close())
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]byte{"": 5, `,"version":3`: 4, `,"version":4`: 4, `,"version":5`: 5, `,"version":"5"`: 5, `,"version":9`: 5} {
		c, _, err := loadLogged(t, `{"broker":{"host":"h"`+version+`}}`)
		require.NoError(t, err)
		require.Equal(t, want, mqtt.ConfigOf(c).Version, version)
	}
}

func TestSharedConverters(t *testing.T) {
	made := 0
	counting := mqtt.WithConverterFunc("Mine", func(json.RawMessage) (mqtt.UplinkConverter, error) { made++; return nothing, nil })
	mapping := func(keys string) string {
		return `{"topicFilter":"a","converter":{"type":"custom","extension":"Mine"` + keys + `}}`
	}
	_, _, err := loadLogged(t, `{"broker":{"host":"h"},"mapping":[`+mapping("")+`,`+mapping("")+`]}`, counting)
	require.NoError(t, err)
	require.Equal(t, 2, made)
	made = 0
	_, _, err = loadLogged(t, `{"broker":{"host":"h"},"mapping":[`+mapping(`,"sharedGlobal":true`)+`,`+mapping(`,"sharedGlobal":true`)+`,`+
		mapping(`,"sharedId":"x"`)+`,`+mapping(`,"sharedId":"x"`)+`,`+mapping(`,"sharedId":"y"`)+`]}`, counting)
	require.NoError(t, err)
	require.Equal(t, 3, made)
}

func TestAnUnknownCompatibilityIsAnError(t *testing.T) {
	_, _, err := loadLogged(t, `{"broker":{"host":"h"},"compatibility":"python"}`)
	require.ErrorContains(t, err, `compatibility: "python" is not one of thingsboard`)
}

// The figures are what Python 3 prints.
func TestTextsOfTheReferenceArePythons(t *testing.T) {
	c := load(t, `{"broker":{"host":"h"},"compatibility":"thingsboard","mapping":[{"topicFilter":"a","converter":{"type":"json",
	 "deviceInfo":{"deviceNameExpressionSource":"constant","deviceNameExpression":"D"},"timeseries":[{"key":"v","type":"string","value":"${v}"}]}}]}`)
	for value, want := range map[string]string{
		`true`: "True", `{"a":1,"b":[null,false,2.50]}`: "{'a': 1, 'b': [None, False, 2.5]}", `["it's"]`: `["it's"]`,
		`["a\"'b"]`: `['a"\'b']`, `["\n\u0001\u00e9\u2028\\"]`: `['\n\x01é\u2028\\']`, `"plain"`: "plain", `[]`: "[]", `{}`: "{}", `12`: "12", `1e3`: "1000.0",
	} {
		require.Contains(t, points(t, mqtt.ConverterOf(c, 0), "a", `{"v":`+value+`}`), pt("D", "v", 1, telemetry.String(want)))
	}
}
