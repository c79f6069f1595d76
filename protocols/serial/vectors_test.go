package serial_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/serial"
)

func TestVectors(t *testing.T) {
	sd := func(values string) string {
		return `{"deviceName":"SD","deviceType":"default","attributes":{},"telemetry":[{"ts":1700000000000,"values":` + values + `}]}`
	}
	convertertest.Run(t, convertertest.Suite{
		Folder: "custom_serial",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, "")
		},
		Compatible: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, "thingsboard")
		},
		Restores: []string{"both_bounds_swapped", "from_delimiter_keeps_delimiter", "zero_value_dropped"},
		Better: map[string]string{
			"both_bounds_swapped":            sd(`{"h":"BC"}`),
			"from_delimiter_keeps_delimiter": sd(`{"h":"12"}`),
			"zero_value_dropped":             sd(`{"h":0,"g":0}`),
		},
	})
}

// runVector sends the bytes of a vector to a device that is loaded of a file, or
// takes them for the answer to a call.
func runVector(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error) {
	tb.Helper()
	v.NowMs = 1_700_000_000_000 // the files do not say it
	var in struct {
		DataHex   string
		RPCConfig map[string]any `json:"rpcConfig"`
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	data, err := hex.DecodeString(in.DataHex)
	require.NoError(tb, err)
	var device map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &device))
	device["port"] = "/dev/ttyS0"
	if in.RPCConfig != nil {
		call := map[string]any{"method": "m", "withResponse": true}
		for key, value := range in.RPCConfig {
			call["response"+strings.ToUpper(key[:1])+key[1:]] = value
		}
		device["serverSideRpc"] = []any{call}
	}
	doc, err := json.Marshal(map[string]any{"compatibility": compatibility, "devices": []any{device}})
	require.NoError(tb, err)
	c, err := serial.Type().New(doc, connector.Env{Name: "test"})
	require.NoError(tb, err)
	if in.RPCConfig == nil {
		return serial.Convert(c, data)
	}
	answer, err := serial.Answer(c, data)
	return json.RawMessage(fmt.Sprintf(`{"result":%s}`, answer.AppendJSON(nil))), err
}
