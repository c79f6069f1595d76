package snmp_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func load(t *testing.T, doc string) (snmp.Config, *logbook, error) {
	t.Helper()
	log := &logbook{}
	cfg, err := snmp.Load(json.RawMessage(doc), connector.Env{Logger: slog.New(slog.NewTextHandler(log, nil))})
	return cfg, log, err
}

func TestAFileOfTheReferenceGatewayIsRead(t *testing.T) {
	doc, err := os.ReadFile("testdata/reference.json")
	require.NoError(t, err)
	cfg, log, err := load(t, string(doc))
	require.NoError(t, err)
	require.Len(t, cfg.Devices, 2)
	d := cfg.Devices[0]
	require.Equal(t, "SNMP router", d.Name)
	require.Equal(t, "snmp", d.Profile)
	require.Equal(t, "snmp.example:161", d.Address)
	require.Equal(t, "public", d.Community)
	require.Equal(t, snmp.V2c, d.Version)
	require.Equal(t, 5*time.Second, d.Poll)
	require.Equal(t, 6*time.Second, d.Timeout)
	require.Len(t, d.Objects, 9)
	require.Equal(t, snmp.Object{Key: "ReceivedFromGet", Attribute: true, OIDs: []string{"1.3.6.1.2.1.1.1.0"}, Scale: 1}, d.Objects[0])
	require.Equal(t, snmp.BulkGet, d.Objects[7].Method)
	require.Equal(t, []string{"1.3.6.1.2.1.1.1.0"}, d.Objects[7].Scalars)
	require.Equal(t, 3, d.Objects[7].Repetitions)
	require.Len(t, d.AttributeUpdates, 2)
	require.Equal(t, []snmp.Write{{OID: "1.3.6.1.2.1.1.5.0", Value: "${attribute}"}, {OID: "1.3.6.1.2.1.1.6.0", Value: "10"}}, d.AttributeUpdates[1].Writes)
	require.Len(t, d.RPC, 3)
	require.Equal(t, 5*time.Second, d.RPC[0].Timeout)
	require.Equal(t, 2*time.Second, d.RPC[1].Timeout)
	require.Equal(t, "127.0.0.1:161", cfg.Devices[1].Address)
	require.True(t, cfg.WrapResults)
	require.False(t, cfg.Compatible)
	require.Equal(t, 1, log.count("have no effect"), log.String())
	require.Contains(t, log.String(), "devices[].attributes[].timeout")
	require.NotContains(t, log.String(), "without a meaning")
}

func TestKeysOfItsOwn(t *testing.T) {
	cfg, log, err := load(t, `{
		"compatibility": "thingsboard", "oids": {"sysName": "1.3.6.1.2.1.1.5", "ifTable": ".1.3.6.1.2.1.2.2"},
		"reportStrategy": {"type": "ON_CHANGE"},
		"devices": [{
			"deviceName": "d", "ip": "fe80::1", "version": "v3", "transport": "tcp", "retries": 0, "maxOids": 20, "bulkSize": 5,
			"security": {"username": "u", "authProtocol": "SHA-256", "authPassword": "password1", "privProtocol": "AES", "privPassword": "password2",
				"contextName": "c", "contextEngineId": "80:00:1f:88:01"},
			"telemetry": [
				{"key": "name", "oid": "SNMPv2-MIB::sysName.0", "encoding": "hex", "pollPeriod": 1000, "reportStrategy": {"type": "ON_RECEIVED"}},
				{"key": "t", "method": "BulkTable", "oid": "ifTable", "multiplier": 2, "divider": 10}],
			"serverSideRpcRequests": [{"requestFilter": "on", "method": "set", "oid": "sysName.0", "value": "1", "dataType": "integer"}]
		}],
		"traps": {
			"host": "127.0.0.1", "port": 1162, "communities": ["a"], "users": [{"username": "v", "authProtocol": "MD5", "authPassword": "password3"}],
			"engineId": "0x80001f8801", "unmapped": false, "unknownDeviceName": "x ${address}", "unknownDeviceType": "y",
			"mappings": [{"trap": "sysName.*", "key": "k", "value": "v",
				"telemetry": [{"key": "a", "oid": "sysName", "divider": 10}], "attributes": [{"key": "b", "oid": "sysName", "encoding": "text"}]}]
		}}`)
	require.NoError(t, err)
	require.Empty(t, log.String())
	d := cfg.Devices[0]
	require.Equal(t, "[fe80::1]:161", d.Address)
	require.True(t, d.TCP)
	require.Equal(t, snmp.V3, d.Version)
	require.Equal(t, snmp.User{
		Name: "u", Auth: "SHA-256", AuthPassword: "password1", Priv: "AES", PrivPassword: "password2", ContextName: "c", ContextEngine: "80:00:1f:88:01",
	}, *d.User)
	require.Equal(t, -1, d.Retries)
	require.Equal(t, 20, d.MaxOIDs)
	require.Equal(t, 5, d.MaxRepetitions)
	require.Equal(t, snmp.Hex, d.Objects[0].Encoding)
	require.Equal(t, time.Second, d.Objects[0].Poll)
	require.Equal(t, telemetry.OnReceived, d.Objects[0].Report.Mode)
	require.Equal(t, telemetry.OnChange, d.Objects[1].Report.Mode)
	require.InDelta(t, 0.2, d.Objects[1].Scale, 0)
	require.Equal(t, []snmp.Write{{OID: "sysName.0", Syntax: snmp.Integer, Value: "1"}}, d.RPC[0].Writes)
	require.Equal(t, "127.0.0.1:1162", cfg.Traps.Address)
	require.True(t, cfg.Traps.DropUnmapped)
	require.Equal(t, "x ${address}", cfg.Traps.Unknown)
	m := cfg.Traps.Mappings[0]
	require.Equal(t, "sysName.*", m.Trap)
	require.True(t, m.Objects[0].Attribute)
	require.Equal(t, snmp.Text, m.Objects[0].Encoding)
	require.InDelta(t, 0.1, m.Objects[1].Scale, 0)
	require.True(t, cfg.Compatible)
}

