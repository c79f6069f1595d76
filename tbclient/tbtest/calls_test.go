package tbtest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

func TestCallsNeedADeviceThatIsOnline(t *testing.T) {
	srv := start(t, tbtest.Config{})
	_, err := srv.Call(t.Context(), "d", "m", nil)
	require.ErrorContains(t, err, "not online")
	_, err = srv.CallGateway(t.Context(), "m", nil)
	require.ErrorContains(t, err, "no gateway")
}

// gateway connects a gateway that is subscribed to calls, and announces devices.
func gateway(t *testing.T, srv *tbtest.Server, receive func(*mqttx.Conn, mqttx.Message), devices ...string) *mqttx.Conn {
	t.Helper()
	in := make(chan mqttx.Message, 100)
	c := dial(t, srv, mqttx.Options{Username: token, Receive: func(m mqttx.Message) { m.Ack(); in <- m }})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case m := <-in:
				receive(c, m)
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	for _, d := range devices {
		require.NoError(t, c.Publish("v1/gateway/connect", 1, false, []byte(`{"device":"`+d+`"}`)).Wait(within(t, patience)))
	}
	require.NoError(t, c.Subscribe(within(t, patience), mqttx.Subscription{Filter: "v1/devices/me/rpc/request/+", QoS: 1}))
	return c
}

// confirm answers every call to the gateway itself.
func confirm(c *mqttx.Conn, m mqttx.Message) {
	const prefix = "v1/devices/me/rpc/request/"
	c.Publish("v1/devices/me/rpc/response/"+m.Topic[len(prefix):], 1, false, []byte(`{"success":true}`))
}

func TestRenamedDevicesKeepTheirSession(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token})
	gateway(t, srv, confirm, "old", "other")
	srv.SetShared("old", map[string]any{"k": 1})
	reply, err := srv.Rename(within(t, patience), "old", "new")
	require.NoError(t, err)
	require.JSONEq(t, `{"success":true}`, string(reply))
	require.Equal(t, map[string]tbtest.Device{"new": {Type: "default", Online: true}, "other": {Type: "default", Online: true}}, srv.Devices())
	require.Equal(t, map[string]any{"k": 1}, srv.SharedAttributes("new"))
	for _, names := range [][2]string{{"old", "x"}, {"new", "other"}, {tbtest.Gateway, "x"}} {
		_, err := srv.Rename(within(t, patience), names[0], names[1])
		require.ErrorContains(t, err, "no such device")
	}
	_, err = srv.Delete(within(t, patience), "new")
	require.NoError(t, err)
	_, err = srv.Delete(within(t, patience), "new")
	require.ErrorContains(t, err, "no device")
}

func TestNoticesWaitForTheGateway(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, PlainNotices: true})
	srv.SetShared("old", nil)
	type result struct {
		reply json.RawMessage
		err   error
	}
	done := make(chan result, 1)
	go func() {
		reply, err := srv.Rename(within(t, patience), "old", "new")
		done <- result{reply, err}
	}()
	seen := make(chan string, 10)
	silent := gateway(t, srv, func(_ *mqttx.Conn, m mqttx.Message) { seen <- string(m.Payload) })
	require.JSONEq(t, `{"method":"gateway_device_renamed","params":{"old":"new"}}`, <-seen)
	silent.Close()
	gateway(t, srv, confirm)
	r := <-done
	require.NoError(t, r.err)
	require.JSONEq(t, `{"success":true}`, string(r.reply))
}

