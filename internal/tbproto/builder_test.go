package tbproto_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/tbproto"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func doc(t testing.TB, s string) telemetry.Value {
	t.Helper()
	v, err := telemetry.JSON([]byte(s))
	require.NoError(t, err)
	return v
}

// values are one or more values of each kind, with those that protobuf leaves
// out for being defaults.
func values(t testing.TB) []telemetry.Value {
	t.Helper()
	return []telemetry.Value{
		telemetry.Bool(true), telemetry.Bool(false),
		telemetry.Int(0), telemetry.Int(1), telemetry.Int(-1), telemetry.Int(math.MaxInt64), telemetry.Int(math.MinInt64),
		telemetry.Float(0), telemetry.Float(math.Copysign(0, -1)), telemetry.Float(5), telemetry.Float(1e308), telemetry.Float(0.1 + 0.2),
		telemetry.String(""), telemetry.String("0012"), telemetry.String("grün \U0001f600"), telemetry.String(strings.Repeat("x", 300)),
		doc(t, `{"a":[1,2]}`), doc(t, `null`),
	}
}

func TestReadingsOfOneDeviceAndTimeShareAnElement(t *testing.T) {
	var b tbproto.TelemetryBuilder
	for _, r := range []struct {
		device string
		ts     int64
		key    string
	}{{"A", 1, "a"}, {"A", 1, "b"}, {"A", 2, "a"}, {"B", 2, "a"}, {"B", 2, "b"}, {"A", 2, "c"}} {
		b.Device(r.device)
		b.At(r.ts)
		require.True(t, b.Add(r.key, telemetry.Int(7)))
	}
	groups, err := tbproto.DecodeTelemetry(b.AppendTo(nil))
	require.NoError(t, err)
	seven := telemetry.Int(7)
	require.Equal(t, []telemetry.Group{
		{Device: telemetry.Device{Name: "A"}, Telemetry: []telemetry.Point{
			{Key: "a", Value: seven, TS: 1}, {Key: "b", Value: seven, TS: 1}, {Key: "a", Value: seven, TS: 2},
		}},
		{Device: telemetry.Device{Name: "B"}, Telemetry: []telemetry.Point{
			{Key: "a", Value: seven, TS: 2}, {Key: "b", Value: seven, TS: 2},
		}},
		{Device: telemetry.Device{Name: "A"}, Telemetry: []telemetry.Point{{Key: "c", Value: seven, TS: 2}}},
	}, groups)

	var one, two tbproto.TelemetryBuilder
	one.At(1 << 40)
	one.Add("a", seven)
	one.Add("b", seven)
	two.At(1 << 40)
	two.Add("a", seven)
	two.At(1<<40 + 1)
	two.Add("b", seven)
	require.Less(t, one.Size(), two.Size(), "the time was sent twice")
}

// The sizes decide where messages are split, so they have to be exact.
func TestSizesAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := append(values(t), telemetry.String("bad \xff utf8 \xc3"), telemetry.Float32(230.1), telemetry.Float32(0))
	names := []string{"", "A", "Pump 1", strings.Repeat("long ", 40), "bad \xff"}
	for range 200 {
		var tb tbproto.TelemetryBuilder
		var ab tbproto.AttributesBuilder
		require.Zero(t, tb.Size())
		require.Zero(t, ab.Size())
		for range rng.IntN(60) {
			name, key := names[rng.IntN(len(names))], names[1+rng.IntN(len(names)-1)]
			v := all[rng.IntN(len(all))]
			tb.Device(name)
			tb.At(int64(rng.IntN(3)) * rng.Int64())
			with := tb.SizeWith(key, v)
			require.True(t, tb.Add(key, v))
			require.Equal(t, with, tb.Size())
			ab.Device(name)
			with = ab.SizeWith(key, v)
			require.True(t, ab.Add(key, v))
			require.Equal(t, with, ab.Size())
		}
		require.Len(t, tb.AppendTo([]byte("before")), len("before")+tb.Size())
		require.Len(t, ab.AppendTo([]byte("before")), len("before")+ab.Size())
	}
	r := tbproto.RPCResponse{Device: "bad \xff", ID: -5, Data: `{"a":1}`}
	require.Len(t, r.AppendTo(nil), r.Size())
}

