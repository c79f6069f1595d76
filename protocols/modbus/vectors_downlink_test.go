package modbus_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// writtenBetter is what is written where the recommendation is a sentence.
func writtenBetter() map[string]string {
	better := map[string]string{
		"32int_fc6_writes_one_register":     "10000a000204000186a0",
		"bits_fc15_list_4":                  "0f000a0004010d",
		"bits_fc15_list_8":                  "0f000a00080183",
		"bits_fc15_list_16":                 "0f000a0010020100",
		"bits_fc15_one_false":               "0f000a00010100",
		"bits_fc15_text":                    "0f000a00040105",
		"long_not_supported":                "10000a0004080000000000000007",
		"string_3_registers_fc16_truncated": "10000a000306414243444546",
		"string_8_registers_fc16_truncated": "10000a0008104142434445464748494a4b4c4d4e4f50",
		"string_utf8_length":                "10000a000204d0962121",
	}
	for name, pdu := range better {
		better[name] = `{"pduHex": "` + pdu + `"}`
	}
	return better
}

// written updates an attribute, and returns the request that comes of it.
func written(compatible bool) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		var in struct{ Value json.RawMessage }
		require.NoError(tb, json.Unmarshal(v.Input, &in))
		tag := members(tb, v.Config)
		slave := map[string]any{"byteOrder": tag["byteOrder"], "wordOrder": tag["wordOrder"], "repack": tag["repack"]}
		delete(tag, "repack")
		tag["tag"] = json.RawMessage(`"x"`)
		slave["attributeUpdates"] = []any{tag}
		s := vectorServer(tb)
		pdu := make(chan []byte, 16)
		s.Unit(1).OnRequest(func(r modbustest.Request) { pdu <- r.PDU })
		c, _, err := load(tb, vectorFile(tb, s, compatible, nil, slave))
		if err == nil {
			alive(tb, c, func(w *witness) {
				require.Eventually(tb, w.IsReady, 20*time.Second, time.Millisecond)
				err = update(tb, c, in.Value)
			})
		}
		var expected map[string]json.RawMessage
		require.NoError(tb, json.Unmarshal(v.Expected, &expected))
		if _, nothing := expected["written"]; nothing && len(pdu) == 0 && !v.Quirky() {
			return map[string]any{"written": nil}, nil
		}
		if err == nil && len(pdu) == 0 {
			return nil, fmt.Errorf("nothing was written")
		}
		if err != nil {
			return nil, err
		}
		request := map[string]any{"pduHex": fmt.Sprintf("%x", <-pdu)}
		if values, ok := expected["values"]; ok && (compatible || !v.Quirky()) {
			request["values"] = values // another view of the same
		}
		return request, nil
	}
}

func update(tb testing.TB, c connector.Connector, value json.RawMessage) error {
	tb.Helper()
	v, err := telemetry.ValueOf(plain(tb, value))
	require.NoError(tb, err)
	return c.(*modbus.Connector).UpdateAttributes(tb.Context(), connector.AttributeUpdate{
		Device: "MB", Attributes: []telemetry.Point{{Key: "x", Value: v}},
	})
}

// command makes a call, or updates attributes, on a device whose holding registers
// and coils hold their own addresses, but for what earlier calls have written.
func command(tb testing.TB, v *convertertest.Vector) (any, error) {
	s := vectorServer(tb)
	u := s.Unit(1)
	for i := range uint16(90) {
		u.SetWords(modbus.Holding, i, i)
		u.SetBits(modbus.Coil, i, i != 0)
	}
	u.SetWords(modbus.Holding, 40, 77)
	u.SetWords(modbus.Holding, 50, 0, 0x4148) // 12.5
	for _, table := range []modbus.Table{modbus.Holding, modbus.Coil} {
		u.Refuse(table, 90, 65535, modbus.IllegalDataAddress)
	}
	var mu sync.Mutex
	writes := []map[string]any{}
	u.OnRequest(func(r modbustest.Request) {
		mu.Lock()
		defer mu.Unlock()
		w := map[string]any{"fc": r.Function, "address": r.Address, "values": r.Words, "exception": nil}
		if r.Bits != nil {
			w["values"] = r.Bits
		}
		if r.Address >= 90 {
			w["exception"] = modbus.IllegalDataAddress
		}
		if r.Words != nil || r.Bits != nil {
			writes = append(writes, w)
		}
	})
	c, _, err := load(tb, vectorFile(tb, s, false, members(tb, v.Config), nil))
	require.NoError(tb, err)
	var result map[string]any
	alive(tb, c, func(w *witness) {
		require.Eventually(tb, w.IsReady, 20*time.Second, time.Millisecond)
		result = carryOut(tb, c.(*modbus.Connector), v)
	})
	mu.Lock()
	defer mu.Unlock()
	result["writes"] = writes
	return result, nil
}

// carryOut returns the reply in the form of the vectors. The words of an error are
// the product's own: that there is one is what counts.
func carryOut(tb testing.TB, c *modbus.Connector, v *convertertest.Vector) map[string]any {
	tb.Helper()
	var in struct {
		Device, Method string
		Params, Data   json.RawMessage
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	var expected map[string]json.RawMessage
	require.NoError(tb, json.Unmarshal(v.Expected, &expected))
	if strings.HasPrefix(v.Kind, "attribute") {
		require.NoError(tb, c.UpdateAttributes(tb.Context(), attributes(tb, in.Device, in.Data)))
		return map[string]any{}
	}
	r := connector.RPCRequest{Device: in.Device, ID: 7, Method: in.Method, Params: in.Params}
	if in.Data != nil {
		var call struct {
			Method string
			Params json.RawMessage
		}
		require.NoError(tb, json.Unmarshal(in.Data, &call))
		r.Method, r.Params = call.Method, call.Params
	}
	got, err := c.HandleRPC(tb.Context(), r)
	switch {
	case err != nil && v.Quirky():
		return map[string]any{"error": true}
	case err != nil:
		require.Contains(tb, string(v.Expected), `"error"`, err)
		return map[string]any{"replies": expected["replies"], "returned": expected["returned"]}
	case r.Device == "":
		return map[string]any{"replies": []any{}, "returned": json.RawMessage(got.AppendJSON(nil))}
	}
	reply := map[string]any{"device": r.Device, "req_id": r.ID, "content": json.RawMessage(got.AppendJSON(nil))}
	result := map[string]any{"replies": []any{reply}}
	if !v.Quirky() {
		result["returned"] = expected["returned"] // an inner view of the same
	}
	return result
}

func plain(tb testing.TB, doc json.RawMessage) (x any) {
	tb.Helper()
	dec := json.NewDecoder(strings.NewReader(string(doc)))
	dec.UseNumber()
	require.NoError(tb, dec.Decode(&x))
	return x
}

// attributes keeps the order of the file.
func attributes(tb testing.TB, device string, data json.RawMessage) connector.AttributeUpdate {
	tb.Helper()
	u := connector.AttributeUpdate{Device: device}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	_, err := dec.Token()
	require.NoError(tb, err)
	for dec.More() {
		key, err := dec.Token()
		require.NoError(tb, err)
		var value json.RawMessage
		require.NoError(tb, dec.Decode(&value))
		v, err := telemetry.ValueOf(plain(tb, value))
		require.NoError(tb, err)
		u.Attributes = append(u.Attributes, telemetry.Point{Key: key.(string), Value: v})
	}
	return u
}
