package mqtt_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// loadLogged makes a connector of a configuration and returns what was logged.
func loadLogged(t *testing.T, config string, opts ...mqtt.TypeOption) (connector.Connector, *logBuffer, error) {
	t.Helper()
	log := &logBuffer{}
	c, err := mqtt.Type(opts...).New(json.RawMessage(config), connector.Env{Name: "meters", Logger: slog.New(slog.NewTextHandler(log, nil))})
	return c, log, err
}

// benchmarkConfig is what the project's benchmark writes.
const benchmarkConfig = `{"name":"MQTT 0","id":"00000000-0000-0000-0000-000000000001",
 "broker":{"host":"127.0.0.1","port":28831,"clientId":"gateway-0","version":5,"maxMessageNumberPerWorker":10,
  "maxNumberOfWorkers":100,"cleanSession":false,"cleanStart":false,"sessionExpiryInterval":3600,"security":{"type":"anonymous"}},
 "mapping":[{"topicFilter":"sensor/+/data","subscriptionQos":1,"converter":{"type":"json","deviceInfo":{
  "deviceNameExpressionSource":"topic","deviceNameExpression":"(?<=sensor/)(.*?)(?=/data)",
  "deviceProfileExpressionSource":"constant","deviceProfileExpression":"default"},
  "timeout":60000,"attributes":[],"timeseries":[{"type":"integer","key":"seq","value":"${seq}"},{"type":"integer","key":"st","value":"${st}"},
  {"type":"double","key":"k0","value":"${k0}"}]}}],"requestsMapping":{}}`

func TestFileOfToday(t *testing.T) {
	c, log, err := loadLogged(t, benchmarkConfig)
	require.NoError(t, err)
	cfg := mqtt.ConfigOf(c)
	require.Equal(t, "tcp://127.0.0.1:28831", cfg.Broker)
	require.Equal(t, "gateway-0", cfg.ClientID)
	require.True(t, cfg.KeepSession)
	require.Equal(t, byte(1), cfg.Mappings[0].QoS)
	require.Equal(t, byte(5), cfg.Version)
	require.Equal(t, time.Hour, cfg.SessionExpiry)
	require.Equal(t, 1, log.count("level=WARN"), "one line names what has no effect")
	require.Equal(t, 1, log.count("do not apply", `keys="[broker.maxMessageNumberPerWorker broker.maxNumberOfWorkers mapping[].converter.timeout]"`))
	want := pt("AM-12", "k0", 1, telemetry.Float(2))
	want.profile = "default"
	require.Contains(t, points(t, mqtt.ConverterOf(c, 0), "sensor/AM-12/data", `{"seq":1,"st":2,"k0":2}`), want)
}

