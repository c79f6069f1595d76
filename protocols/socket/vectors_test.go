package socket_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/socket"
)

func TestVectors(t *testing.T) {
	s1 := func(values string) string {
		return `{"deviceName":"S1","deviceType":"default","attributes":{},"telemetry":[{"ts":1700000000000,"values":` + values + `}]}`
	}
	convertertest.Run(t, convertertest.Suite{
		Folder: "socket",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, "")
		},
		Compatible: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, "thingsboard")
		},
		Restores: []string{"utf16_encoding", "invalid_utf8"},
		Better: map[string]string{
			"missing_key":    s1(`{"b":"Y"}`),
			"invalid_utf8":   convertertest.Refused,
			"utf16_encoding": s1(`{"a":"AB"}`),
		},
	}, convertertest.Suite{
		Folder: "config_migration",
		Glob:   "socket_*.json",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			old, err := socket.Load(string(v.Input))
			require.NoError(tb, err)
			now, err := socket.Load(string(v.Expected))
			require.NoError(tb, err)
			require.Equal(tb, now, old, "the old file and the new one mean the same")
			return v.Expected, nil
		},
	})
}

// runVector sends the bytes of a vector to a device that is loaded of a file.
func runVector(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error) {
	tb.Helper()
	var in struct{ DataHex string }
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	data, err := hex.DecodeString(in.DataHex)
	require.NoError(tb, err)
	var device map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &device))
	doc, err := json.Marshal(map[string]any{"compatibility": compatibility, "devices": []any{device}})
	require.NoError(tb, err)
	c, err := socket.Type().New(doc, connector.Env{Name: "test"})
	if err != nil {
		return nil, err
	}
	return socket.Convert(c, data)
}
