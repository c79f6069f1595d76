package tbtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

const patience = 10 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, cfg tbtest.Config) *tbtest.Server {
	t.Helper()
	srv, err := tbtest.NewServer(cfg)
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	return srv
}

func dial(t *testing.T, srv *tbtest.Server, o mqttx.Options) *mqttx.Conn {
	t.Helper()
	o.Broker = srv.URL()
	c, err := mqttx.Dial(within(t, patience), o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// What the server does with a message.
const (
	acked  = "acknowledged"
	ended  = "the connection ends without an acknowledgement"
	silent = "nothing"
)

// outcome publishes a message and says what the server does.
func outcome(t *testing.T, c *mqttx.Conn, topic, payload string) string {
	t.Helper()
	p := c.Publish(topic, 1, false, []byte(payload))
	err := p.Wait(within(t, 300*time.Millisecond))
	switch {
	case err == nil:
		return acked
	case c.Err() != nil:
		return ended
	default:
		return silent
	}
}

func TestPlainDeviceIsIgnoredOnTheTopicsOfGateways(t *testing.T) {
	srv := start(t, tbtest.Config{NotGateway: true})
	c := dial(t, srv, mqttx.Options{})
	require.Equal(t, silent, outcome(t, c, "v1/gateway/connect", `{"device":"d"}`))
	require.Equal(t, acked, outcome(t, c, "v1/devices/me/telemetry", `{"a":1}`))
}

func TestUnknownDevicesAreCreatedWithTheDefaultType(t *testing.T) {
	srv := start(t, tbtest.Config{})
	c := dial(t, srv, mqttx.Options{})
	require.Equal(t, acked, outcome(t, c, "v1/gateway/telemetry", `{"d":[{"ts":5,"values":{"a":"0012","b":5.0,"c":1e3,"n":null}}]}`))
	require.Equal(t, acked, outcome(t, c, "v1/gateway/connect", `{"device":"d","type":"late"}`))
	d, ok := srv.Device("d")
	require.True(t, ok)
	require.Equal(t, tbtest.Device{Type: "default", Online: true}, d)
	require.Equal(t, []tbtest.Reading{
		{Device: "d", Key: "a", TS: 5, Value: int64(12), Seq: 1},
		{Device: "d", Key: "b", TS: 5, Value: 5.0, Seq: 2},
		{Device: "d", Key: "c", TS: 5, Value: int64(1000), Seq: 3},
	}, srv.Readings())
	c.Close()
	require.NoError(t, srv.WaitFor(within(t, patience), func() bool { d, _ := srv.Device("d"); return !d.Online }))
}

func TestOnlyTheLiteralFiltersAreGranted(t *testing.T) {
	srv := start(t, tbtest.Config{})
	c := dial(t, srv, mqttx.Options{})
	ctx := within(t, patience)
	require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "v1/gateway/rpc", QoS: 1},
		mqttx.Subscription{Filter: "v1/devices/me/rpc/request/+", QoS: 2}))
	for _, filter := range []string{"v1/gateway/+", "#", "v1/gateway/disconnect", "v1/devices/me/rpc/request/1"} {
		require.ErrorContains(t, c.Subscribe(ctx, mqttx.Subscription{Filter: filter, QoS: 1}), "refused", filter)
	}
}

func TestCredentials(t *testing.T) {
	srv := start(t, tbtest.Config{Token: "right"})
	dial(t, srv, mqttx.Options{Username: "right"})
	for _, o := range []mqttx.Options{{Username: "wrong"}, {}, {ClientID: "only"}} {
		o.Broker = srv.URL()
		_, err := mqttx.Dial(within(t, patience), o)
		require.True(t, mqttx.IsRefused(err), "%+v: %v", o, err)
	}
	require.Equal(t, uint64(3), srv.Stats().Refused)
}

