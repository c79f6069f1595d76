package tbtest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// str and num append a field of a protobuf message.
func str(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

func num(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

// TestProtobufIsRecordedAsJSONIs has a gateway of protobuf send telemetry and an
// attribute. A text that looks like a number stays a text.
func TestProtobufIsRecordedAsJSONIs(t *testing.T) {
	both(t, func(t *testing.T, version byte) {
		srv := start(t, tbtest.Config{Token: token, Protobuf: true})
		serial := str(num(str(nil, 1, "serial"), 2, 3), 6, "0012")
		body := func(field protowire.Number, content []byte) func(string) []byte {
			return func(device string) []byte {
				return str(nil, 1, string(str(str(nil, 1, device), field, string(content))))
			}
		}
		post := str(nil, 1, string(str(num(nil, 1, 1_700_000_000_000), 2, string(serial))))
		converse(t, srv, version, table.Login{},
			table.Step{Publish: telemetry, Body: body(3, post), QoS: 1, Want: []string{"PUBACK"}},
			table.Step{Publish: "v1/gateway/attributes", Body: body(2, str(nil, 1, string(serial))), QoS: 1, Want: []string{"PUBACK"}},
			table.Step{Publish: telemetry, Payload: one, QoS: 1, Want: []string{"PUBACK 153"}, Want3: []string{"closed"}},
		)
		device := map[byte]string{mqtt3: "d-4-0", mqtt5: "d-5-0"}[version]
		require.Equal(t, []tbtest.Reading{{Device: device, Key: "serial", TS: 1_700_000_000_000, Value: "0012", Seq: 1}}, srv.Readings())
		require.Equal(t, map[string]any{"serial": "0012"}, srv.Attributes(device))
	})
}

func TestProtobufAnswersAndPushes(t *testing.T) {
	srv := start(t, tbtest.Config{Protobuf: true})
	got := make(chan mqttx.Message, 10)
	c := dial(t, srv, mqttx.Options{Receive: func(m mqttx.Message) { m.Ack(); got <- m }})
	send := func(topic string, payload []byte) {
		t.Helper()
		require.NoError(t, c.Publish(topic, 1, false, payload).Wait(within(t, patience)))
	}
	send("v1/gateway/connect", str(str(nil, 1, "d"), 2, "meter"))
	d, _ := srv.Device("d")
	require.Equal(t, tbtest.Device{Type: "meter", Online: true}, d)

	require.NoError(t, srv.PushAttributes("d", map[string]any{"k": "v"}))
	m := <-got
	require.Equal(t, "v1/gateway/attributes", m.Topic)
	require.Contains(t, string(m.Payload), string(str(nil, 6, "v")))

	send("v1/gateway/attributes/request", str(num(str(num(nil, 1, 5), 2, "d"), 3, 0), 4, "k"))
	m = <-got
	require.Equal(t, "v1/gateway/attributes/response", m.Topic)
	require.True(t, strings.HasPrefix(string(m.Payload), string(str(nil, 1, "d"))), "%q", m.Payload)

	replied := make(chan string, 1)
	go func() {
		reply, err := srv.Call(within(t, patience), "d", "ping", nil)
		if err == nil {
			replied <- string(reply)
		}
	}()
	m = <-got
	require.Equal(t, "v1/gateway/rpc", m.Topic)
	require.Contains(t, string(m.Payload), string(str(num(nil, 1, 1), 2, "ping")))
	send("v1/gateway/rpc", str(num(str(nil, 1, "d"), 2, 1), 3, `{"ok":true}`))
	require.JSONEq(t, `{"ok":true}`, <-replied)
	send("v1/gateway/disconnect", str(nil, 1, "d"))
	d, _ = srv.Device("d")
	require.False(t, d.Online)
}
