package opcua_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// two is a configuration for two objects that have the same names in them.
func two(s *fakeServer) opcua.Config {
	s.grow(nil)
	return opcua.Config{URL: s.url(), WrapResults: true, Mappings: []opcua.Mapping{{
		Node: `Root\.Objects\.MyObject\d`, DeviceName: "${Name}",
		Telemetry: []opcua.Item{{Key: "temp", Node: "Temp"}, {Key: "cnt", Node: "Cnt"}},
		Updates:   []opcua.Update{{Key: "other", Node: `${Root\.Objects\.MyObject2\.Temp}`}, {Key: "own", Node: "${Temp}"}, {Key: "none", Node: "Gone"}},
		Methods: []opcua.Method{
			{Name: "mul", Arguments: []telemetry.Value{telemetry.Int(0), telemetry.Int(4)}},
			{Name: "2:mul", Arguments: []telemetry.Value{{}, telemetry.Int(4)}},
		},
	}}}
}

func TestAnAbsolutePathIsWrittenWhereItPoints(t *testing.T) {
	s := newFake(t)
	c := opcua.New(two(s))
	alive(t, c, func(*witness) {
		require.Equal(t, []string{"none", "other", "own"}, c.SharedAttributes("Boiler"))
		require.NoError(t, c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "Boiler", Attributes: []telemetry.Point{
			{Key: "other", Value: telemetry.Int(70)}, {Key: "unknown", Value: telemetry.Int(1)},
		}}))
		require.Equal(t, float32(70), s.below("ns=2;i=2", "Temp"))
		require.Equal(t, 21.5, s.below("ns=2;i=1", "Temp"))
	})
}

func TestCallsAreAnsweredOnceWithTheirResultOrReason(t *testing.T) {
	s := newFake(t)
	c := opcua.New(two(s))
	s.multiplier(s.nodes[nodeID("ns=2;i=2").String()], "ns=2;s=broken", "2:mul").call = func([]*ua.Variant) ([]*ua.Variant, ua.StatusCode) {
		return nil, ua.StatusBadOutOfService
	}
	alive(t, c, func(*witness) {
		for _, row := range []struct{ device, method, params, result, err string }{
			{"Boiler", "get", `"temp"`, `{"result":{"value":21.5}}`, ""},
			{"Boiler", "get", `"Root\\.Objects\\.MyObject2\\.Temp"`, `{"result":{"value":33.0}}`, ""},
			{"Boiler", "get", `"${2:Sub\\.Deep}"`, `{"result":{"value":1.25}}`, ""},
			{"Boiler", "get", `{"node":"ns=2;s=My.String.Id"}`, `{"result":{"value":"sv"}}`, ""},
			{"Boiler", "get", `"Gone"`, "", "opcua: Boiler get: Gone: no such node"},
			{"Boiler", "get", `"ns=2;s=gone"`, "", "BadNodeIdUnknown"},
			{"Boiler", "get", `""`, "", "the node is missing"},
			{"Boiler", "get", `[5]`, "", "neither a text nor an object"},
			{"Boiler", "set", `"cnt=12"`, `{"result":{"value":12}}`, ""},
			{"Boiler", "set", `"cnt;=13"`, `{"result":{"value":13}}`, ""},
			{"Boiler", "set", `"cnt 14"`, `{"result":{"value":14}}`, ""},
			{"Boiler", "set", `"ns=2;s=My.String.Id=a b=c"`, `{"result":{"value":"a b=c"}}`, ""},
			{"Boiler", "set", `{"key":"cnt","value":15}`, `{"result":{"value":15}}`, ""},
			{"Boiler", "set", `{"key":"cnt"}`, "", "value: is missing"},
			{"Boiler", "set", `"cnt; 40000"`, "", "outside the range of Int16"},
			{"Boiler", "set", `"cnt; 1.5"`, "", "is not a value of type Int16"},
			{"Boiler", "set", `"cnt"`, "", "is not of the form node; value"},
			{"Boiler", "mul", `[5, 6]`, `{"result":{"result":30}}`, ""},
			{"Boiler", "mul", ``, `{"result":{"result":0}}`, ""},
			{"Boiler", "2:mul", ``, "", "you must either define values for arguments in config or along with rpc request"},
			{"Boiler", "2:mul", `[7, 8]`, `{"result":{"result":56}}`, ""},
			{"Boiler", "mul", `[5]`, "", "expected 2 arguments, but got 1"},
			{"Boiler", "mul", `5`, "", "the arguments must be specified in the square quotes []"},
			{"Boiler", "mul", `["x", 1]`, "", "BadInvalidArgument"},
			{"Boiler", "restart", `[]`, "", "requested rpc method is not found in config"},
			{"Chiller", "mul", `[1, 1]`, "", "BadOutOfService"},
			{"Ghost", "mul", `[1, 1]`, "", "device not found: Ghost"},
			{
				"", "opcua_mul", `{"arguments":[{"type":"integer","value":3},{"type":"integer","value":5}]}`,
				`[{"result":15,"device_name":"Boiler"},{"error":"BadOutOfService","device_name":"Chiller"}]`, "",
			},
			{"", "opcua_restart", `{}`, "", "not found"},
			{"", "mul", `{"arguments":[{"type":"integer"}]}`, "", "arguments[0]: value: is missing"},
		} {
			name := fmt.Sprintf("%s %s %s", row.device, row.method, row.params)
			got, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: row.device, Method: row.method, Params: json.RawMessage(row.params)})
			if row.err != "" {
				require.ErrorContains(t, err, row.err, name)
				continue
			}
			require.NoError(t, err, name)
			require.Equal(t, row.result, got.String(), name)
		}
	})
}

