package record_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/record"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func sample(b *telemetry.Batch) {
	b.Device("meter-1", "adw300")
	b.AddTelemetry(telemetry.Point{Key: "u", Value: telemetry.Float32(230.1), TS: 1_700_000_000_000})
	b.AddTelemetry(telemetry.Point{Key: "e", Value: telemetry.Float(1.5), TS: 1_699_999_999_000})
	b.AddTelemetry(telemetry.Point{Key: "n", Value: telemetry.Int(-7), TS: -5})
	b.AddTelemetry(telemetry.Point{Key: "on", Value: telemetry.Bool(true), TS: 1})
	b.AddAttribute(telemetry.Point{Key: "serial", Value: telemetry.String("Ünïcode\x00")})
	b.Device("meter-2", "")
	doc, _ := telemetry.JSON([]byte(`{"a":[1,2]}`))
	b.AddTelemetry(telemetry.Point{Key: "doc", Value: doc, TS: 1 << 60})
}

func TestRecordsSurviveTheRoundTrip(t *testing.T) {
	var in, out telemetry.Batch
	sample(&in)
	var d record.Decoder
	rec := record.Append(nil, in.Groups())
	require.NoError(t, d.Decode(rec, &out))
	require.Equal(t, in.Groups(), out.Groups())
	require.NoError(t, d.Decode(rec, &out), "records add up")
	require.Len(t, out.Groups(), 4)
}

func TestOriginSurvivesTheRoundTrip(t *testing.T) {
	var in, out telemetry.Batch
	sample(&in)
	var d record.Decoder
	rec := record.AppendOrigin(nil, "M1", -5, in.Groups())
	require.NoError(t, d.Decode(rec, &out))
	require.Len(t, out.Groups(), 2)
	for i, g := range out.Groups() {
		require.Equal(t, "M1", g.Connector)
		require.Equal(t, int64(-5), g.Received)
		require.Equal(t, in.Groups()[i].Telemetry, g.Telemetry)
	}
	require.NoError(t, d.Decode(record.Append(nil, in.Groups()), &out))
	require.Empty(t, out.Groups()[2].Connector, "it does not stay for the next record")
	out.Reset()
	out.Device("d", "")
	require.Empty(t, out.Groups()[0].Connector)
}

func TestDecodeDoesNotRetainTheRecord(t *testing.T) {
	var in, want, out telemetry.Batch
	sample(&in)
	sample(&want)
	rec := record.Append(nil, in.Groups())
	var d record.Decoder
	require.NoError(t, d.Decode(rec, &out))
	clear(rec)
	require.Equal(t, want.Groups(), out.Groups())
}

// A record that is cut short anywhere is refused, and costs the batch nothing.
func TestCutRecordsAreRefused(t *testing.T) {
	var in telemetry.Batch
	sample(&in)
	rec := record.Append(nil, in.Groups())
	var first telemetry.Batch
	first.Device("meter-1", "adw300")
	for n := range rec {
		var out telemetry.Batch
		out.Device("before", "")
		var d record.Decoder
		if d.Decode(rec[:n], &out) != nil {
			require.Len(t, out.Groups(), 1, "cut at %d", n)
		} else {
			require.Less(t, len(out.Groups()), 3, "cut at %d: only whole groups", n)
		}
	}
	var d record.Decoder
	var out telemetry.Batch
	rec[0] = 99
	require.ErrorContains(t, d.Decode(rec, &out), "version 99")
}

func TestCodecDoesNotAllocate(t *testing.T) {
	var in, out telemetry.Batch
	in.Device("meter-1", "adw300")
	for range 10 {
		in.AddTelemetry(telemetry.Point{Key: "voltage_l1", Value: telemetry.Float(230.1), TS: 1_700_000_000_000})
		in.AddTelemetry(telemetry.Point{Key: "state", Value: telemetry.String("running"), TS: 1_700_000_000_000})
	}
	var rec []byte
	var d record.Decoder
	require.Zero(t, testing.AllocsPerRun(100, func() {
		rec = record.Append(rec[:0], in.Groups())
		out.Reset()
		if err := d.Decode(rec, &out); err != nil {
			t.Fatal(err)
		}
	}))
}

func FuzzDecode(f *testing.F) {
	var b telemetry.Batch
	sample(&b)
	f.Add(record.Append(nil, b.Groups()))
	f.Add([]byte{record.Version})
	f.Add(record.AppendOrigin(nil, "c", 1<<40, b.Groups()))
	f.Add([]byte{record.Version, 1, 'd', 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, rec []byte) {
		var d record.Decoder
		var out, again telemetry.Batch
		if d.Decode(rec, &out) != nil {
			require.Empty(t, out.Groups())
			return
		}
		if gs := out.Groups(); len(gs) > 0 && rec[0] == record.VersionOrigin {
			require.NoError(t, d.Decode(record.AppendOrigin(nil, gs[0].Connector, gs[0].Received, gs), &again))
		} else {
			require.NoError(t, d.Decode(record.Append(nil, gs), &again))
		}
		require.Equal(t, out.Groups(), again.Groups())
	})
}

func BenchmarkAppend(b *testing.B) {
	var in telemetry.Batch
	sample(&in)
	var rec []byte
	b.ReportAllocs()
	for b.Loop() {
		rec = record.Append(rec[:0], in.Groups())
	}
}

func BenchmarkDecode(b *testing.B) {
	var in, out telemetry.Batch
	sample(&in)
	rec := record.Append(nil, in.Groups())
	var d record.Decoder
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		_ = d.Decode(rec, &out)
	}
}
