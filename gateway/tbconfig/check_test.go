package tbconfig_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

func TestCheckReportsEveryProblemWithItsPlace(t *testing.T) {
	dir := write(t, map[string]string{
		"tb_gateway.json": `{
  "thingsboard": {
    "host": "h", "port": 70000,
    "remoteShell": true,
    "security": {"type": "accessToken", "accessToken": "s3cret"}
  },
  "storage": {"type": "tape"},
  "connectors": [
    {"type": "mqtt", "name": "a", "configuration": "mqtt.json"},
    {"type": "modbus", "name": "b", "configuration": "modbus.json"},
    {"type": "magic", "name": "c", "configuration": "mqtt.json"},
    {"type": "mqtt", "name": "d", "configuration": "absent.json"},
    {"type": "mqtt", "name": "a", "configuration": "broken.json"}
  ]
}`,
		"mqtt.json": `{
  "broker": {"host": "h", "security": {"type": "anonymous"}},
  "mapping": [
    {"topicFilter": "a/#/b", "converter": {"type": "json", "deviceInfo": {"deviceNameExpressionSource": "constant", "deviceNameExpression": "d"}}}
  ]
}`,
		"modbus.json": `{"master": {"slaves": [
  {"host": "h", "port": 502, "type": "tcp", "method": "socket", "unitId": 1, "deviceName": "d",
   "timeseries": [{"tag": "x", "type": "16int", "functionCode": 9, "objectsCount": 1, "address": 0}]}
]}}`,
		"broken.json": "{\n  \"broker\": }",
	})
	problems := tbconfig.Check(dir, modbus.Type(), mqtt.Type())
	var got []string
	for _, p := range problems {
		p.File = filepath.Base(p.File)
		got = append(got, p.String())
		require.NotContains(t, p.String(), "s3cret")
	}
	for _, want := range []string{
		`^tb_gateway.json:3:\d+: thingsboard.port: 70000 is not a port$`,
		`^tb_gateway.json:4:\d+: warning: thingsboard.remoteShell: setting has no effect`,
		`^tb_gateway.json:7:\d+: storage.type: "tape" is not`,
		`^mqtt.json:4:\d+: mapping\[0\].*a/#/b`,
		`^modbus.json:3:\d+: .*functionCode.*9`,
		`^tb_gateway.json:\d+:\d+: connectors\[2\].*"?magic`,
		`^tb_gateway.json:12:\d+: connectors\[3\].configuration: .*absent.json`,
		`^broken.json:2:\d+: invalid character`,
		`^tb_gateway.json:13:\d+: connectors\[4\].name: "a" is used twice$`,
	} {
		found := false
		for _, line := range got {
			found = found || regexpMatch(want, line)
		}
		require.True(t, found, "%s is not in\n%s", want, join(got))
	}
	require.Len(t, got, 9, join(got))
}

func TestCheckFindsNothingInAGoodConfiguration(t *testing.T) {
	dir := write(t, map[string]string{"tb_gateway.json": `{"thingsboard":{"host":"h","security":{"accessToken":"x"}},"storage":{"type":"file","data_folder_path":"never"}}`})
	require.Empty(t, tbconfig.Check(filepath.Join(dir, "tb_gateway.json")))
	require.NoDirExists(t, "never", "the store is not opened")
	problems := tbconfig.Check(filepath.Join(dir, "absent.json"))
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].String(), "absent.json: there is no such file")
}

func regexpMatch(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }

func join(lines []string) string { return strings.Join(lines, "\n") }
