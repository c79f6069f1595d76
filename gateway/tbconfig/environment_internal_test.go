package tbconfig

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient"
)

func override(t *testing.T, tb ThingsBoard, env map[string]string) (tbclient.Config, ThingsBoard) {
	t.Helper()
	require.NoError(t, tb.environment(func(name string) string { return env[name] }))
	c, err := tb.client(t.TempDir(), "state", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return c, tb
}

func TestTheEnvironmentComesBeforeTheFile(t *testing.T) {
	file := ThingsBoard{Host: "file", Port: 1, Security: Security{Type: "accessToken", AccessToken: "file", TLS: true}}
	c, _ := override(t, file, nil)
	require.Equal(t, "tls://file:1", c.Broker)
	c, _ = override(t, file, map[string]string{
		"TB_GW_HOST": "env", "TB_GW_PORT": "2", "TB_GW_ACCESS_TOKEN": "token", "TB_GW_PROXY_HOST": "p", "TB_GW_PROXY_PORT": "3", "host": "bare",
		"TB_GW_RATE_LIMITS": "1:1", "TB_GW_DP_RATE_LIMITS": "2:1", "TB_GW_DEVICE_RATE_LIMITS": "3:1",
	})
	require.Equal(t, "tcp://env:2", c.Broker, "a variable of security replaces the section")
	require.Equal(t, "token", c.AccessToken)
	require.Equal(t, "http://p:3", c.Proxy)
	require.Equal(t, tbclient.Rates{Messages: "1:1", TelemetryMessages: "1:1", DataPoints: "2:1"}, c.OwnRates)
	require.Equal(t, tbclient.Rates{Messages: "1:1", TelemetryMessages: "3:1", DataPoints: "2:1"}, c.Rates)
	c, _ = override(t, file, map[string]string{"TB_GW_USERNAME": "u", "TB_GW_PASSWORD": "p", "TB_GW_CLIENT_ID": "c"})
	require.Equal(t, [3]string{"u", "p", "c"}, [3]string{c.Username, c.Password, c.ClientID})
}

func TestProvisioningOfTheEnvironmentComesBeforeCredentialsOfTheFile(t *testing.T) {
	file := ThingsBoard{Host: "file", Security: Security{Type: "accessToken", AccessToken: "file"}}
	c, tb := override(t, file, map[string]string{"TB_GW_PROVISIONING_DEVICE_KEY": "k", "TB_GW_PROVISIONING_DEVICE_SECRET": "s", "TB_GW_PROVISIONING_DEVICE_NAME": "n"})
	require.NotNil(t, c.Credentials)
	require.Empty(t, c.AccessToken)
	require.Equal(t, Provisioning{Key: "k", Secret: "s", DeviceName: "n"}, *tb.Provisioning)
}

func TestABadVariableIsNamed(t *testing.T) {
	var tb ThingsBoard
	err := tb.environment(func(name string) string { return map[string]string{"TB_GW_PORT": "high"}[name] })
	require.ErrorContains(t, err, `TB_GW_PORT: "high"`)
}
