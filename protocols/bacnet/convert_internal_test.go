package bacnet

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestValuesKeepTheirKind(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 5, 10, 0, time.UTC)
	value := func(ot wire.ObjectType, p wire.Property, decimals int, raw []byte) (telemetry.Value, bool) {
		return converter{ref: wire.Reference{Object: wire.NewObjectID(ot, 1), Property: p, Index: wire.WholeArray}, decimals: decimals}.property(raw)
	}
	latin1, _ := wire.TextIn(wire.CharsetLatin1, "Größe")
	for _, c := range []struct {
		name     string
		ot       wire.ObjectType
		p        wire.Property
		decimals int
		raw      []byte
		want     telemetry.Value
	}{
		{"real", wire.AnalogInput, wire.PresentValue, 0, wire.RealValue(21.3).Append(nil), telemetry.Float32(21.3)},
		{"rounded", wire.AnalogInput, wire.PresentValue, 2, wire.RealValue(21.348).Append(nil), telemetry.Float(21.35)},
		{"rounded as it is written", wire.AnalogInput, wire.PresentValue, 2, wire.RealValue(-0.005).Append(nil), telemetry.Float(-0.01)},
		{"rounded to nothing", wire.AnalogInput, wire.PresentValue, 2, wire.RealValue(-0.001).Append(nil), telemetry.Float(0)},
		{"double", wire.LargeAnalogValue, wire.PresentValue, 0, wire.DoubleValue(1e-9).Append(nil), telemetry.Float(1e-9)},
		{"unsigned", wire.MultiStateValue, wire.PresentValue, 2, wire.UnsignedValue(4).Append(nil), telemetry.Int(4)},
		{"signed", wire.IntegerValue, wire.PresentValue, 2, wire.SignedValue(-4).Append(nil), telemetry.Int(-4)},
		{"binary", wire.BinaryInput, wire.PresentValue, 2, wire.EnumeratedValue(1).Append(nil), telemetry.Bool(true)},
		{"boolean", wire.BinaryInput, wire.OutOfService, 2, wire.BooleanValue(false).Append(nil), telemetry.Bool(false)},
		{"enumeration", wire.AnalogInput, wire.Units, 2, wire.EnumeratedValue(62).Append(nil), telemetry.String("degrees-celsius")},
		{"proprietary enumeration", wire.AnalogInput, wire.Units, 2, wire.EnumeratedValue(60000).Append(nil), telemetry.Int(60000)},
		{"no flags", wire.AnalogInput, wire.StatusFlags, 2, wire.BitsValue(false, false, false, false).Append(nil), telemetry.String("")},
		{"flags", wire.AnalogInput, wire.StatusFlags, 2, wire.BitsValue(true, true, false, false).Append(nil), telemetry.String("in-alarm,fault")},
		{"bits", wire.BitStringValue, wire.PresentValue, 2, wire.BitsValue(true, false, true).Append(nil), telemetry.String("101")},
		{"text", wire.CharacterStringValue, wire.PresentValue, 2, latin1.Append(nil), telemetry.String("Größe")},
		{"text that cannot be read", wire.CharacterStringValue, wire.PresentValue, 2, wire.Value{Kind: wire.CharacterString, Data: []byte{2, 0x41}}.Append(nil), telemetry.String("41")},
		{"octets", wire.OctetStringValue, wire.PresentValue, 2, wire.OctetsValue([]byte{1, 255}).Append(nil), telemetry.String("01ff")},
		{"date", wire.DateValue, wire.PresentValue, 2, wire.NewDate(at).Append(nil), telemetry.String("2026-11-22")},
		{"time", wire.TimeValue, wire.PresentValue, 2, wire.NewTimeOfDay(at).Append(nil), telemetry.String("13:05:10")},
		{"date and time", wire.DateTimeValue, wire.PresentValue, 2, wire.NewTimeOfDay(at).Append(wire.NewDate(at).Append(nil)), telemetry.String("2026-11-22T13:05:10")},
		{"object", wire.DeviceObject, wire.ObjectIdentifierProperty, 2, wire.ObjectIDValue(wire.NewObjectID(wire.DeviceObject, 7)).Append(nil), telemetry.String("device,7")},
	} {
		v, ok := value(c.ot, c.p, c.decimals, c.raw)
		require.True(t, ok, c.name)
		require.Equal(t, c.want, v, c.name)
	}
	for name, raw := range map[string][]byte{"null": wire.NullValue().Append(nil), "malformed": {0x44, 1}, "left open": {0x3e}} {
		_, ok := value(wire.AnalogInput, wire.PresentValue, 2, raw)
		require.False(t, ok, name)
	}
	list, ok := value(wire.DeviceObject, wire.ObjectList, 2, wire.ObjectIDValue(wire.NewObjectID(wire.AnalogInput, 1)).Append(nil))
	require.True(t, ok)
	require.JSONEq(t, `["analog-input,1"]`, list.String())
	nested, ok := value(wire.LoopObject, 60, 2, wire.AppendClose(wire.AppendContext(wire.AppendOpen(nil, 0), 1, wire.UnsignedValue(85)), 0))
	require.True(t, ok)
	require.JSONEq(t, `[{"0":[{"1":"55"}]}]`, nested.String())
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte{0x44, 0x42, 0x90, 0, 0}, uint32(85))
	f.Add([]byte{0x0e, 0xb4, 8, 0, 0, 0, 0x44, 0, 0, 0, 0, 0x0f}, uint32(123))
	f.Add([]byte{0xa4, 1, 2, 3, 4, 0xb4, 1, 2, 3, 4}, uint32(85))
	f.Fuzz(func(t *testing.T, raw []byte, property uint32) {
		for _, compatible := range []bool{false, true} {
			c := converter{ref: wire.Reference{Property: wire.Property(property), Index: wire.WholeArray}, decimals: 2, compatible: compatible}
			v, ok := c.property(raw)
			if ok && v.Kind() == telemetry.KindJSON {
				_, err := telemetry.JSON([]byte(v.String()))
				require.NoError(t, err, v.String())
			}
		}
	})
}

func TestReadingsAllocateNothing(t *testing.T) {
	d := &device{s: &session{c: &Connector{}}, entry: &entry{}}
	points := []*point{
		{ref: wire.Reference{Property: wire.PresentValue, Index: wire.WholeArray}, readings: []reading{{key: "real", decimals: 2}, {key: "exact"}}},
		{ref: wire.Reference{Property: wire.Units, Index: wire.WholeArray}, readings: []reading{{key: "units", attribute: true}}},
		{ref: wire.Reference{Property: wire.ObjectName, Index: wire.WholeArray}, readings: []reading{{key: "name"}}},
	}
	raw := [][]byte{wire.RealValue(21.37).Append(nil), wire.EnumeratedValue(62).Append(nil), wire.TextValue("Supply").Append(nil)}
	work := func() {
		d.batch.Reset()
		d.batch.Device("AHU", "default")
		for i, p := range points {
			d.accept(p, raw[i], nil)
		}
	}
	work()
	require.Equal(t, 4, d.batch.Len())
	if !raceDetector {
		require.Zero(t, testing.AllocsPerRun(100, work))
	}
}
