package tbclient_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// inGateway runs a gateway with a client of srv and a connector that has
// announced the device "d".
func inGateway(t *testing.T, c *tbclient.Client, opts ...gateway.Option) (*gateway.Gateway, connector.Host) {
	t.Helper()
	hosts := make(chan connector.Host, 1)
	conn := connector.Func(func(ctx context.Context, h connector.Host) error {
		h.Ready()
		hosts <- h
		<-ctx.Done()
		return nil
	})
	g, err := gateway.New(append(opts, gateway.WithPlatform(c), gateway.WithConnector("plant", conn, gateway.WithType("custom")))...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	h := <-hosts
	require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "d", Profile: "meter"}))
	eventually(t, "connected", c.Connected)
	return g, h
}

func TestTheGatewayAnswersCallsToItself(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	double := func(_ context.Context, params json.RawMessage) (telemetry.Value, error) {
		return telemetry.JSON(append(append([]byte{'['}, params...), ']'))
	}
	inGateway(t, tbclient.Dial(config(t, srv)), gateway.WithRPC("wrap", double), gateway.WithVersion("1.2.0"))
	for method, want := range map[string]string{
		"wrap":            `[{}]`,
		"gateway_ping":    `{"code":200,"resp":"pong"}`,
		"gateway_devices": `{"code":200,"resp":{"d":"plant"}}`,
		"gateway_version": `{"code":200,"resp":{"current_version":"1.2.0","latest_version":"1.2.0"}}`,
		"gateway_stats":   `{"eventsProduced":0,"eventsSent":0,"plantEventsProduced":0,"plantEventsSent":0}`,
		"gateway_restart": `{"error":"gateway_restart: this gateway does not offer that","code":500}`,
		"gateway_what":    `{"error":"\"gateway_what\": method not found","code":404}`,
		"custom_do":       `{"error":"connector \"plant\": the device's connector does not take such commands","code":500}`,
	} {
		reply, err := srv.CallGateway(within(t, patience), method, map[string]any{})
		require.NoError(t, err)
		require.JSONEq(t, want, string(reply), method)
	}
}

func TestTheGatewayKnowsWhatBecomesOfDevices(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	g, h := inGateway(t, tbclient.Dial(config(t, srv)))
	var b telemetry.Batch
	b.Device("d", "meter")
	b.Telemetry("k", telemetry.Int(1))
	require.NoError(t, connector.Deliver(t.Context(), h, &b))
	eventually(t, "published", func() bool { return len(srv.Readings()) == 1 })
	_, err := srv.Rename(within(t, patience), "d", "Kessel")
	require.NoError(t, err)
	require.Equal(t, "Kessel", g.Devices()[0].Renamed)
	_, err = srv.Delete(within(t, patience), "Kessel")
	require.NoError(t, err)
	require.Empty(t, g.Devices())
}

// A connection is tried, also one that takes the place of the present one, and
// the present one is used again if the platform refuses it.
func TestAConnectionIsTriedBeforeItIsUsed(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	first := tbclient.Dial(config(t, srv))
	g, h := inGateway(t, first)

	wrong := config(t, srv)
	wrong.AccessToken = "not the token"
	bad := tbclient.Dial(wrong)
	require.False(t, bad.Excludes(first))
	ctx, cancel := context.WithCancel(t.Context())
	tried := make(chan error, 1)
	go func() { tried <- g.SetPlatform(ctx, bad, patience) }()
	eventually(t, "it is refused", func() bool { return bad.LastError() != nil })
	cancel()
	err := <-tried
	require.ErrorIs(t, err, tbclient.ErrCredentials)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, first.Connected())

	same := config(t, srv)
	same.KeepAlive = time.Second
	next := tbclient.Dial(same)
	require.True(t, next.Excludes(first))
	require.NoError(t, g.SetPlatform(t.Context(), next, patience))
	require.False(t, first.Connected())
	require.True(t, next.Connected())
	require.NoError(t, next.LastError())
	var b telemetry.Batch
	b.Device("d", "meter")
	b.Telemetry("k", telemetry.Int(1))
	require.NoError(t, connector.Deliver(t.Context(), h, &b))
	eventually(t, "published", func() bool { return len(srv.Readings()) == 1 })
}
