package modbus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestVectors(t *testing.T) {
	convertertest.Run(t,
		convertertest.Suite{
			Folder: "modbus", Run: uplink(false), Compatible: uplink(true), Restores: uplinkQuirks(), Better: uplinkBetter(),
			Skip: func(v *convertertest.Vector) string {
				if strings.HasPrefix(strings.TrimSpace(string(v.Input)), "[") {
					return "polls of one device are never merged"
				}
				return ""
			},
		},
		convertertest.Suite{
			Folder: "modbus_downlink", Run: written(false), Compatible: written(true), Better: writtenBetter(),
			Restores: []string{"bits_fc15_list_4", "bits_fc15_list_8", "bits_fc15_list_16"},
		},
		convertertest.Suite{Folder: "modbus_rpc", Run: command, Better: map[string]string{
			"device_write_exception":             `{"error": true, "writes": [{"fc": 6, "address": 95, "values": [1], "exception": 2}]}`,
			"reserved_get_no_trailing_semicolon": `{"replies": [{"device": "D1", "req_id": 7, "content": {"result": {"value": 7}}}], "writes": []}`,
		}},
		convertertest.Suite{Folder: "config_migration", Glob: "modbus_*.json", Run: func(_ testing.TB, v *convertertest.Vector) (any, error) {
			return modbus.Upgrade(v.Input)
		}, Better: map[string]string{"modbus_server_old_to_new": oldToNew}},
	)
}

// uplinkQuirks are the quirks of decoding that the compatibility switch restores.
func uplinkQuirks() (names []string) {
	names = []string{
		"coils_bits_count_2", "coils_bits_count_8", "coils_bits_count_16", "coils_bits_count_20_truncated",
		"register_bits_bit_index_needs_16", "register_bits_count_1", "multiplier_on_string_repeats", "coils_bit_index",
	}
	for _, order := range orders() {
		names = append(names, "bits"+order, "string"+order, "8int"+order, "8uint"+order)
	}
	return names
}

func orders() []string {
	return []string{"_byte_big_word_big", "_byte_big_word_little", "_byte_little_word_big", "_byte_little_word_little"}
}

// uplinkBetter is what is right where the recommendation is a sentence, or there is
// none: bits in the order of their addresses, text without the NULs at its end.
func uplinkBetter() map[string]string {
	reading := func(section string) string {
		return `{"deviceName": "MB", "deviceType": "meter", "attributes": {}, "telemetry": [{"ts": "NOW", "values": {"v": ` + section + `}}]}`
	}
	better := map[string]string{
		"coils_bits_count_2":               reading("[true, false]"),
		"coils_bits_count_8":               reading("[true, false, true, true, false, false, false, true]"),
		"coils_bits_count_16":              reading("[true, false, true, true, false, false, false, true, true, true, false, false, false, false, false, true]"),
		"coils_bits_count_20_truncated":    reading("[" + strings.Repeat("true, ", 19) + "true]"),
		"register_bits_bit_index_needs_16": reading("0"), // bit 3 of 0x0800
		"register_bits_count_1":            reading("true"),
		"multiplier_on_string_repeats":     `{"deviceName": "MB", "deviceType": "meter", "attributes": {"v": "AB"}, "telemetry": []}`,
		"coils_read_as_8int":               convertertest.Refused,
		"float_nan":                        "null",
		"duplicate_tag_in_section": `{"deviceName": "MB", "deviceType": "meter", "attributes": {}, "telemetry": [
			{"ts": "NOW", "values": {"v": 1}}, {"ts": "NOW", "values": {"v": 2}}]}`,
		"range_address_failed_chunk_shifts": `{"deviceName": "MB", "deviceType": "meter", "attributes": {}, "telemetry": [
			{"ts": "NOW", "values": {"r2": 30, "r3": 40}}]}`,
		"range_address_coils": `{"deviceName": "MB", "deviceType": "meter", "attributes": {}, "telemetry": [
			{"ts": "NOW", "values": {"c0": true, "c1": false, "c2": true, "c3": true}}]}`,
		"int_with_3_registers_raises": `{"deviceName": "MB", "deviceType": "meter", "attributes": {}, "telemetry": [{"ts": "NOW", "values": {"w": 5}}]}`,
	}
	for _, order := range orders() {
		better["bits"+order] = reading("[true, false, true" + strings.Repeat(", false", 12) + ", true]") // 0x8005
		better["string"+order] = reading(`"ABCDE"`)
		better["8int"+order] = reading("-2") // the high byte it is
		better["8uint"+order] = reading("254")
	}
	return better
}

