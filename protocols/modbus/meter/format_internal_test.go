package meter

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/telemetry"
)

func FuzzTime(f *testing.F) {
	for _, layout := range []string{"smhdMy", "yMdhms", "mhdM"} {
		f.Add(layout, []byte{30, 59, 23, 31, 1, 26})
		f.Add(layout, []byte{26, 1, 31, 23, 59, 30})
		f.Add(layout, []byte{})
	}
	f.Fuzz(func(t *testing.T, layout string, raw []byte) {
		s, ok := decodeTime(layout, raw)
		if !ok || layout != "smhdMy" && layout != "yMdhms" {
			return
		}
		at, err := time.Parse(clockFormat, s)
		require.NoError(t, err)
		if at.Year() < 2100 {
			require.Equal(t, raw[:6], encodeTime(layout, at), "a time does not survive")
		}
	})
}

func FuzzFormat(f *testing.F) {
	f.Add("0190001900ff")
	f.Add("zz")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []*Point{
			{Key: "a_2_4", Type: "uint16", Count: 3, First: 2, Scale: 0.01}, {Key: "a_2_4", Type: "int32", Count: 3, First: 2}, {Key: "clock", Type: "raw", Format: "yMdhms"},
		} {
			v := (&format{point: p}).decode(telemetry.String(text))
			require.True(t, json.Valid(v.AppendJSON(nil)))
		}
	})
}

func FuzzProfileOptions(f *testing.F) {
	f.Add(`{"groups": ["energy"], "periods": {"energy": 5}, "ratios": {"pt": 1, "ct": 40}, "arrays": "json"}`)
	f.Add(`{"ratios": "meter", "writableSettings": true}`)
	f.Add(`{"ratios": 1}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, doc string) {
		opts, err := parseOptions(json.RawMessage(doc))
		if err == nil {
			_ = newOptions(opts)
		}
	})
}

func FuzzParameters(f *testing.F) {
	for _, s := range []string{`{"month": 3}`, `3`, `"now"`, `{"value": "now"}`, ``, `null`, `{`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if n, err := monthParam(json.RawMessage(doc), 1, 12); err == nil {
			require.True(t, 1 <= n && n <= 12)
		}
		_, _ = textParam(json.RawMessage(doc)) // does not panic
	})
}

// An array that has not changed is not decoded again, so that a poll of it takes no
// memory.
func TestWhatHasNotChangedTakesNoMemory(t *testing.T) {
	f := &format{point: &Point{Key: "a_2_31", Type: "uint16", Count: 30, First: 2, Scale: 0.01}}
	v := telemetry.String(hex.EncodeToString(make([]byte, 60)))
	f.decode(v)
	require.Zero(t, testing.AllocsPerRun(100, func() { f.decode(v) }))
}

func BenchmarkDevice(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if d := Device(ADW300, "m", 1, time.Second); d.Err != nil {
			b.Fatal(d.Err)
		}
	}
}

func BenchmarkArray(b *testing.B) {
	b.ReportAllocs()
	f := &format{point: &Point{Key: "a_2_31", Type: "uint16", Count: 30, First: 2, Scale: 0.01}}
	values := [2]telemetry.Value{telemetry.String(hex.EncodeToString(make([]byte, 60)))}
	values[1] = telemetry.String("0001" + values[0].String()[4:])
	for i := 0; b.Loop(); i++ {
		f.decode(values[i%2])
	}
}
