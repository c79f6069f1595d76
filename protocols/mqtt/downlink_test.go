package mqtt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// rpcConnector runs a connector with two kinds of calls.
func rpcConnector(t *testing.T, b *fakeBroker, timeout time.Duration) (*bench, *mqtt.Connector) {
	t.Helper()
	c := fakeConnector(t, b, mqtt.Config{RPCs: []mqtt.RPC{
		{MethodFilter: "^get$", Topic: "rq/${deviceName}/${requestId}", Value: `{"p":${params},"d":"${deviceName}"}`, ReplyTopic: "rs/${deviceName}", ReplyQoS: 1, Timeout: timeout},
		{MethodFilter: "^set$", DeviceFilter: "^Pump", Topic: "set/${deviceName}/${params.ch}", Value: "${params.v}", QoS: 1, Retain: true},
	}}).(*mqtt.Connector)
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	return r, c
}

func TestReplyIsTheResult(t *testing.T) {
	doc, err := telemetry.JSON([]byte(`{"a":[1,2]}`))
	require.NoError(t, err)
	for reply, want := range map[string]telemetry.Value{
		`5`: telemetry.Int(5), `5.5`: telemetry.Float(5.5), `true`: telemetry.Bool(true), `"ok"`: telemetry.String("ok"),
		`{"a": [1, 2]}`: doc, `it's on`: telemetry.String("it's on"), ``: telemetry.String(""), `null`: telemetry.Restore(telemetry.KindJSON, 0, "null"),
	} {
		b := newFakeBroker()
		_, c := rpcConnector(t, b, time.Minute)
		b.onPublish(func(p publication) {
			b.push(fakeMessage{topic: "rs/D", payload: "stale", retain: true})
			b.push(fakeMessage{topic: "rs/D", payload: reply})
		})
		v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", ID: 7, Method: "get", Params: json.RawMessage(`{ "x" : "<" }`)})
		require.NoError(t, err)
		require.Equal(t, want, v, reply)
		require.Equal(t, []publication{{topic: "rq/D/7", payload: `{"p":{"x":"<"},"d":"D"}`}}, b.publications())
		require.Contains(t, b.subs, mqtt.Subscription{Filter: "rs/D", QoS: 1})
	}
}

func TestCallsToDifferentDevicesDoNotWaitForEachOther(t *testing.T) {
	b := newFakeBroker()
	r, c := rpcConnector(t, b, time.Minute)
	b.onPublish(func(p publication) {
		if p.topic == "rq/quick/1" {
			b.push(fakeMessage{topic: "rs/quick", payload: "1"})
		}
	})
	slow := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := c.HandleRPC(ctx, connector.RPCRequest{Device: "slow", ID: 1, Method: "get"})
		slow <- err
	}()
	r.eventually("the slow call is under way", func() bool { return len(b.publications()) == 1 })
	v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "quick", ID: 1, Method: "get"})
	require.NoError(t, err)
	require.Equal(t, telemetry.Int(1), v)
	cancel()
	require.ErrorIs(t, <-slow, context.Canceled)
	r.eventually("both reply topics are left", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Contains(b.unsubbed, "rs/quick") && slices.Contains(b.unsubbed, "rs/slow")
	})
}

func TestOneReplyForEachCallOnAReplyTopic(t *testing.T) {
	b := newFakeBroker()
	_, c := rpcConnector(t, b, time.Minute)
	var calls sync.WaitGroup
	got := make(chan int64, 20)
	for id := range int64(20) {
		calls.Go(func() {
			v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", ID: id, Method: "get"})
			if err == nil {
				got <- v.Int()
			}
		})
	}
	require.Eventually(t, func() bool { return len(b.publications()) == 20 }, 10*time.Second, time.Millisecond)
	for id := range 20 {
		b.push(fakeMessage{topic: "rs/D", payload: fmt.Sprint(id)})
	}
	calls.Wait()
	close(got)
	seen := map[int64]bool{}
	for v := range got {
		seen[v] = true
	}
	require.Len(t, seen, 20, "each call has a reply of its own")
}