func TestAnUpdateThatFailsNamesItsNodeAndCostsNoOther(t *testing.T) {
	s := newFake(t)
	c := opcua.New(two(s))
	alive(t, c, func(*witness) {
		err := c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "Chiller", Attributes: []telemetry.Point{
			{Key: "none", Value: telemetry.Int(1)}, {Key: "own", Value: telemetry.String("hot")}, {Key: "other", Value: telemetry.Float(3.5)},
		}})
		require.ErrorContains(t, err, "opcua: Chiller none: Gone: no such node")
		require.ErrorContains(t, err, `opcua: Chiller own: ${Temp}: "hot" is not a value of type Float`)
		got, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "Chiller", Method: "get", Params: []byte(`"temp"`)})
		require.NoError(t, err)
		require.JSONEq(t, `{"result":{"value":3.5}}`, got.String())
	})
}

func TestACallThatTakesLongHoldsUpNothing(t *testing.T) {
	s := newFake(t)
	cfg := two(s)
	c := opcua.New(cfg)
	s.hook = func(req ua.Request) bool { _, ok := req.(*ua.CallRequest); return ok }
	h, _ := run(t, c)
	until(t, long, "ready", h.IsReady)
	failed := make(chan error, 1)
	go func() {
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "Boiler", Method: "mul", Params: []byte(`[1,2]`)})
		failed <- err
	}()
	n := 0
	until(t, long, "values flow meanwhile, and then it fails", func() bool {
		n++
		s.set("ns=2;s=My.String.Id", "x")
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "Chiller", Method: "get", Params: []byte(`"temp"`)})
		require.NoError(t, err)
		return len(failed) > 0
	})
	require.Greater(t, n, 3)
	require.ErrorContains(t, <-failed, "BadTimeout")
	require.Zero(t, c.Stats().Reconnects, "a call without an answer is taken for the end of the connection")
}

func TestValuesAreMadeToFitOrRefused(t *testing.T) {
	i, f, str := telemetry.Int, telemetry.Float, telemetry.String
	list := func(s string) telemetry.Value { return telemetry.Restore(telemetry.KindJSON, 0, s) }
	for _, row := range []struct {
		in    telemetry.Value
		kind  ua.TypeID
		array bool
		want  any // nil: refused
	}{
		{str("true"), ua.TypeIDBoolean, false, true},
		{i(0), ua.TypeIDBoolean, false, false},
		{i(2), ua.TypeIDBoolean, false, nil},
		{i(127), ua.TypeIDSByte, false, int8(127)},
		{i(128), ua.TypeIDSByte, false, nil},
		{i(-129), ua.TypeIDSByte, false, nil},
		{i(255), ua.TypeIDByte, false, uint8(255)},
		{i(256), ua.TypeIDByte, false, nil},
		{i(-1), ua.TypeIDByte, false, nil},
		{i(65536), ua.TypeIDUint16, false, nil},
		{i(1 << 32), ua.TypeIDUint32, false, nil},
		{str("18446744073709551616"), ua.TypeIDUint64, false, nil},
		{str("0x10"), ua.TypeIDUint16, false, uint16(16)},
		{f(5), ua.TypeIDInt32, false, int32(5)},
		{f(5.5), ua.TypeIDInt32, false, nil},
		{f(1e300), ua.TypeIDInt64, false, nil},
		{str("18446744073709551615"), ua.TypeIDUint64, false, uint64(math.MaxUint64)},
		{str("1e3"), ua.TypeIDUint32, false, uint32(1000)},
		{str("-1"), ua.TypeIDUint64, false, nil},
		{str("9223372036854775808"), ua.TypeIDInt64, false, nil},
		{str("2.5"), ua.TypeIDDouble, false, 2.5},
		{f(1e39), ua.TypeIDFloat, false, nil},
		{i(3), ua.TypeIDFloat, false, float32(3)},
		{str("x"), ua.TypeIDDouble, false, nil},
		{i(5), ua.TypeIDString, false, "5"},
		{str("00ff"), ua.TypeIDByteString, false, []byte{0, 255}},
		{str("zz"), ua.TypeIDByteString, false, nil},
		{str("2024-01-02T03:04:05+02:00"), ua.TypeIDDateTime, false, time.Date(2024, 1, 2, 1, 4, 5, 0, time.UTC)},
		{i(1700000000000), ua.TypeIDDateTime, false, time.UnixMilli(1700000000000).UTC()},
		{str("soon"), ua.TypeIDDateTime, false, nil},
		{telemetry.Value{}, ua.TypeIDString, false, nil},
		{str("x"), ua.TypeIDExtensionObject, false, nil},
		{list("[1, 2]"), ua.TypeIDInt16, true, []int16{1, 2}},
		{list("[1, 70000]"), ua.TypeIDInt16, true, nil},
		{list("[]"), ua.TypeIDDouble, true, []float64{}},
		{list("[1, 2]"), ua.TypeIDByte, true, ua.ByteArray{1, 2}},
		{i(1), ua.TypeIDInt16, true, nil},
		{list(`["a"]`), ua.TypeIDString, true, []string{"a"}},
		{list(`["0a", ""]`), ua.TypeIDByteString, true, nil},
	} {
		name := fmt.Sprintf("%s as %v (list: %t)", row.in, row.kind, row.array)
		got, err := opcua.Coerce(row.in, row.kind, row.array)
		if row.want == nil {
			require.Error(t, err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, row.want, got.Value(), name)
	}
}
