package telemetry_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// The platform takes a number without a decimal point, or with an exponent, for
// an integer, and one with more than 16 decimals for text.
func TestFloatsAreWrittenAsThePlatformStoresThem(t *testing.T) {
	for _, c := range []struct {
		v    telemetry.Value
		want string
	}{
		{telemetry.Float(5), "5.0"},
		{telemetry.Float(0), "0.0"},
		{telemetry.Float(-2.5), "-2.5"},
		{telemetry.Float(0.1 + 0.2), "0.3"},
		{telemetry.Float(1.0 / 3), "0.3333333333333333"},
		{telemetry.Float(1e-6), "0.000001"},
		{telemetry.Float(5e-324), "0.0"},
		{telemetry.Float(1e15), "1000000000000000.0"},
		{telemetry.Float(1e21), "1000000000000000000000.0"},
		{telemetry.Float(123456.789), "123456.789"},
		{telemetry.Float32(230.1), "230.1"},
		{telemetry.Float32(5), "5.0"},
		{telemetry.Float32(1.17549435e-38), "0.0"},
		{telemetry.Float32(16777216), "16777216.0"},
		{telemetry.Int(5), "5"},
		{telemetry.Int(math.MinInt64), "-9223372036854775808"},
		{telemetry.Uint(math.MaxUint64), "18446744073709552000.0"},
		{telemetry.Bool(true), "true"},
		{telemetry.Float(math.NaN()), "null"},
		{telemetry.Float32(float32(math.Inf(1))), "null"},
		{telemetry.Value{}, "null"},
	} {
		require.Equal(t, c.want, string(c.v.AppendJSON(nil)))
	}
}

func FuzzFloatJSON(f *testing.F) {
	for _, x := range []float64{0, 1, -1, 0.1, 1e-7, 1e300, 5e-324, 1.0000000000000002, math.MaxFloat64} {
		f.Add(x)
	}
	f.Fuzz(func(t *testing.T, x float64) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return
		}
		s := string(telemetry.Float(x).AppendJSON(nil))
		require.NotContains(t, s, "e")
		_, decimals, ok := strings.Cut(s, ".")
		require.True(t, ok && len(decimals) >= 1 && len(decimals) <= 16, s)
		y, err := telemetry.ValueOf(json.Number(s))
		require.NoError(t, err)
		require.Equal(t, telemetry.KindFloat, y.Kind())
		require.InDelta(t, x, y.Float(), 0.5e-16+math.Abs(x)*1e-15)
	})
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "quote\" slash\\ tab\t nul\x00", "Привіт", "bad\xff\xfeutf8", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		require.NoError(t, json.Unmarshal(telemetry.AppendString(nil, s), &got))
		require.Equal(t, []rune(s), []rune(got))
	})
}

func TestValueOfKeepsKinds(t *testing.T) {
	for _, c := range []struct {
		in   any
		want telemetry.Value
	}{
		{nil, telemetry.Value{}},
		{true, telemetry.Bool(true)},
		{7, telemetry.Int(7)},
		{uint64(1) << 63, telemetry.Float(float64(uint64(1) << 63))},
		{json.Number("5"), telemetry.Int(5)},
		{json.Number("5.0"), telemetry.Float(5)},
		{json.Number("9223372036854775808"), telemetry.Float(9223372036854775808)},
		{"x", telemetry.String("x")},
	} {
		got, err := telemetry.ValueOf(c.in)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	doc, err := telemetry.ValueOf(map[string]any{"a": []int{1}})
	require.NoError(t, err)
	require.Equal(t, telemetry.KindJSON, doc.Kind())
	require.JSONEq(t, `{"a":[1]}`, doc.String())
	_, err = telemetry.ValueOf(new(big.Int))
	require.NoError(t, err)
	_, err = telemetry.ValueOf(make(chan int))
	require.ErrorContains(t, err, "chan int")
	_, err = telemetry.JSON([]byte(`{"a":`))
	require.Error(t, err)
}

func TestChangedHonoursDeadband(t *testing.T) {
	p := telemetry.ReportPolicy{Mode: telemetry.OnChange, Deadband: 0.5}
	require.False(t, p.Changed(telemetry.Float(1), telemetry.Float(1.4)))
	require.True(t, p.Changed(telemetry.Float(1), telemetry.Float(1.5)))
	require.True(t, p.Changed(telemetry.Int(3), telemetry.Float(2.5)))
	require.True(t, p.Changed(telemetry.String("a"), telemetry.String("b")))
	p.Deadband = 0
	require.True(t, p.Changed(telemetry.Int(1), telemetry.Float(1)), "kinds differ")
	require.False(t, p.Changed(telemetry.Float(1), telemetry.Float(1)))
}

func TestBatchReusesItsMemory(t *testing.T) {
	var b telemetry.Batch
	fill := func() {
		b.Reset()
		for d := range 3 {
			b.Device([]string{"a", "b", "c"}[d], "meter")
			for range 10 {
				b.Telemetry("k", telemetry.Float(1.5))
			}
			b.Attribute("serial", telemetry.String("x"))
		}
	}
	fill()
	require.Equal(t, 33, b.Len())
	require.Zero(t, testing.AllocsPerRun(100, fill))
	b.Truncate(1)
	require.Len(t, b.Groups(), 1)
	b.Truncate(5)
	require.Len(t, b.Groups(), 1)
	b.Reset()
	require.True(t, b.Empty())
}

func BenchmarkAppendJSON(b *testing.B) {
	vs := []telemetry.Value{telemetry.Float(230.1), telemetry.Float32(230.1), telemetry.Int(123456), telemetry.String("running")}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for _, v := range vs {
			dst = v.AppendJSON(dst)
		}
	}
}