func TestValuesThatThePlatformRefusesAreLeftOut(t *testing.T) {
	var tb tbproto.TelemetryBuilder
	var ab tbproto.AttributesBuilder
	tb.Device("A")
	ab.Device("A")
	for key, v := range map[string]telemetry.Value{
		"":     telemetry.Int(1),
		"none": {},
		"nan":  telemetry.Float(math.NaN()),
		"inf":  telemetry.Float32(float32(math.Inf(1))),
	} {
		require.Zero(t, tb.SizeWith(key, v))
		require.False(t, tb.Add(key, v), key)
		require.Zero(t, ab.SizeWith(key, v))
		require.False(t, ab.Add(key, v), key)
	}
	require.True(t, tb.Empty())
	require.Empty(t, tb.AppendTo(nil), "a device without a reading makes the platform refuse the message")
	require.True(t, ab.Empty())
	require.Empty(t, ab.AppendTo(nil))
}

// The platform's parser refuses a whole message for a string that is not UTF-8.
func TestStringsAreSentAsUTF8(t *testing.T) {
	var b tbproto.TelemetryBuilder
	b.Device("A\xff")
	bad, err := telemetry.JSON([]byte("\"\xff\""))
	require.NoError(t, err)
	b.Add("k\xc3", telemetry.String("\xffv\U0001f600"))
	b.Add("json", bad)
	groups, err := tbproto.DecodeTelemetry(b.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, "A\ufffd", groups[0].Device.Name)
	require.Equal(t, telemetry.Point{Key: "k\ufffd", Value: telemetry.String("\ufffdv\U0001f600")}, groups[0].Telemetry[0])
	require.Equal(t, "\"\ufffd\"", groups[0].Telemetry[1].Value.String())
}

func TestASinglePrecisionValueKeepsItsShortestDecimal(t *testing.T) {
	var b tbproto.TelemetryBuilder
	b.Device("A")
	b.Add("u", telemetry.Float32(230.1))
	groups, err := tbproto.DecodeTelemetry(b.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, telemetry.Float(230.1), groups[0].Telemetry[0].Value)
}

func TestResetForgetsDeviceTimeAndReadings(t *testing.T) {
	var b tbproto.TelemetryBuilder
	b.Device("A")
	b.At(5)
	b.Add("k", telemetry.Int(1))
	b.Reset()
	require.Zero(t, b.Size())
	b.Device("B")
	b.Add("k", telemetry.Int(2))
	groups, err := tbproto.DecodeTelemetry(b.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, []telemetry.Group{{
		Device: telemetry.Device{Name: "B"}, Telemetry: []telemetry.Point{{Key: "k", Value: telemetry.Int(2)}},
	}}, groups)

	var a tbproto.AttributesBuilder
	a.Device("A")
	a.Add("k", telemetry.Int(1))
	a.Reset()
	require.Zero(t, a.Size())
	a.Add("k", telemetry.Int(2))
	groups, err = tbproto.DecodeAttributes(a.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, []telemetry.Group{{Attributes: []telemetry.Point{{Key: "k", Value: telemetry.Int(2)}}}}, groups)
}

// fill builds a message of 10 devices with 10 readings each.
func fill(tb *tbproto.TelemetryBuilder, ab *tbproto.AttributesBuilder, out []byte) []byte {
	devices := [...]string{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"}
	keys := [...]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "bad \xff"}
	vals := [...]telemetry.Value{telemetry.Int(5), telemetry.Float(1.5), telemetry.Float32(230.1), telemetry.String("on"), telemetry.Bool(true)}
	tb.Reset()
	ab.Reset()
	for _, d := range devices {
		tb.Device(d)
		ab.Device(d)
		tb.At(1_700_000_000_000)
		for i, k := range keys {
			v := vals[i%len(vals)]
			if tb.SizeWith(k, v) < 60_000 {
				tb.Add(k, v)
			}
			if ab.SizeWith(k, v) < 60_000 {
				ab.Add(k, v)
			}
		}
	}
	return ab.AppendTo(tb.AppendTo(out[:0]))
}

func TestAllocsOfBuilding(t *testing.T) {
	var tb tbproto.TelemetryBuilder
	var ab tbproto.AttributesBuilder
	out := fill(&tb, &ab, nil)
	require.Zero(t, testing.AllocsPerRun(100, func() { out = fill(&tb, &ab, out) }))
	m := tbproto.RPCResponse{Device: "A", ID: 7, Data: "{}"}
	require.Zero(t, testing.AllocsPerRun(100, func() { out = m.AppendTo(out[:0]) }))
}

func BenchmarkBuild(b *testing.B) {
	var tb tbproto.TelemetryBuilder
	var ab tbproto.AttributesBuilder
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = fill(&tb, &ab, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/value")
}
