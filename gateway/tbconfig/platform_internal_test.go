package tbconfig

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

func clientOf(t *testing.T, text string) tbclient.Config {
	t.Helper()
	var tb ThingsBoard
	require.NoError(t, json.Unmarshal([]byte(text), &tb))
	c, err := tb.client(t.TempDir(), "state", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return c
}

func TestEveryKeyOfThePlatformReachesTheClient(t *testing.T) {
	c := clientOf(t, `{"host":"h","port":1884,"qos":1,"keep_alive":30,"proxy_host":"proxy","proxy_port":8080,
		"handleDeviceRenaming":false,"syncDevicesSharedAttributesOnConnect":false,
		"checkingDeviceActivity":{"checkDeviceInactivity":true,"inactivityTimeoutSeconds":300},
		"rateLimits":"1:1","dpRateLimits":"2:1","messagesRateLimits":"3:1",
		"deviceRateLimits":"4:1","deviceDpRateLimits":"5:1","deviceMessagesRateLimits":"6:1",
		"mqttVersion":5,"confirmSeconds":1.5,"protobuf":true,
		"security":{"type":"usernamePassword","username":"u","password":"p","clientId":"c","tls":true,"insecure":true,"checkCertPeriod":60,"certificateDaysLeft":9}}`)
	require.NotNil(t, c.TLSFiles)
	require.Equal(t, tbclient.TLSFiles{Dir: c.TLSFiles.Dir, SkipVerify: true, WarnDays: 9, CheckEvery: time.Minute}, *c.TLSFiles)
	c.TLSFiles, c.Logger = nil, nil
	require.Equal(t, tbclient.Config{
		Broker: "tls://h:1884", Version: 5, Username: "u", Password: "p", ClientID: "c", KeepAlive: 30 * time.Second,
		Proxy: "http://proxy:8080", IgnoreRenames: true, KeepUnsynced: true,
		OwnRates: tbclient.Rates{TelemetryMessages: "1:1", DataPoints: "2:1", Messages: "3:1"},
		Rates:    tbclient.Rates{TelemetryMessages: "4:1", DataPoints: "5:1", Messages: "6:1"},
		Confirm:  1500 * time.Millisecond, Protobuf: true,
		Names: filepath.Join("state", "renamed_devices.json"), Quarantine: filepath.Join("state", "quarantine.jsonl"),
	}, c)
}

func TestDefaultRateLimitsDependOnTheHost(t *testing.T) {
	const rest = `"rateLimits":"DEFAULT_TELEMETRY_RATE_LIMIT","deviceDpRateLimits":"0:0,","security":{"accessToken":"x"}}`
	c := clientOf(t, `{"host":"thingsboard.cloud",`+rest)
	require.Equal(t, tbclient.Rates{Messages: cloudMessages, TelemetryMessages: cloudMessages, DataPoints: cloudDataPoints}, c.OwnRates)
	require.Equal(t, tbclient.Rates{Messages: cloudMessages, TelemetryMessages: cloudMessages, DataPoints: "0:0,"}, c.Rates)
	c = clientOf(t, `{"host":"10.0.0.5",`+rest)
	require.Zero(t, c.OwnRates)
}

func TestCredentialsAreProvisioned(t *testing.T) {
	srv, err := tbtest.NewServer(tbtest.Config{Provision: &tbtest.Provision{Key: "pk", Secret: "ps"}, Token: "nobody"})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	tb := ThingsBoard{Host: "ignored", Provisioning: &Provisioning{Key: "pk", Secret: "ps", DeviceName: "GW"}}
	c, err := tb.client(dir, "state", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c.Broker = srv.URL()
	require.NoError(t, tb.Provisioning.apply(&c, dir))
	require.NoError(t, c.Credentials(t.Context(), &c))
	require.NotEmpty(t, c.AccessToken)
	require.Equal(t, []tbtest.Provisioned{{Name: "GW", Gateway: true}}, srv.Provisioned())
	info, err := os.Stat(filepath.Join(dir, ".credentials"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)

	t.Run("once", func(t *testing.T) {
		tb := ThingsBoard{Host: "h"} // not even the section is needed any more
		again, err := tb.client(dir, "state", slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.NoError(t, again.Credentials(t.Context(), &again))
		require.Equal(t, c.AccessToken, again.AccessToken)
		require.Len(t, srv.Provisioned(), 1)
	})
}
