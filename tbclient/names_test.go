package tbclient_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// echo answers calls with the name that the gateway has for the device.
func echo(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	return telemetry.String(r.Device), nil
}

func TestARenamedDeviceIsFollowed(t *testing.T) {
	for _, plain := range []bool{false, true} {
		srv := serve(t, tbtest.Config{PlainNotices: plain})
		cfg := config(t, srv)
		cfg.Names = filepath.Join(t.TempDir(), "state", "renamed.json")
		updates := make(chan connector.AttributeUpdate, 10)
		d := downlink{call: echo, update: func(_ context.Context, u connector.AttributeUpdate) error {
			updates <- u
			return nil
		}}
		c, stop := run(t, cfg, d)
		publish(t, c, group("Boiler", "k", 1, telemetry.Int(1)))
		reply, err := srv.Rename(within(t, patience), "Boiler", "Kessel")
		require.NoError(t, err)
		require.JSONEq(t, `{"success":true}`, string(reply))

		publish(t, c, group("Boiler", "k", 2, telemetry.Int(2)))
		last := func() tbtest.Reading { all := srv.Readings(); return all[len(all)-1] }
		require.Equal(t, "Kessel", last().Device)
		reply, err = srv.Call(within(t, patience), "Kessel", "name", nil)
		require.NoError(t, err)
		require.JSONEq(t, `"Boiler"`, string(reply))
		require.NoError(t, srv.PushAttributes("Kessel", map[string]any{"a": 1}))
		require.Equal(t, "Boiler", next(t, updates).Device)
		points, err := c.Attributes(within(t, patience), connector.AttributeQuery{Device: "Boiler", Shared: true, Keys: []string{"a"}})
		require.NoError(t, err)
		require.Len(t, points, 1)

		stop()
		c, stop = run(t, cfg, d)
		publish(t, c, group("Boiler", "k", 3, telemetry.Int(3)))
		require.Equal(t, "Kessel", last().Device, "a new client knows it too")
		_, err = srv.Rename(within(t, patience), "Kessel", "Boiler")
		require.NoError(t, err)
		publish(t, c, group("Boiler", "k", 4, telemetry.Int(4)))
		require.Equal(t, "Boiler", last().Device, "and that the old name is back")
		stop()
		raw, err := os.ReadFile(cfg.Names)
		require.NoError(t, err)
		require.JSONEq(t, `{}`, string(raw))
	}
}

func TestADeletedDeviceIsCreatedAgainByItsData(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{call: echo})
	publish(t, c, group("Boiler", "k", 1, telemetry.Int(1)), group("other", "k", 1, telemetry.Int(1)))
	_, err := srv.Rename(within(t, patience), "Boiler", "Kessel")
	require.NoError(t, err)
	publish(t, c, group("Boiler", "k", 2, telemetry.Int(1)))
	_, err = srv.Delete(within(t, patience), "Kessel")
	require.NoError(t, err)
	_, ok := srv.Device("Kessel")
	require.False(t, ok)
	publish(t, c, group("Boiler", "k", 3, telemetry.Int(1)), group("other", "k", 2, telemetry.Int(1)))
	_, err = srv.Delete(within(t, patience), "Boiler")
	require.NoError(t, err, "and once more, under its first name")
	before := srv.Stats().Announced
	publish(t, c, group("Boiler", "k", 4, telemetry.Int(1)), group("other", "k", 3, telemetry.Int(1)))
	dev, ok := srv.Device("Boiler")
	require.True(t, ok)
	require.Equal(t, tbtest.Device{Type: "meter", Online: true}, dev, "announced with its type")
	require.Equal(t, before+1, srv.Stats().Announced, "the other is not announced again")
	reply, err := srv.Call(within(t, patience), "Boiler", "name", nil)
	require.NoError(t, err)
	require.JSONEq(t, `"Boiler"`, string(reply))
}

func TestRenamesAreIgnoredOnRequest(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.IgnoreRenames = true
	c := connected(t, cfg, downlink{})
	publish(t, c, group("Boiler", "k", 1, telemetry.Int(1)))
	_, err := srv.Rename(within(t, patience), "Boiler", "Kessel")
	require.NoError(t, err)
	publish(t, c, group("Boiler", "k", 2, telemetry.Int(1)))
	_, ok := srv.Device("Boiler")
	require.True(t, ok)
}

func TestABadFileOfNamesIsReportedAndCostsNothingElse(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.Names = filepath.Join(t.TempDir(), "renamed.json")
	require.NoError(t, os.WriteFile(cfg.Names, []byte(`{"a":`), 0o600))
	var log logBuffer
	cfg.Logger = log.logger()
	c := connected(t, cfg, downlink{})
	require.Contains(t, log.String(), cfg.Names)
	publish(t, c, group("a", "k", 1, telemetry.Int(1)))
}

func TestNoticesThatMakeNoSenseAreAnsweredWithAnError(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	connected(t, config(t, srv), downlink{})
	for method, params := range map[string][]any{
		"gateway_device_renamed": {nil, 5, "x", []int{1}, map[string]any{"a": 1}, map[string]any{"a": ""}, map[string]any{"": "a"}},
		"gateway_device_deleted": {"", `""`},
	} {
		for _, p := range params {
			reply, err := srv.CallGateway(within(t, patience), method, p)
			require.NoError(t, err)
			if p != nil {
				require.Contains(t, string(reply), `"code":500`, "%s %v", method, p)
			}
		}
	}
}
