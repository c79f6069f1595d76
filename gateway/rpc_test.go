package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// spoken is a connector that takes calls for itself.
type spoken struct {
	*feed
	name string
}

func (s spoken) HandleRPC(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	switch r.Method {
	case "fail":
		return telemetry.Value{}, errors.New(s.name + ` "failed"`)
	case "panic":
		panic("a bug")
	case "done":
		return telemetry.Value{}, nil
	}
	return telemetry.String(s.name + ":" + r.Device + ":" + r.Method + ":" + string(r.Params)), nil
}

func TestCallsToTheGateway(t *testing.T) {
	var mu sync.Mutex
	var delays []time.Duration
	later := func(_ context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		delays = append(delays, d)
		return nil
	}
	removed := fs.ErrNotExist
	f := newFeed()
	g, _ := run(t, gateway.WithPlatform(newPlatform()), gateway.WithVersion("1.2.3"), gateway.WithRestart(later),
		gateway.WithCredentialsRemoval(func(context.Context) error { return removed }),
		gateway.WithConnector("hall", spoken{f, "hall"}, gateway.WithType("modbus")),
		gateway.WithConnector("hall_2", spoken{newFeed(), "hall_2"}, gateway.WithType("modbus")),
		gateway.WithConnector("My MQTT", newFeed(), gateway.WithType("mqtt")),
		gateway.WithRPC("add", func(_ context.Context, params json.RawMessage) (telemetry.Value, error) {
			var n []int64
			if err := json.Unmarshal(params, &n); err != nil {
				return telemetry.Value{}, err
			}
			return telemetry.Int(n[0] + n[1]), nil
		}))
	submit(t, <-f.host, "d", 1, 2)
	for _, tt := range []struct{ method, params, want, err string }{
		{"gateway_ping", `[1]`, `{"code":200,"resp":"pong"}`, ""},
		{"gateway_devices", ``, `{"code":200,"resp":{"d":"hall"}}`, ""},
		{"gateway_version", `{}`, `{"code":200,"resp":{"current_version":"1.2.3","latest_version":"1.2.3"}}`, ""},
		{"gateway_stats", `{}`, `{"eventsProduced":2,"eventsSent":2,"hallEventsProduced":2,"hallEventsSent":2,
			"hall_2EventsProduced":0,"hall_2EventsSent":0,"MyMQTTEventsProduced":0,"MyMQTTEventsSent":0}`, ""},
		{"gateway_restart", `5`, "", ""},
		{"gateway_restart", `"7"`, "", ""},
		{"gateway_restart", `0`, "", ""},
		{"gateway_restart", ``, "", ""},
		{"gateway_restart", `{}`, "", ""},
		{"gateway_restart", `"soon"`, "", "soon"},
		{"gateway_restart", `-1`, "", "seconds"},
		{"gateway_restart", `1e9`, "", "seconds"},
		{"gateway_restart", `{"in": 5}`, "", "seconds"},
		{"gateway_reboot", `5`, "", "does not offer"},
		{"gateway_remove_provisioned_credentials", `{}`, `{"code":404,"error":"there are no provisioned credentials"}`, ""},
		{"gateway_what", ``, "", "method not found"},
		{"gateway_", ``, "", "method not found"},
		{"", ``, "", "method not found"},
		{"modbus", ``, "", "method not found"},
		{"hall_", ``, "", "method not found"},
		{"bacnet_get", ``, "", "method not found"},
		{"add", `[1,2]`, `3`, ""},
		{"add", `{}`, "", "cannot unmarshal"},
		{"add", `[1]`, "", "panicked"},
		{"hall_get", `{"a":1}`, `"hall::get:{\"a\":1}"`, ""},
		{"hall_2_get_it", ``, `"hall_2::get_it:"`, ""},
		{"hall_fail", ``, "", `hall "failed"`},
		{"hall_panic", ``, "", "panicked"},
		{"modbus_get", `1`, `{"hall":"hall::get:1","hall_2":"hall_2::get:1"}`, ""},
		{"modbus_fail", ``, `{"hall":{"error":"hall \"failed\""},"hall_2":{"error":"hall_2 \"failed\""}}`, ""},
		{"modbus_done", ``, `{"hall":{"success":true},"hall_2":{"success":true}}`, ""},
		{"mqtt_get", ``, "", "My MQTT"},
	} {
		v, err := g.HandleRPC(t.Context(), tt.method, json.RawMessage(tt.params))
		switch {
		case tt.err != "":
			require.ErrorContains(t, err, tt.err, tt.method)
		case tt.want == "":
			require.NoError(t, err, tt.method)
			require.Equal(t, telemetry.Value{}, v, "which stands for success")
		default:
			require.NoError(t, err, tt.method)
			require.JSONEq(t, tt.want, string(v.AppendJSON(nil)), tt.method)
		}
	}
	for range 20 { // whatever the order in which connectors are looked at
		v, err := g.HandleRPC(t.Context(), "hall_2_get", nil)
		require.NoError(t, err)
		require.Equal(t, "hall_2::get:", v.String())
	}
	require.Equal(t, []time.Duration{5 * time.Second, 7 * time.Second, time.Second, time.Second, time.Second}, delays)
	_, err := g.HandleRPC(t.Context(), "gateway_what", nil)
	require.ErrorIs(t, err, gateway.ErrMethod)
	_, err = g.HandleRPC(t.Context(), "gateway_reboot", nil)
	require.ErrorIs(t, err, gateway.ErrNotOffered)

	removed = nil
	v, err := g.HandleRPC(t.Context(), "gateway_remove_provisioned_credentials", nil)
	require.NoError(t, err)
	require.Contains(t, v.String(), `"code":200`)
	removed = errors.New("read-only")
	_, err = g.HandleRPC(t.Context(), "gateway_remove_provisioned_credentials", nil)
	require.ErrorContains(t, err, "read-only")
}

// A method that does not return is answered in time, and costs no other method
// anything.
func TestAMethodThatHangsIsAnswered(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	g, _ := run(t, gateway.WithPlatform(newPlatform()), gateway.WithRPC("hang", func(context.Context, json.RawMessage) (telemetry.Value, error) {
		<-release
		return telemetry.Value{}, nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for range 2 {
		_, err := g.HandleRPC(ctx, "hang", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `"hang"`)
	}
	_, err := g.HandleRPC(t.Context(), "gateway_ping", nil)
	require.NoError(t, err)
}

func TestMethodsThatCannotBeAdded(t *testing.T) {
	f := func(context.Context, json.RawMessage) (telemetry.Value, error) { return telemetry.Value{}, nil }
	for name, opts := range map[string][]gateway.Option{
		"is taken": {gateway.WithRPC("gateway_ping", f)},
		"twice":    {gateway.WithRPC("mine", f), gateway.WithRPC("mine", f)},
		"no name":  {gateway.WithRPC("", f)},
		"nothing":  {gateway.WithRPC("mine", nil)},
	} {
		_, err := gateway.New(append(opts, gateway.WithPlatform(newPlatform()))...)
		require.ErrorContains(t, err, "remote procedure call", name)
	}
}
