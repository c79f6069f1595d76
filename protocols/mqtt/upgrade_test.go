package mqtt_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func ExampleUpgrade() {
	old := `{"connectRequests": [{"topicFilter": "c/+", "deviceNameTopicExpression": "c/(.+)"}]}`
	fmt.Println(string(mqtt.Upgrade(json.RawMessage(old))))
	// Output: {"requestsMapping":{"connectRequests":[{"deviceInfo":{"deviceNameExpression":"c/(.+)","deviceNameExpressionSource":"topic"},"topicFilter":"c/+"}]}}
}

func TestEachEntryOfAFileHasAFormatOfItsOwn(t *testing.T) {
	file := `{"mapping":[{"converter":{"type":"custom","extension-config":{"k":1}}},{"converter":{"deviceInfo":{"deviceNameExpression":"x"},"deviceNameJsonExpression":"y"}},
	 {"converter":{"deviceNameTopicExpression":"x"}},7,{"converter":8}],
	 "connectRequests":[{"topicFilter":"a"}],"requestsMapping":{"connectRequests":[{"topicFilter":"b","deviceNameJsonExpression":"y"}],"serverSideRpc":{}}}`
	require.JSONEq(t, `{"mapping":[{"converter":{"type":"custom","extensionConfig":{"k":1}}},{"converter":{"deviceInfo":{"deviceNameExpression":"x"},"deviceNameJsonExpression":"y"}},
	 {"converter":{"deviceInfo":{"deviceNameExpression":"x","deviceNameExpressionSource":"topic"}}},7,{"converter":8}],
	 "requestsMapping":{"connectRequests":[{"topicFilter":"b","deviceInfo":{"deviceNameExpression":"y","deviceNameExpressionSource":"message"}},{"topicFilter":"a"}],"serverSideRpc":{}}}`,
		string(mqtt.Upgrade(json.RawMessage(file))))
}

// In older files a profile without wildcards stands beside a topic that it does
// not match.
func TestAPlainTextForATopicStandsForItself(t *testing.T) {
	c := load(t, `{"broker":{"host":"h"},"mapping":[{"topicFilter":"b/+","converter":{"type":"json","deviceNameTopicExpression":"(?<=b/)(.+)",
	 "deviceTypeTopicExpression":"Thermometer","timeseries":["*"]}}],"requestsMapping":{"connectRequests":{}}}`)
	want := pt("one", "t", 1, telemetry.Int(1))
	want.profile = "Thermometer"
	require.Equal(t, map[point]bool{want: true}, points(t, mqtt.ConverterOf(c, 0), "b/one", `{"t":1}`))
}

func FuzzUpgrade(f *testing.F) {
	f.Add(`{"mapping":[{"converter":{"deviceNameJsonExpression":"x","extension-config":1}}],"serverSideRpc":[1],"requestsMapping":[]}`)
	f.Add(`{"requestsMapping":null,"attributeRequests":[{"attributeNameJsonExpression":"${a}"}],"connectRequests":{}}`)
	f.Add(`{"dataMapping":{},"mapping":null,"requestsMapping":{"serverSideRpc":7},"serverSideRpc":[]}`)
	f.Fuzz(func(t *testing.T, file string) {
		upgraded := mqtt.Upgrade(json.RawMessage(file))
		require.Equal(t, json.Valid([]byte(file)), json.Valid(upgraded))
		require.Equal(t, string(upgraded), string(mqtt.Upgrade(upgraded)))
	})
}

func FuzzCompatible(f *testing.F) {
	f.Add(`{"v":{"a":["\u0000'\"",1e400,null,true]},"at":"2024-01-01T00:00:00Z"}`)
	f.Add(`[{"v":9223372036854775808,"at":{"at":1}},[],5]`)
	f.Fuzz(func(t *testing.T, payload string) {
		c := newJSON(t, mqtt.JSONConfig{
			Compatible: true, Device: mqtt.DeviceInfo{Name: key("${v.a}")},
			Timeseries: []mqtt.Datapoint{{Key: key("s"), Type: "string", Value: "${v} ${w}", TimeField: "${x.at}"}, {Key: key("i"), Type: "int", Value: "${v}"}},
		})
		var b telemetry.Batch
		if err := c.ConvertUplink(mqtt.Message{Payload: []byte(payload)}, &b); err != nil {
			return
		}
		for _, g := range b.Groups() {
			require.NotEmpty(t, g.Device.Name)
		}
	})
}
