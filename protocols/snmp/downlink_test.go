package snmp_test

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func call(t *testing.T, c *snmp.Connector, method, params string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := connector.RPCRequest{Device: "d", ID: 1, Method: method, Params: json.RawMessage(params)}
	v, err := c.HandleRPC(ctx, r)
	for end := time.Now().Add(10 * time.Second); err != nil && err.Error() == "snmp: d "+method+": poll: not running" && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		v, err = c.HandleRPC(ctx, r)
	}
	return string(v.AppendJSON(nil)), err
}

// commands returns a connector of an agent with an object of each type that can be
// written.
func commands(t *testing.T) (*agent, *snmp.Connector) {
	t.Helper()
	a := newAgent(t)
	for oid, value := range map[string]string{
		"1.0": "INTEGER 5", "2.0": `STRING "x"`, "3.0": "Gauge32 7", "4.0": "Timeticks 100", "5.0": "IpAddress 192.0.2.1",
		"6.0": "OID 1.3.6.1", "7.0": "Counter64 9", "8.0": "Counter32 9",
	} {
		a.set(t, base+oid, value)
	}
	set := func(name, oid string) snmp.Command {
		return snmp.Command{Name: name, Method: snmp.Set, OIDs: []string{base + oid}}
	}
	d := device(a)
	d.RPC = []snmp.Command{
		set("integer", "1.0"), set("text", "2.0"), set("gauge", "3.0"), set("ticks", "4.0"), set("address", "5.0"), set("oid", "6.0"),
		set("counter64", "7.0"), set("counter32", "8.0"), set("new", "90.0"),
		{Name: "scaled", Method: snmp.Set, OIDs: []string{base + "1.0"}, Scale: 0.1},
		{Name: "hex", Method: snmp.Set, OIDs: []string{base + "2.0"}, Syntax: snmp.HexString},
		{Name: "both", Method: snmp.MultiSet, Writes: []snmp.Write{
			{OID: base + "1.0", Value: "${params.n}"}, {OID: base + "2.0", Value: "port ${params.n}"},
		}},
		{Name: "read(Name|It)", OIDs: []string{base + "2.0"}},
		{Name: "walk", Method: snmp.Walk, OIDs: []string{base + "1"}},
		{Name: "missing", OIDs: []string{base + "99.0"}},
	}
	d.AttributeUpdates = []snmp.Command{
		set("interval", "1.0"),
		{Name: "label", Method: snmp.Set, OIDs: []string{base + "2.0"}, Writes: []snmp.Write{{OID: base + "2.0", Value: "<${attribute}>"}}},
	}
	c := connect(d)
	_, _ = run(t, c)
	return a, c
}

func TestValuesAreWrittenWithTheTypeOfTheObject(t *testing.T) {
	a, c := commands(t)
	for _, test := range []struct {
		method, params, result, oid string
		typ                         gosnmp.Asn1BER
		value                       any
	}{
		{"integer", "-6", "-6", "1.0", gosnmp.Integer, -6},
		{"integer", `"7"`, `"7"`, "1.0", gosnmp.Integer, 7},
		{"integer", `{"value": 8}`, "8", "1.0", gosnmp.Integer, 8},
		{"integer", "false", "false", "1.0", gosnmp.Integer, 2},
		{"scaled", "21.5", "21.5", "1.0", gosnmp.Integer, 215},
		{"text", `"hall 3"`, `"hall 3"`, "2.0", gosnmp.OctetString, []byte("hall 3")},
		{"text", "5", "5", "2.0", gosnmp.OctetString, []byte("5")},
		{"hex", `"00:1b:FE"`, `"00:1b:FE"`, "2.0", gosnmp.OctetString, []byte{0, 0x1b, 0xfe}},
		{"gauge", "4294967295", "4294967295", "3.0", gosnmp.Gauge32, uint(math.MaxUint32)},
		{"ticks", "12.34", "12.34", "4.0", gosnmp.TimeTicks, uint32(1234)},
		{"address", `"192.0.2.9"`, `"192.0.2.9"`, "5.0", gosnmp.IPAddress, "192.0.2.9"},
		{"oid", `"1.3.6.1.4"`, `"1.3.6.1.4"`, "6.0", gosnmp.ObjectIdentifier, ".1.3.6.1.4"},
		{"counter64", "18446744073709551615", `"18446744073709551615"`, "7.0", gosnmp.Counter64, uint64(math.MaxUint64)},
		{"counter32", "3", "3", "8.0", gosnmp.Counter32, uint(3)},
		{"new", "3", "3", "90.0", gosnmp.Integer, 3},
		{"set", `"method=set;oid=` + base + `2.0;value=a=b;c;"`, `"a=b;c"`, "2.0", gosnmp.OctetString, []byte("a=b;c")},
		{"set", `{"oid": "` + base + `1.0", "value": 44, "type": "integer"}`, "44", "1.0", gosnmp.Integer, 44},
	} {
		got, err := call(t, c, test.method, test.params)
		require.NoError(t, err, test.method)
		require.Equal(t, test.result, got, test.method)
		require.EqualValues(t, test.value, a.get(base+test.oid), test.method)
		a.do(func() { require.Equal(t, test.typ, a.values[base+test.oid].Type, test.method) })
	}
}

