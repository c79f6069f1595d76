package tbtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// TestReasonsOfDisconnect are the reasons that MQTT 5 is told at the end of a
// connection.
func TestReasonsOfDisconnect(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   tbtest.Config
		steps []table.Step
	}{
		"too large": {tbtest.Config{MaxPayload: 100}, []table.Step{
			publish(telemetry, `{"d":[{"a":"`+strings.Repeat("x", 100)+`"}]}`, "DISCONNECT 129", "closed"),
		}},
		"runtime error": {tbtest.Config{}, []table.Step{publish(telemetry, `[]`, "PUBACK 131", "DISCONNECT 131", "closed")}},
		"QoS 2": {tbtest.Config{}, []table.Step{{
			Publish: telemetry, Payload: one, QoS: 2, Want: []string{"DISCONNECT 155", "closed"},
		}}},
		"maximum packet size": {tbtest.Config{MaximumPacketSize: 90}, []table.Step{
			publish(telemetry, one, "PUBACK"),
			publish(telemetry, `{"d":[{"a":"`+strings.Repeat("x", 90)+`"}]}`, "DISCONNECT 149", "closed"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Token = token
			converse(t, start(t, c.cfg), mqtt5, table.Login{}, c.steps...)
		})
	}
}

func TestRefusedReadingsSpoilTheirMessage(t *testing.T) {
	refuse := func(device, key string, ts int64, value any) bool {
		return key == "poison" && ts == 2 && value == int64(5) && device != ""
	}
	bad := `{"$e":[{"ts":1,"values":{"a":1}}],"$d":[{"ts":1,"values":{"poison":5}},{"ts":2,"values":{"poison":5}}]}`
	both(t, func(t *testing.T, version byte) {
		srv := start(t, tbtest.Config{Token: token, Refuse: refuse})
		converse(t, srv, version, table.Login{}, publish(telemetry, `{"$d":[{"ts":1,"values":{"poison":5}}]}`, "PUBACK"), table.Step{
			Publish: telemetry, Payload: bad, QoS: 1, Want: []string{"PUBACK 153"}, Want3: []string{"closed"},
		})
		require.Len(t, srv.Readings(), 1, "nothing of the message is stored")
		converse(t, srv, version, table.Login{}, table.Step{
			Publish: "v1/devices/me/telemetry", Payload: `{"ts":2,"values":{"poison":5}}`, QoS: 1,
			Want: []string{"PUBACK 153"}, Want3: []string{"closed"},
		})
		require.Len(t, srv.Readings(), 1)
	})
}

func TestDevicesThatAreNotCreatedLoseTheirDataAlone(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  tbtest.Config
		want string
	}{
		"refused":       {tbtest.Config{RefuseDevice: func(name, _ string) byte { return 128 * byte(strings.Count(name, "e")) }}, "PUBACK 128"},
		"no room":       {tbtest.Config{MaxDevices: 1}, "PUBACK 151"},
		"name too long": {tbtest.Config{MaxDeviceName: len("d-4-0")}, "PUBACK 128"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, version byte) {
				c.cfg.Token = token
				srv := start(t, c.cfg)
				converse(t, srv, version, table.Login{},
					publish("v1/devices/me/attributes", `{"own":1}`, "PUBACK"),
					publish("v1/gateway/connect", `{"device":"$d","type":"meter"}`, "PUBACK"),
					publish(telemetry, `{"$e":[{"a":1}],"$d":[{"a":1}]}`, c.want),
					publish("v1/gateway/connect", `{"device":"$e"}`, c.want),
					publish("v1/gateway/attributes", `{"$d":{"a":1},"$e":{"a":1}}`, c.want),
					publish("v1/gateway/attributes/request", `{"id":1,"device":"$e","client":true,"key":"a"}`, "PUBACK 131"),
					publish("v1/gateway/claim", `{"$e":{}}`, c.want),
				)
				require.Len(t, srv.Readings(), 1)
				devices := srv.Devices()
				delete(devices, tbtest.Gateway)
				require.Len(t, devices, 1)
				for _, d := range devices {
					require.Equal(t, "meter", d.Type)
				}
			})
		})
	}
}

func TestDevicesNeedAName(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token})
	for _, topic := range []string{"telemetry", "attributes"} {
		payload := map[string]string{"telemetry": `{"":[{"a":1}]}`, "attributes": `{"":{"a":1}}`}[topic]
		converse(t, srv, mqtt5, table.Login{}, publish("v1/gateway/"+topic, payload, "PUBACK 131", "closed"))
	}
	require.Empty(t, srv.Devices())
}

func TestValidationErrorsCanBeAcknowledged(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, AckInvalid: true})
	converse(t, srv, mqtt3, table.Login{}, publish(telemetry, `{`, "PUBACK"), publish("v1/devices/me/telemetry", `{`, "PUBACK"),
		publish(telemetry, `{"$d":[5]}`, "closed"))
	require.Empty(t, srv.Readings())
}

func TestPropertiesOfTheConnection(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, ReceiveMaximum: 2})
	srv.Delay(time.Hour)
	converse(t, srv, mqtt5, table.Login{}, publish(telemetry, one), publish(telemetry, one),
		publish(telemetry, one, "DISCONNECT 147", "closed"))
	require.Equal(t, 3, srv.Stats().MaxUnacked)
}