// writtenBetter is the same for what is written.
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

// vectorFile returns a configuration with one slave, which has the members.
func vectorFile(tb testing.TB, s *modbustest.Server, compatible bool, members map[string]json.RawMessage, more map[string]any) string {
	tb.Helper()
	slave := map[string]any{
		"type": "tcp", "method": "socket", "host": "127.0.0.1", "port": s.Addr()[len("127.0.0.1:"):], "unitId": 1, "deviceName": "MB",
		"pollPeriod": 50, "timeout": 0.2, "retries": false, "maxGap": 0, // each tag is a request, as in the vectors
	}
	for k, v := range members {
		slave[k] = v
	}
	maps.Copy(slave, more)
	root := map[string]any{"master": map[string]any{"slaves": []any{slave}}}
	if compatible {
		root["compatibility"] = "thingsboard"
	}
	doc, err := json.Marshal(root)
	require.NoError(tb, err)
	return string(doc)
}

func members(tb testing.TB, doc json.RawMessage) (m map[string]json.RawMessage) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal(doc, &m))
	return m
}

// A witness keeps the first batch that has something in it.
type witness struct {
	*connectortest.Host
	mu    sync.Mutex
	batch json.RawMessage
}

// Submit implements connector.Sink.
func (w *witness) Submit(_ context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.batch == nil && !b.Empty() {
		w.batch = convertertest.Messages(undated(b))
	}
	return connector.Receipt{}, nil
}

// undated returns b without its time, which is that of the poll.
func undated(b *telemetry.Batch) *telemetry.Batch {
	out := new(telemetry.Batch)
	for _, g := range b.Groups() {
		out.Device(g.Device.Name, g.Device.Profile)
		for _, p := range g.Attributes {
			out.Attribute(p.Key, p.Value)
		}
		for _, p := range g.Telemetry {
			out.Telemetry(p.Key, p.Value)
		}
	}
	return out
}

func (w *witness) first() json.RawMessage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.batch
}

// Logger implements connector.Host.
func (w *witness) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// alive runs c while f does.
func alive(tb testing.TB, c connector.Connector, f func(w *witness)) {
	tb.Helper()
	w := &witness{Host: connectortest.NewHost(tb)}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, w) }()
	f(w)
	cancel()
	require.NoError(tb, <-done)
}

func vectorServer(tb testing.TB) *modbustest.Server {
	tb.Helper()
	s, err := modbustest.Listen("127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// bitsInReverse reports whether a vector without a quirk records bits as the
// reference gateway reverses them: the same order is marked as a quirk in others,
// so it is checked with the compatibility switch on.
func bitsInReverse(v *convertertest.Vector) bool {
	return !v.Quirky() && (strings.Contains(string(v.Config), `"bits"`) || strings.Contains(string(v.Config), `"coils"`)) &&
		!strings.Contains(string(v.Config), `"functionCode": 5`) && !strings.Contains(string(v.Config), `"functionCode": 6`)
}

// uplink polls a device that answers as the vector says.
func uplink(compatible bool) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		s := vectorServer(tb)
		config := members(tb, v.Config)
		fill(tb, s.Unit(1), v, config)
		c, _, err := load(tb, vectorFile(tb, s, compatible || bitsInReverse(v), config, nil))
		if err != nil {
			return nil, err
		}
		var got json.RawMessage
		alive(tb, c, func(w *witness) {
			deadline := time.Now().Add(20 * time.Second)
			if expected := string(v.Expected); expected == "null" || strings.Contains(expected, "$float") {
				deadline = time.Now().Add(time.Second)
			}
			for got = w.first(); got == nil && time.Now().Before(deadline); got = w.first() {
				time.Sleep(5 * time.Millisecond)
			}
		})
		if got == nil {
			return json.RawMessage("null"), nil
		}
		return got, nil
	}
}