func TestAValueThatDoesNotFitIsNotWritten(t *testing.T) {
	a, c := commands(t)
	for _, test := range []struct{ method, params, want string }{
		{"integer", "2147483648", "is not a whole number from -2147483648 to 2147483647"},
		{"integer", "1.5", "is not a whole number"},
		{"integer", `"many"`, "is not a whole number"},
		{"integer", "", "there is no value to write"},
		{"gauge", "-1", "is not a whole number from 0 to 4294967295"},
		{"gauge", "4294967296", "is not a whole number"},
		{"ticks", "-5", "do not fit"},
		{"address", `"300.1.1.1"`, "is not an IPv4 address"},
		{"oid", `"x"`, "is not an object identifier"},
		{"hex", `"xy"`, "is not hexadecimal"},
		{"new", "1.5", "name it"},
		{"scaled", "21.55", "is not a whole number"},
		{"both", "5", "is not an object with a member"},
		{"both", `{"m": 5}`, `have no member "n"`},
		{"missing", "", "noSuchInstance"},
		{"zzz", "", "method not found"},
		{"get", "", "parameters are neither"},
		{"get", `"oid=1.3.zz;"`, "is not an object identifier"},
		{"get", `"method=set;oid=` + base + `1.0;value=5"`, "is not one to get with"},
		{"set", `"oid=` + base + `1.0;colour=red"`, `unknown setting "colour"`},
		{"set", `{"oid": 5}`, "neither text nor a list"},
		{"integer", "{", "not JSON"},
	} {
		_, err := call(t, c, test.method, test.params)
		require.ErrorContains(t, err, test.want, test.method)
		require.ErrorContains(t, err, "snmp: d "+test.method)
	}
	for _, r := range a.log() {
		require.NotEqual(t, gosnmp.SetRequest, r.kind)
	}
}

func TestAnErrorOfTheAgentNamesTheObject(t *testing.T) {
	a, c := commands(t)
	a.do(func() { a.faulty[base+"2.0"] = gosnmp.NotWritable })
	_, err := call(t, c, "both", `{"n": 4}`)
	require.EqualError(t, err, "snmp: d both: "+base+"2.0: the agent answers notWritable (error 17)")
}

func TestSeveralObjectsAreWrittenInOneRequest(t *testing.T) {
	a, c := commands(t)
	got, err := call(t, c, "both", `{"n": 4}`)
	require.NoError(t, err)
	require.JSONEq(t, `{"`+base+`1.0":4,"`+base+`2.0":"port 4"}`, got)
	require.EqualValues(t, 4, a.get(base+"1.0"))
	require.EqualValues(t, "port 4", a.get(base+"2.0"))
	sets := 0
	for _, r := range a.log() {
		if r.kind == gosnmp.SetRequest {
			sets++
		}
	}
	require.Equal(t, 1, sets)
}

func TestCommandsRead(t *testing.T) {
	_, c := commands(t)
	for _, method := range []string{"readName", "readIt"} {
		got, err := call(t, c, method, "{}")
		require.NoError(t, err)
		require.Equal(t, `"x"`, got)
	}
	got, err := call(t, c, "walk", "")
	require.NoError(t, err)
	require.Equal(t, `{"`+base+`1.0":5}`, got)
	got, err = call(t, c, "get", `{"method": "multiget", "oid": ["`+base+`1.0", "`+base+`3.0"]}`)
	require.NoError(t, err)
	require.Equal(t, "[5,7]", got)
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{Device: "other", Method: "get"})
	require.EqualError(t, err, `snmp: no device "other"`)
}

func TestSharedAttributesAreWritten(t *testing.T) {
	a, c := commands(t)
	require.Equal(t, []string{"interval", "label"}, c.SharedAttributes("d"))
	_, err := call(t, c, "readIt", "") // it runs
	require.NoError(t, err)
	err = c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "d", Attributes: []telemetry.Point{
		{Key: "interval", Value: telemetry.String("soon")}, {Key: "label", Value: telemetry.String("b")}, {Key: "other", Value: telemetry.Int(1)},
	}})
	require.ErrorContains(t, err, `snmp: d interval: `+base+`1.0: "soon" is not a whole number`)
	require.EqualValues(t, "<b>", a.get(base+"2.0"), "one attribute that does not fit costs another")
}

func TestPatternsOfAttributesAskForAll(t *testing.T) {
	c := connect(snmp.Device{Name: "d", Address: "127.0.0.1", AttributeUpdates: []snmp.Command{
		{Name: "a.*", Method: snmp.Set, OIDs: []string{base + "1.0"}},
	}})
	require.Equal(t, []string{connector.AllAttributes}, c.SharedAttributes("d"))
}

func TestACommandToASilentDeviceFailsInTime(t *testing.T) {
	a, c := commands(t)
	_, err := call(t, c, "readIt", "")
	require.NoError(t, err)
	a.do(func() { a.silent = true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = c.HandleRPC(ctx, connector.RPCRequest{Device: "d", Method: "readIt"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