func TestCallsToThePlatform(t *testing.T) {
	const topic, answer = "v1/devices/me/rpc/request/3", "PUBLISH v1/devices/me/rpc/response/3 "
	t.Run("nobody answers", func(t *testing.T) {
		srv := start(t, tbtest.Config{Token: token})
		converse(t, srv, mqtt3, table.Login{}, publish(topic, `{"method":"m","params":1}`, "PUBACK", answer+`{"error":"timeout"}`))
	})
	t.Run("answered", func(t *testing.T) {
		srv := start(t, tbtest.Config{Token: token, OnCall: func(method string, params json.RawMessage) any {
			return map[string]any{"got": method, "params": params}
		}})
		converse(t, srv, mqtt3, table.Login{},
			publish(topic, `{"method":"m","params":{"a":[1]}}`, "PUBACK", answer+`{"got":"m","params":{"a":[1]}}`),
			publish("v2/r/req/9", `{"method":"getSessionLimits"}`, "PUBACK", `PUBLISH v2/r/res/9 {"got":"getSessionLimits","params":null}`))
	})
	t.Run("a plain broker tells no limits", func(t *testing.T) {
		srv := start(t, tbtest.Config{Token: token, NoLimits: true})
		converse(t, srv, mqtt3, table.Login{}, publish(topic, `{"method":"getSessionLimits"}`, "PUBACK"))
	})
}

func TestClaimsAreRecorded(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token})
	converse(t, srv, mqtt3, table.Login{}, publish("v1/gateway/claim", `{"$d":{"secretKey":"s","durationMs":30000}}`, "PUBACK"),
		publish("v1/devices/me/claim", `{"secretKey":"own"}`, "PUBACK"))
	c, ok := srv.Claim("d-4-0")
	require.True(t, ok)
	require.Equal(t, tbtest.Claim{SecretKey: "s", DurationMS: 30000}, c)
	c, _ = srv.Claim(tbtest.Gateway)
	require.Equal(t, "own", c.SecretKey)
	_, ok = srv.Claim("another")
	require.False(t, ok)
}

func TestPushesHaveTheQoSOfTheSubscription(t *testing.T) {
	srv := start(t, tbtest.Config{})
	qos := make(chan byte, 10)
	c := dial(t, srv, mqttx.Options{Receive: func(m mqttx.Message) { m.Ack(); qos <- m.QoS }})
	require.NoError(t, c.Publish("v1/gateway/connect", 1, false, []byte(`{"device":"d"}`)).Wait(within(t, patience)))
	require.NoError(t, srv.PushAttributes("d", map[string]any{"a": 1}))
	require.Equal(t, byte(1), <-qos, "without a subscription")
	require.NoError(t, c.Subscribe(within(t, patience), mqttx.Subscription{Filter: "v1/gateway/attributes", QoS: 0}))
	require.NoError(t, srv.PushAttributes("d", map[string]any{"a": 2}))
	require.Equal(t, byte(0), <-qos)
}

func TestOwnAttributesArePushedToSubscribersOnly(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token})
	set := func(value string, want ...string) table.Step {
		o := table.Operation{Do: table.SetAttribute, Key: "k", Value: json.RawMessage(value)}
		return table.Step{Operate: &o, Want: append(want, "REPLY null")}
	}
	converse(t, srv, mqtt3, table.Login{}, set("1"), subscribe("v2/a"), set("2", `PUBLISH v2/a {"k":2}`),
		subscribe("v1/devices/me/attributes"), set("3", `PUBLISH v1/devices/me/attributes {"k":3}`))
	alone := start(t, tbtest.Config{})
	require.NoError(t, alone.PushAttributes(tbtest.Gateway, map[string]any{"k": 4}), "nobody is connected")
	require.Equal(t, map[string]any{"k": 4}, alone.SharedAttributes(tbtest.Gateway))
}

func TestRequestsForAllAttributes(t *testing.T) {
	const request, answer = "v1/gateway/attributes/request", "PUBLISH v1/gateway/attributes/response "
	set := publish("v1/gateway/attributes", `{"$d":{"a":1,"b":2}}`, "PUBACK")
	srv := start(t, tbtest.Config{Token: token})
	converse(t, srv, mqtt3, table.Login{}, set, publish(request, `{"id":1,"device":"$d","client":true,"keys":[]}`, "PUBACK",
		answer+`{"id":1,"device":"$d","values":{"a":1,"b":2}}`))
	old := start(t, tbtest.Config{Token: token, ValueOfOne: true})
	converse(t, old, mqtt3, table.Login{}, set, publish(request, `{"id":1,"device":"$d","client":true,"keys":["a","x"]}`, "PUBACK",
		answer+`{"id":1,"device":"$d","value":1}`))
}
