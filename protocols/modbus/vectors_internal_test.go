package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectorFolder returns the folder of the acceptance vectors: the package's own, or
// the one that GATEWAY_VECTORS names.
func vectorFolder(name string) string {
	if dir := os.Getenv("GATEWAY_VECTORS"); dir != "" {
		return filepath.Join(dir, name)
	}
	return filepath.Join("testdata", "vectors", name)
}

// A vector is a file of the vectors, of either direction.
type vector struct {
	Config   map[string]json.RawMessage `json:"config"`
	Input    json.RawMessage            `json:"input"`
	Expected json.RawMessage            `json:"expected"`
	Quirk    string                     `json:"quirk"`
	Raises   string                     `json:"raises"`
}

func eachVector(t *testing.T, folder string, f func(t *testing.T, name string, v vector)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectorFolder(folder), "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		doc, err := os.ReadFile(path)
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			var v vector
			require.NoError(t, json.Unmarshal(doc, &v))
			f(t, name, v)
		})
	}
}

// elsewhere are the vectors of decoding that this package answers differently on
// purpose, and how.
func elsewhere() map[string]string {
	lsbFirst := "coils and bits come in the order of their addresses, the lowest bit first"
	refused := "the configuration is refused, with the tag's path"
	return map[string]string{
		"coils_bits_count_10": lsbFirst, "coils_bits_count_16_target_int": lsbFirst, "coils_bits_count_8_target_int": lsbFirst,
		"coils_byte_order_little_same": lsbFirst, "register_bits_count_4_int": lsbFirst, "register_bits_low_byte_index": lsbFirst,
		"unknown_type_null_skipped": refused, "int_with_3_registers_raises": refused,
		"float_nan": "the gateway drops what is not a number",
	}
}

func TestVectorsOfDecoding(t *testing.T) {
	eachVector(t, "modbus", func(t *testing.T, name string, v vector) {
		if why := elsewhere()[name]; why != "" {
			t.Logf("differs: %s", why)
			return
		}
		if v.Quirk != "" || v.Raises != "" || v.Input[0] != '{' || string(v.Expected) == "null" {
			t.Logf("not the contract: %s%s", v.Quirk, v.Raises)
			return
		}
		var want struct {
			Attributes map[string]any
			Telemetry  []struct{ Values map[string]any }
		}
		require.NoError(t, json.Unmarshal(v.Expected, &want))
		expect := want.Attributes
		for _, e := range want.Telemetry {
			maps.Copy(expect, e.Values)
		}
		require.Equal(t, expect, decodeVector(t, v))
	})
}

type vectorResponse struct {
	Registers []uint16
	Bits      []bool
}

// decodeVector decodes the vector's responses tag by tag.
func decodeVector(t *testing.T, v vector) map[string]any {
	t.Helper()
	var input map[string]map[string][]vectorResponse
	require.NoError(t, json.Unmarshal(v.Input, &input))
	got := make(map[string]any)
	for _, section := range []string{"attributes", "timeseries"} {
		var tags []map[string]json.RawMessage
		if doc, ok := v.Config[section]; ok {
			require.NoError(t, json.Unmarshal(doc, &tags))
		}
		for _, tag := range tags {
			var name string
			require.NoError(t, json.Unmarshal(tag["tag"], &name))
			raw := rawOf(input[section][name])
			for _, r := range tagRegisters(t, v, section, tag) {
				f, err := newField(r, r.Table)
				require.NoError(t, err)
				size := 2 * f.count
				if f.table.bits() {
					size = len(raw)
				}
				if size == 0 || len(raw) < size {
					break // the device refused, or did not answer
				}
				var x any
				require.NoError(t, json.Unmarshal(f.decode(raw[:size], 1).AppendJSON(nil), &x))
				got[r.Key], raw = x, raw[size:]
			}
		}
	}
	return got
}

// tagRegisters returns the registers of one tag, of which a range has several.
func tagRegisters(t *testing.T, v vector, section string, tag map[string]json.RawMessage) []Register {
	t.Helper()
	slave := map[string]any{"host": "localhost", "unitId": 1, "deviceName": "d"}
	for k, x := range v.Config {
		slave[k] = x
	}
	delete(slave, "attributes")
	delete(slave, "timeseries")
	slave[section] = []any{tag}
	doc, err := json.Marshal(map[string]any{"master": map[string]any{"slaves": []any{slave}}})
	require.NoError(t, err)
	cfg, err := parseFile(doc, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return cfg.Devices[0].Registers
}

// rawOf returns responses as they come over the wire.
func rawOf(responses []vectorResponse) (raw []byte) {
	for _, r := range responses {
		for _, w := range r.Registers {
			raw = binary.BigEndian.AppendUint16(raw, w)
		}
		for i, on := range r.Bits {
			if i%8 == 0 {
				raw = append(raw, 0)
			}
			if on {
				raw[len(raw)-1] |= 1 << (i % 8)
			}
		}
	}
	return raw
}

func TestVectorsOfEncoding(t *testing.T) {
	refused := map[string]bool{ // written in part, or to neighbours, or not at all by the reference
		"bits_fc5_two": true, "long_not_supported": false, "type_missing_uses_tag": true, "fc3_unsupported_write": true,
	}
	eachVector(t, "modbus_downlink", func(t *testing.T, name string, v vector) {
		var in struct{ Value json.RawMessage }
		require.NoError(t, json.Unmarshal(v.Input, &in))
		v.Config["tag"] = json.RawMessage(`"x"`)
		slave := map[string]any{
			"host": "localhost", "unitId": 1, "deviceName": "d", "byteOrder": v.Config["byteOrder"], "wordOrder": v.Config["wordOrder"],
			"repack": v.Config["repack"], "attributeUpdates": []any{v.Config},
		}
		delete(v.Config, "repack")
		doc, err := json.Marshal(map[string]any{"master": map[string]any{"slaves": []any{slave}}})
		require.NoError(t, err)
		cfg, err := parseFile(doc, nil, slog.New(slog.DiscardHandler))
		if refused[name] {
			require.Error(t, err)
			return
		}
		if v.Quirk != "" || name == "bits_fc15_int_5_of_4" {
			t.Logf("not the contract: %s", v.Quirk)
			return
		}
		require.NoError(t, err)
		cmd, err := newCommand(cfg.Devices[0].AttributeUpdates[0])
		require.NoError(t, err)
		value, err := parseParams(in.Value)
		require.NoError(t, err)
		pdu, err := cmd.writeRequest(cmd.write, value)
		if v.Raises != "" {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		var want struct{ PDUHex string }
		require.NoError(t, json.Unmarshal(v.Expected, &want))
		require.Equal(t, want.PDUHex, hex.EncodeToString(pdu))
	})
}