func TestCallTimesOut(t *testing.T) {
	b := newFakeBroker()
	_, c := rpcConnector(t, b, 20*time.Millisecond)
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "get"})
	require.ErrorContains(t, err, `no reply on "rs/D" within 20ms`)
	require.ErrorContains(t, err, `call "get" of device "D"`)
}

func TestCallEndsWithTheConnection(t *testing.T) {
	b := newFakeBroker()
	_, c := rpcConnector(t, b, time.Minute)
	b.onPublish(func(publication) { b.drop() })
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "get"})
	require.ErrorContains(t, err, "connection lost")
}

func TestCallsThatCannotBeCarriedOutFail(t *testing.T) {
	b := newFakeBroker()
	_, c := rpcConnector(t, b, time.Minute)
	call := func(device, method, params string) error {
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: device, Method: method, Params: json.RawMessage(params)})
		return err
	}
	require.ErrorContains(t, call("D", "other", "1"), `no remote procedure call is configured for method "other"`)
	require.ErrorContains(t, call("D", "set", "1"), "no remote procedure call is configured", "the device filter counts")
	require.ErrorContains(t, call("Pump", "set", "5"), "${params.ch} has no value")
	require.ErrorContains(t, call("Pump", "set", `{"ch":"a/#","v":1}`), "is not a topic")
	require.ErrorContains(t, call("Pump", "set", `{"ch":1}`), "${params.v} has no value")
	require.ErrorContains(t, call("Pump", "set", `{`), "parameters")
	require.Empty(t, b.publications())
	require.NoError(t, call("Pump", "set", `{"ch":1,"v":"on"}`))
	require.Equal(t, []publication{{topic: "set/Pump/1", payload: `"on"`, qos: 1, retain: true}}, b.publications())
	_, err := mqtt.New(mqtt.Config{Broker: "tcp://x"}).HandleRPC(t.Context(), connector.RPCRequest{})
	require.ErrorContains(t, err, "not connected")
}

func TestReservedMethodsSayWhatToDo(t *testing.T) {
	b := newFakeBroker()
	_, c := rpcConnector(t, b, time.Minute)
	b.onPublish(func(p publication) { b.push(fakeMessage{topic: "back", payload: "7"}) })
	v, err := c.HandleRPC(t.Context(), connector.RPCRequest{
		Device: "D", Method: "get",
		Params: json.RawMessage(`"requestTopicExpression=ask/${deviceName};value=x=y;responseTopicExpression=back;responseTimeout=60000;qos=1;retain=true"`),
	})
	require.NoError(t, err)
	require.Equal(t, telemetry.Int(7), v)
	require.Equal(t, []publication{{topic: "ask/D", payload: "x=y", qos: 1, retain: true}}, b.publications())
}

func TestAReplyTopicThatAMappingCoversStaysSubscribed(t *testing.T) {
	b := newFakeBroker()
	c := fakeConnector(t, b, mqtt.Config{RPCs: []mqtt.RPC{{Topic: "rq", Value: "x", ReplyTopic: "dev/1", Timeout: time.Minute}}}).(*mqtt.Connector)
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	b.onPublish(func(publication) { b.Send(9) })
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "m"})
	require.NoError(t, err)
	r.eventually("the reply is converted too", func() bool { return len(r.values("id")) == 1 })
	r.stop()
	require.Len(t, b.subs, 1)
	require.Empty(t, b.unsubbed)
}

func TestOneUpdateThatFailsDoesNotKeepTheOthersBack(t *testing.T) {
	b := newFakeBroker()
	c := fakeConnector(t, b, mqtt.Config{AttributeUpdates: []mqtt.AttributeUpdate{
		{DeviceFilter: "D", AttributeFilter: ".*", Topic: "u/${attributeKey}", Value: `{"v":"${attributeValue}"}`},
		{DeviceFilter: "E", AttributeFilter: ".*", Topic: "never", Value: "x"},
	}}).(*mqtt.Connector)
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	err := c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "Dev", Attributes: []telemetry.Point{
		{Key: "bad/#", Value: telemetry.Int(1)}, {Key: "good", Value: telemetry.String(`say "hi"`)},
	}})
	require.ErrorContains(t, err, `attribute "bad/#" of device "Dev"`)
	require.Equal(t, []publication{{topic: "u/good", payload: `{"v":"say \"hi\""}`}}, b.publications())
}