func TestSessionLimitsAndOwnAttributesAreAnswered(t *testing.T) {
	got := make(chan mqttx.Message, 10)
	srv := start(t, tbtest.Config{MaxPayload: 5000, MaxInflight: 7})
	c := dial(t, srv, mqttx.Options{Receive: func(m mqttx.Message) { m.Ack(); got <- m }})
	c.Publish("v1/devices/me/rpc/request/3", 1, false, []byte(`{"method":"getSessionLimits","params":{}}`))
	m := <-got
	require.Equal(t, "v1/devices/me/rpc/response/3", m.Topic)
	var limits map[string]any
	require.NoError(t, json.Unmarshal(m.Payload, &limits))
	require.InDelta(t, 5000, limits["maxPayloadSize"], 0)
	require.InDelta(t, 7, limits["maxInflightMessages"], 0)

	srv.SetShared(tbtest.Gateway, map[string]any{"s": 1, "t": 2})
	c.Publish("v1/devices/me/attributes", 1, false, []byte(`{"c":"x"}`))
	c.Publish("v1/devices/me/attributes/request/4", 1, false, []byte(`{"clientKeys":"c,none","sharedKeys":"s"}`))
	m = <-got
	require.Equal(t, "v1/devices/me/attributes/response/4", m.Topic)
	require.JSONEq(t, `{"client":{"c":"x"},"shared":{"s":1}}`, string(m.Payload))
	c.Publish("v1/devices/me/attributes/request/5", 1, false, []byte(`{}`))
	require.JSONEq(t, `{"client":{"c":"x"},"shared":{"s":1,"t":2}}`, string((<-got).Payload))
}

func TestReadingsAreBounded(t *testing.T) {
	seen := 0
	srv := start(t, tbtest.Config{Keep: 100, OnTelemetry: func(tbtest.Reading) { seen++ }})
	c := dial(t, srv, mqttx.Options{})
	for i := range 500 {
		p := c.Publish("v1/gateway/telemetry", 1, false, fmt.Appendf(nil, `{"d":[{"ts":%d,"values":{"a":1}}]}`, i))
		require.NoError(t, p.Wait(within(t, patience)))
	}
	readings := srv.Readings()
	require.LessOrEqual(t, len(readings), 125)
	require.Equal(t, uint64(500), readings[len(readings)-1].Seq)
	require.Equal(t, 500, seen)
	srv.Reset()
	require.Empty(t, srv.Readings())
}

func TestFaults(t *testing.T) {
	const data, payload = "v1/gateway/telemetry", `{"d":[{"ts":1,"values":{"a":1}}]}`
	t.Run("lost and unacknowledged", func(t *testing.T) {
		srv := start(t, tbtest.Config{})
		c := dial(t, srv, mqttx.Options{})
		srv.Lose(1, 1)
		require.Equal(t, silent, outcome(t, c, data, payload))
		require.Empty(t, srv.Readings())
		require.Equal(t, silent, outcome(t, c, data, payload))
		require.Len(t, srv.Readings(), 1)
		require.Equal(t, acked, outcome(t, c, data, payload))
	})
	t.Run("close after", func(t *testing.T) {
		srv := start(t, tbtest.Config{})
		c := dial(t, srv, mqttx.Options{})
		srv.CloseAfter(2)
		require.Equal(t, acked, outcome(t, c, data, payload))
		require.Equal(t, ended, outcome(t, c, data, payload))
		require.Len(t, srv.Readings(), 2)
	})
	t.Run("delay", func(t *testing.T) {
		srv := start(t, tbtest.Config{})
		c := dial(t, srv, mqttx.Options{})
		srv.Delay(100 * time.Millisecond)
		began := time.Now()
		require.NoError(t, c.Publish(data, 1, false, []byte(payload)).Wait(within(t, patience)))
		require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
	})
	t.Run("frozen", func(t *testing.T) {
		srv := start(t, tbtest.Config{})
		c := dial(t, srv, mqttx.Options{})
		srv.Freeze(true)
		p := c.Publish(data, 1, false, []byte(payload))
		require.Error(t, p.Wait(within(t, 50*time.Millisecond)))
		require.NoError(t, c.Err())
		srv.Freeze(false)
		require.NoError(t, p.Wait(within(t, patience)))
	})
	t.Run("link down", func(t *testing.T) {
		srv := start(t, tbtest.Config{})
		c := dial(t, srv, mqttx.Options{})
		srv.SetLink(false)
		<-c.Done()
		_, err := mqttx.Dial(within(t, patience), mqttx.Options{Broker: srv.URL()})
		require.Error(t, err)
		srv.SetLink(true)
		require.Equal(t, acked, outcome(t, dial(t, srv, mqttx.Options{}), data, payload))
	})
}