func TestEveryProblemIsNamedByItsKey(t *testing.T) {
	_, _, err := loadLogged(t, `{
	 "broker":{"port":"abc","security":{"type":"magic"},"transport":"pigeon"},
	 "mapping":[
	  {"topicFilter":"a#","converter":{"type":"json","deviceInfo":{"deviceNameExpression":"x"},"timeseries":[{"key":"k","value":"${a"}]}},
	  {"converter":{"type":"xml"}},
	  {"topicFilter":"a","converter":{"type":"json","deviceInfo":{"deviceNameExpressionSource":"sky","deviceNameExpression":"x"},
	   "timeseries":[{"key":"k"},{"value":"1"},{"key":"(?!x)","keySource":"topic","value":"1","reportStrategy":{"type":"NEVER"}}],"attributes":5}},
	  {"topicFilter":"a","converter":{"type":"custom","extension":"Mine"}},
	  {"topicFilter":"a"},
	  {"topicFilter":"a","converter":{"deviceInfo":{"deviceNameExpression":"x"}}},
	  {"topicFilter":"a","converter":{"type":"bytes","deviceInfo":{"deviceNameExpression":"[0:1:2]"},"timeseries":["*"]}},
	  7],
	 "requestsMapping":{"connectRequests":[{"topicFilter":"c"}],
	  "attributeRequests":[{"topicFilter":"c","deviceInfo":{"deviceNameExpression":"x"},"topicExpression":"a/+","scope":"mine"}],
	  "attributeUpdates":[{"deviceNameFilter":".*"}],
	  "serverSideRpc":[{"deviceNameFilter":".*","methodFilter":"(","requestTopicExpression":"x","valueExpression":"x","responseTimeout":-1,"qos":3}]}}`)
	require.Error(t, err)
	for _, want := range []string{
		"broker.host: is missing", "broker.port: ", "broker.security.type: ", "broker.transport: ",
		"mapping[0].topicFilter: ", "mapping[0].converter.timeseries[0].value: ",
		"mapping[1].topicFilter: is missing", "mapping[1].converter.type: ",
		"mapping[2].converter.deviceInfo.deviceNameExpressionSource: ", "mapping[2].converter.timeseries[0].value: is missing",
		"mapping[2].converter.timeseries[1].key: is missing", "mapping[2].converter.timeseries[2].key: ", "(?!",
		"mapping[2].converter.timeseries[2].reportStrategy.type: ", "mapping[2].converter.attributes: ",
		`mapping[3].converter.extension: no converter "Mine"`, "mapping[4].converter: is missing",
		"mapping[5].converter.type: is missing",
		"mapping[6].converter.deviceInfo.deviceNameExpression: ", "mapping[6].converter: ", "mapping[7]: is not an object",
		"requestsMapping.connectRequests[0].deviceInfo.deviceNameExpression: is missing",
		"requestsMapping.attributeRequests[0].topicExpression: ", "requestsMapping.attributeRequests[0].scope: ",
		"requestsMapping.attributeRequests[0].attributeNameExpression: is missing",
		"requestsMapping.attributeUpdates[0].attributeFilter: is missing", "requestsMapping.attributeUpdates[0].topicExpression: is missing",
		"requestsMapping.serverSideRpc[0].methodFilter: ", "requestsMapping.serverSideRpc[0].responseTimeout: ",
		"requestsMapping.serverSideRpc[0].qos: ",
	} {
		require.ErrorContains(t, err, want)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(err.Error()) {
		require.False(t, seen[line], "named twice: %s", line)
		seen[line] = true
	}
}

func TestUnknownKeysAreNamedOnceForAFile(t *testing.T) {
	entry := `{"topicFilter":"a","colour":1,"converter":{"type":"json","deviceInfo":{"deviceNameExpression":"x"},"timeseries":[{"key":"k","value":"1","unit":"C"},{"key":"l","value":"1","unit":"C"}]}}`
	_, log, err := loadLogged(t, `{"broker":{"host":"h","hostt":"x"},"mapping":[`+entry+`,`+entry+`],"requestsMapping":{"x":1},"y":2}`)
	require.NoError(t, err)
	require.Equal(t, 1, log.count("without a meaning", `keys="[broker.hostt mapping[].colour mapping[].converter.timeseries[].unit requestsMapping.x y]"`))
	require.Equal(t, 1, log.count("level=WARN"))
}

func TestSessionsThatAreKept(t *testing.T) {
	for broker, want := range map[string]bool{
		`{"host":"h"}`: false, `{"host":"h","cleanSession":true,"cleanStart":true,"sessionExpiryInterval":0}`: false,
		`{"host":"h","cleanSession":false}`: true, `{"host":"h","cleanStart":false}`: true, `{"host":"h","sessionExpiryInterval":60}`: true,
	} {
		c, _, err := loadLogged(t, `{"broker":`+broker+`}`)
		require.NoError(t, err)
		again, _, err := loadLogged(t, `{"broker":`+broker+`}`)
		require.NoError(t, err)
		cfg := mqtt.ConfigOf(c)
		require.Equal(t, want, cfg.KeepSession, broker)
		require.NotEmpty(t, cfg.ClientID)
		require.LessOrEqual(t, len(cfg.ClientID), 23)
		require.Equal(t, want, cfg.ClientID == mqtt.ConfigOf(again).ClientID, "the identifier of a session that is kept is stable: %s", broker)
	}
}

func TestBrokerURLs(t *testing.T) {
	for broker, want := range map[string]string{
		`{"host":"h"}`:                                                            "tcp://h:1883",
		`{"host":"::1","port":1}`:                                                 "tcp://[::1]:1",
		`{"host":"h","transport":"websocket"}`:                                    "ws://h:1883/",
		`{"host":"h","transport":"websocket","path":"mqtt"}`:                      "ws://h:1883/mqtt",
		`{"host":"h","security":{"type":"certificates"}}`:                         "tls://h:1883",
		`{"host":"h","transport":"websocket","security":{"type":"Certificates"}}`: "wss://h:1883/",
		`{"host":"h","security":{"type":"basic","username":"u","password":"p"}}`:  "tcp://h:1883",
	} {
		c, _, err := loadLogged(t, `{"broker":`+broker+`}`)
		require.NoError(t, err)
		require.Equal(t, want, mqtt.ConfigOf(c).Broker)
	}
	_, _, err := loadLogged(t, `{"broker":{"host":"h","security":{"caCert":"/does/not/exist.pem"}}}`)
	require.ErrorContains(t, err, "broker.security: tls: CA file: open /does/not/exist.pem")
	c, log, err := loadLogged(t, `{"broker":{"host":"h","security":{"type":"certificates","insecure":true}}}`)
	require.NoError(t, err)
	require.True(t, mqtt.ConfigOf(c).TLS.InsecureSkipVerify)
	require.Equal(t, 1, log.count("is not verified"))
	c, _, err = loadLogged(t, `{"broker":{"host":"h","security":{"type":"certificates"}}}`)
	require.NoError(t, err)
	require.False(t, mqtt.ConfigOf(c).TLS.InsecureSkipVerify, "servers are verified by default")
}

func TestCustomConverters(t *testing.T) {
	var given json.RawMessage
	made := mqtt.WithConverterFunc("Mine", func(config json.RawMessage) (mqtt.UplinkConverter, error) {
		given = config
		if config == nil {
			return nil, errors.New("needs a configuration")
		}
		return nothing, nil
	})
	file := func(converter string) string {
		return `{"broker":{"host":"h"},"mapping":[{"topicFilter":"a","converter":` + converter + `}]}`
	}
	_, _, err := loadLogged(t, file(`{"type":"custom","extension":"Mine","extensionConfig":{"a":1}}`), made)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1}`, string(given))
	_, _, err = loadLogged(t, file(`{"type":"json","extension":"Mine","extension-config":{"b":1}}`), made)
	require.NoError(t, err, "an extension wins over the type, and the old name of its configuration works")
	require.JSONEq(t, `{"b":1}`, string(given))
	_, _, err = loadLogged(t, file(`{"type":"custom","extension":"Mine"}`), made)
	require.ErrorContains(t, err, "mapping[0].converter.extensionConfig: needs a configuration")
	_, _, err = loadLogged(t, file(`{"type":"custom","extension":"Other"}`), made, mqtt.WithConverter("Third", nothing))
	require.ErrorContains(t, err, "it has: Mine, Third")
}

func TestReportPolicies(t *testing.T) {
	c, _, err := loadLogged(t, `{"broker":{"host":"h"},"mapping":[{"topicFilter":"a","reportStrategy":{"type":"ON_CHANGE"},"converter":{"type":"json",
	 "deviceInfo":{"deviceNameExpression":"x"},"timeseries":[{"key":"a","value":"1"},
	 {"key":"b","value":"1","reportStrategy":{"type":"ON_CHANGE_OR_REPORT_PERIOD","reportPeriod":5000}}]}}]}`)
	require.NoError(t, err)
	var b telemetry.Batch
	require.NoError(t, mqtt.ConverterOf(c, 0).ConvertUplink(mqtt.Message{Payload: []byte("{}")}, &b))
	ps := b.Groups()[0].Telemetry
	require.Equal(t, telemetry.OnChange, ps[0].Report.Mode)
	require.Equal(t, telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: 5 * time.Second}, *ps[1].Report)
}

func TestRequestsAtTheTopLevel(t *testing.T) {
	c, _, err := loadLogged(t, `{"broker":{"host":"h"},"serverSideRpc":[{"deviceNameFilter":".*","methodFilter":"m","requestTopicExpression":"x","valueExpression":"v",
	 "responseTopicExpression":"r","responseTimeout":1500,"qos":2}],"connectRequests":[{"topicFilter":"c","deviceInfo":{"deviceNameExpression":"${x}"}}]}`)
	require.NoError(t, err)
	cfg := mqtt.ConfigOf(c)
	require.Equal(t, []mqtt.RPC{{DeviceFilter: ".*", MethodFilter: "m", Topic: "x", Value: "v", ReplyTopic: "r", ReplyQoS: 1, QoS: 1, Timeout: 1500 * time.Millisecond}}, cfg.RPCs)
	require.Len(t, cfg.Connects, 1)
}

func TestNotAnObject(t *testing.T) {
	for _, config := range []string{`5`, `"x"`, `[]`, `{`, `null`, ``} {
		_, _, err := loadLogged(t, config)
		require.Error(t, err, config)
	}
}