func TestEveryMistakeInAFileIsNamedWithItsPath(t *testing.T) {
	_, log, err := load(t, `{
		"oids": {"bad": "x.y"}, "colour": "red",
		"devices": [
			{"ip": "h", "pollPeriod": 0, "timeout": 0, "converter": "MyConverter", "version": "v4"},
			{"deviceName": "b", "telemetry": [{"oid": "1.3.6"}, {"key": "k", "oid": "nobody.1"}, {"key": "m", "method": "table", "oid": ["1.3.6", "1.3.7"]},
				{"key": "w", "method": "set", "oid": "1.3.6"}, {"key": "z", "oid": "1.3.6", "divider": 0}],
			 "serverSideRpcRequests": [{"requestFilter": "(", "oid": "1.3.6"}, {"requestFilter": "a", "method": "fly", "oid": "1.3.6"},
				{"requestFilter": "b", "method": "set"}, {"requestFilter": "c", "method": "set", "oid": "1.3.6", "dataType": "colour"}]},
			{"deviceName": "c", "ip": "h", "version": 3, "security": {"authProtocol": "ROT13"}}],
		"traps": {"mappings": [{"trap": "1.3.6"}, {"key": "a"}]}
	}`)
	require.Error(t, err)
	for _, text := range []string{
		"oids.bad:", "devices[0].deviceName: is missing", "devices[0].pollPeriod: is zero", "devices[0].timeout: is zero", `devices[0].converter: "MyConverter"`,
		`devices[0].version: "v4" is not one of`, "devices[1].ip: is missing", "devices[1].telemetry[0].key: is missing",
		`devices[1].telemetry[1]: oid: "nobody.1" is no name`, "devices[1].telemetry[2]: oid: table takes one, not 2",
		"devices[1].telemetry[3]: method: set cannot be polled", "devices[1].telemetry[4].multiplier: it or the divider is zero",
		"devices[1].serverSideRpcRequests[0]: name: error parsing regexp", `devices[1].serverSideRpcRequests[1].method: "fly"`,
		"devices[1].serverSideRpcRequests[2]: oid: 0 to write", `devices[1].serverSideRpcRequests[3].dataType: "colour"`,
		"traps.mappings[0]: neither a key nor objects", "traps.mappings[1].trap: is missing",
	} {
		require.ErrorContains(t, err, text)
	}
	require.Contains(t, log.String(), "colour")
	_, _, err = load(t, `{"devices": [{"deviceName": "c", "ip": "h", "version": 3, "security": {"authProtocol": "ROT13"}}]}`)
	require.ErrorContains(t, err, `device "c": security.username: missing`)
	require.ErrorContains(t, err, `device "c": security.authProtocol: "ROT13" is not one of`)
	_, _, err = load(t, `{}`)
	require.ErrorContains(t, err, "devices: is missing")
}

func TestAMethodThatDoesNotExistCostsOnlyItsObject(t *testing.T) {
	cfg, log, err := load(t, `{"devices": [{"deviceName": "d", "ip": "h", "telemetry": [{"key": "a", "method": "fetch", "oid": "1.3.6"}, {"key": "b", "oid": "1.3.6"}]}]}`)
	require.NoError(t, err)
	require.Len(t, cfg.Devices[0].Objects, 1)
	require.Contains(t, log.String(), `devices[0].telemetry[0].method: \"fetch\" is not one of`)
}
