package tbtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vector is one document, and what the platform's own converter makes of it.
type vector struct {
	Mode   string          `json:"mode"`
	Input  string          `json:"input"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

type vectorValue struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// TestJSONIsReadAsThePlatformReadsIt runs the vectors that the platform's own
// JSON converter produced.
func TestJSONIsReadAsThePlatformReadsIt(t *testing.T) {
	dir := "testdata"
	if other := os.Getenv("GATEWAY_VECTORS"); other != "" {
		dir = filepath.Join(other, "tbjson")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "tb-json-vectors.json"))
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for i, v := range vectors {
		t.Run(strconv.Itoa(i)+" "+v.Mode, func(t *testing.T) {
			t.Log(v.Input)
			checkVector(t, v)
		})
	}
}

func checkVector(t *testing.T, v vector) {
	t.Helper()
	n, err := parseJSON([]byte(v.Input))
	if v.Mode == "attributes" {
		var got []keyed
		if err == nil {
			got, err = parseAttributes(n)
		}
		if v.Error != "" {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		var want []vectorValue
		require.NoError(t, json.Unmarshal(v.Result, &want))
		checkValues(t, want, got)
		return
	}
	parse := parseDeviceTelemetry
	if v.Mode == "gateway-element" {
		parse = parseGatewayTelemetry
	}
	var got []element
	if err == nil {
		got, err = parse(n)
	}
	if v.Error != "" {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	var want []struct {
		TS any           `json:"ts"`
		KV []vectorValue `json:"kv"`
	}
	require.NoError(t, json.Unmarshal(v.Result, &want))
	require.Len(t, got, len(want))
	for i, w := range want {
		require.Equal(t, w.TS != "SERVER", got[i].hasTS)
		if ts, ok := w.TS.(float64); ok {
			require.Equal(t, int64(ts), got[i].ts)
		}
		checkValues(t, w.KV, got[i].values)
	}
}

func checkValues(t *testing.T, want []vectorValue, got []keyed) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		require.Equal(t, w.Key, got[i].key)
		text, _ := w.Value.(string)
		switch w.Type {
		case "LONG_V":
			n, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			require.Equal(t, n, got[i].value)
		case "DOUBLE_V":
			f, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			require.Equal(t, f, got[i].value)
		case "STRING_V", "BOOLEAN_V":
			require.Equal(t, w.Value, got[i].value)
		case "JSON_V":
			require.Equal(t, text, string(got[i].value.(json.RawMessage)))
		default:
			t.Fatalf("unknown type %q", w.Type)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,{"b":null}]}`, `{a:'b';c=>01}`, `[1,,2,]`, `{"a":"\ud83d\ude00\u12"}`,
		"/* x */ {} # y", `{"a":1e5000}`, `"`, `{"a":1,}`, `{"ts":1,"values":{"x":-0.0}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseJSON(data)
		if err != nil {
			return
		}
		_, _ = parseDeviceTelemetry(n)
		_, _ = parseGatewayTelemetry(n)
		if again, err := parseJSON(appendNode(nil, n)); err == nil {
			_ = stored(again)
		} else if json.Valid(data) {
			t.Fatalf("valid JSON %q became unreadable: %v", data, err)
		}
	})
}

func TestOfMembersWithOneNameTheLastCounts(t *testing.T) {
	for _, others := range []int{0, 5, 15, 16, 17, 200} {
		var b strings.Builder
		b.WriteString(`{"a":1`)
		for i := range others {
			fmt.Fprintf(&b, `,"x%d":%d`, i, i)
		}
		last := fmt.Sprintf("x%d", max(others-1, 0))
		fmt.Fprintf(&b, `,"a":2,%q:"old",%q:"new"}`, last, last)
		n, err := parseJSON([]byte(b.String()))
		require.NoError(t, err)
		require.Len(t, n.members, 1+max(others, 1))
		a, _ := n.member("a")
		require.Equal(t, "2", a.text)
		x, _ := n.member(last)
		require.Equal(t, "new", x.text)
	}
}