// fill makes u hold what the vector's tags are answered with.
func fill(tb testing.TB, u *modbustest.Unit, v *convertertest.Vector, config map[string]json.RawMessage) {
	tb.Helper()
	type response struct {
		Registers []uint16
		Bits      []bool
		Exception uint8
		IOError   bool
	}
	var input map[string]map[string][]response
	require.NoError(tb, json.Unmarshal(v.Input, &input))
	tables := map[int]modbus.Table{1: modbus.Coil, 2: modbus.Discrete, 3: modbus.Holding, 4: modbus.Input}
	for _, section := range []string{"attributes", "timeseries"} {
		var tags []struct {
			Tag                    string
			FunctionCode           int
			Address                any
			MaxRegistersPerRequest int
		}
		if doc := config[section]; doc != nil {
			require.NoError(tb, json.Unmarshal(doc, &tags))
		}
		next := make(map[string]int) // response of a tag that is there more than once
		for _, tag := range tags {
			table, chunk := tables[tag.FunctionCode], max(tag.MaxRegistersPerRequest, 16)
			if tag.MaxRegistersPerRequest > 0 {
				chunk = tag.MaxRegistersPerRequest
			}
			from, _, ranged := strings.Cut(fmt.Sprint(tag.Address), "-")
			addr, err := strconv.Atoi(from)
			require.NoError(tb, err)
			responses := input[section][tag.Tag]
			if !ranged {
				if i := next[tag.Tag]; i < len(responses) {
					responses = responses[i : i+1]
				}
				next[tag.Tag]++
			}
			if len(responses) == 0 {
				u.Refuse(table, uint16(addr), uint16(addr), 0)
			}
			for i, r := range responses {
				at := uint16(addr + i*chunk)
				switch {
				case r.Exception != 0 && ranged:
					u.Refuse(table, at, at+uint16(chunk)-1, r.Exception)
				case r.Exception != 0 || r.IOError:
					u.Refuse(table, at, at, r.Exception)
				case r.Registers != nil:
					u.SetWords(table, at, r.Registers...)
				default:
					u.SetBits(table, at, r.Bits...)
				}
			}
		}
	}
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
		compatible := compatible || bitsInReverse(v) && !strings.Contains(string(v.Config), `"functionCode": 16`)
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
	c, _, err := load(tb, strings.ReplaceAll(vectorFile(tb, s, false, members(tb, v.Config), nil), `"functionCode":9,`, `"functionCode":3,`))
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

// oldToNew is what was recorded, to which the recommendation adds only what is kept.
const oldToNew = `{"master": {"slaves": [{"unitId": 1, "deviceName": "T", "attributesPollPeriod": 5000, "timeseriesPollPeriod": 2000, "attributes": [{"tag": "a", "type": "string", "functionCode": 4, "registerCount": 1, "address": 100000}], "timeseries": [{"tag": "b", "type": "16int", "functionCode": 4, "objectsCount": 1, "address": 1}], "rpc": {"setValue": {"type": "bits", "functionCode": 5, "objectsCount": 1, "address": 31}}, "host": "127.0.0.1", "port": 5020, "type": "tcp", "method": "socket", "timeout": 35, "byteOrder": "BIG", "wordOrder": "BIG", "retries": true, "baudrate": null, "pollPeriod": 2000}]}, "slave": null}`
