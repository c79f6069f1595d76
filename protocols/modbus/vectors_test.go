package modbus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
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
	var needed switched
	convertertest.Run(t,
		convertertest.Suite{
			Folder: "modbus", Run: needed.bits(uplink), Compatible: uplink(true), Restores: uplinkQuirks(), Better: uplinkBetter(),
			Skip: func(v *convertertest.Vector) string {
				if strings.HasPrefix(strings.TrimSpace(string(v.Input)), "[") {
					return "polls of one device are never merged"
				}
				return ""
			},
		},
		convertertest.Suite{
			Folder: "modbus_downlink", Run: needed.bits(written), Compatible: written(true), Better: writtenBetter(),
			Restores: []string{"bits_fc15_list_4", "bits_fc15_list_8", "bits_fc15_list_16"},
		},
		convertertest.Suite{Folder: "modbus_rpc", Run: command, Better: map[string]string{
			"device_write_exception":             `{"error": true, "writes": [{"fc": 6, "address": 95, "values": [1], "exception": 2}]}`,
			"reserved_get_no_trailing_semicolon": `{"replies": [{"device": "D1", "req_id": 7, "content": {"result": {"value": 7}}}], "writes": []}`,
		}},
		convertertest.Suite{Folder: "config_migration", Glob: "modbus_*.json", Run: func(_ testing.TB, v *convertertest.Vector) (any, error) {
			return modbus.Upgrade(v.Input), nil
		}, Better: map[string]string{"modbus_server_old_to_new": oldToNew}},
	)
	if os.Getenv("GATEWAY_VECTORS") == "" {
		slices.Sort(needed.names)
		require.Equal(t, reversed(), needed.names, "vectors without a quirk that need the switch")
	}
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

// reversed are the vectors without a quirk that record bits in the reference gateway's
// order all the same: the lists are in whole bytes that are reversed, or from the high
// byte of a register on, or it is 16 coils that are written instead of those that
// count. Their siblings, which show the same as true and false (coils_bits_count_8, _16,
// bits_byte_*, bits_fc15_list_*), have it as a quirk, with the order of addresses as
// what is recommended. No gateway can do both without a switch, so these, and no others,
// pass with the switch only.
func reversed() []string {
	return []string{
		"bits_fc15_int_5_of_4", "coils_bits_count_16_target_int", "coils_bits_count_8_target_int", "coils_byte_order_little_same",
		"register_bits_count_4_int", "register_bits_low_byte_index",
	}
}

// A switched notes which vectors need the compatibility switch though they have no quirk.
type switched struct{ names []string }

// bits runs vectors without the switch, and again with it if they have bits, have no
// quirk, and did not pass.
func (s *switched) bits(run func(compatible bool) convertertest.Func) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		tb.Helper()
		got, err := run(false)(tb, v)
		if v.Quirky() || err != nil || !strings.Contains(string(v.Config), `"bits"`) {
			return got, err
		}
		doc, err := json.Marshal(got)
		require.NoError(tb, err)
		if convertertest.Diff(v.Expected, doc, v.NowMs) == "" {
			return got, nil
		}
		s.names = append(s.names, v.File)
		return run(true)(tb, v)
	}
}

// uplink polls a device that answers as the vector says.
func uplink(compatible bool) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		s := vectorServer(tb)
		config := members(tb, v.Config)
		fill(tb, s.Unit(1), v, config)
		c, _, err := load(tb, vectorFile(tb, s, compatible, config, nil))
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

// oldToNew is what was recorded, to which the recommendation adds only what is kept.
const oldToNew = `{"master": {"slaves": [{"unitId": 1, "deviceName": "T", "attributesPollPeriod": 5000, "timeseriesPollPeriod": 2000, "attributes": [{"tag": "a", "type": "string", "functionCode": 4, "registerCount": 1, "address": 100000}], "timeseries": [{"tag": "b", "type": "16int", "functionCode": 4, "objectsCount": 1, "address": 1}], "rpc": {"setValue": {"type": "bits", "functionCode": 5, "objectsCount": 1, "address": 31}}, "host": "127.0.0.1", "port": 5020, "type": "tcp", "method": "socket", "timeout": 35, "byteOrder": "BIG", "wordOrder": "BIG", "retries": true, "baudrate": null, "pollPeriod": 2000}]}, "slave": null}`
