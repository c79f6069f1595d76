package snmp_test

import (
	"math"
	"testing"

	"github.com/gosnmp/gosnmp"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestValuesKeepTheirTypes(t *testing.T) {
	text := func(s string) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: []byte(s)} }
	for _, test := range []struct {
		pdu  gosnmp.SnmpPDU
		enc  snmp.Encoding
		want telemetry.Value
	}{
		{gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: -42}, snmp.Auto, telemetry.Int(-42)},
		{gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: 0}, snmp.Auto, telemetry.Int(0)},
		{gosnmp.SnmpPDU{Type: gosnmp.Counter32, Value: uint(math.MaxUint32)}, snmp.Auto, telemetry.Int(math.MaxUint32)},
		{gosnmp.SnmpPDU{Type: gosnmp.Gauge32, Value: uint(7)}, snmp.Auto, telemetry.Int(7)},
		{gosnmp.SnmpPDU{Type: gosnmp.Uinteger32, Value: uint32(8)}, snmp.Auto, telemetry.Int(8)},
		{gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: uint64(1 << 62)}, snmp.Auto, telemetry.Int(1 << 62)},
		{gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: uint64(math.MaxUint64)}, snmp.Auto, telemetry.Float(math.MaxUint64)},
		{gosnmp.SnmpPDU{Type: gosnmp.TimeTicks, Value: uint32(360050)}, snmp.Auto, telemetry.Float(3600.5)},
		{gosnmp.SnmpPDU{Type: gosnmp.IPAddress, Value: "192.0.2.1"}, snmp.Auto, telemetry.String("192.0.2.1")},
		{gosnmp.SnmpPDU{Type: gosnmp.ObjectIdentifier, Value: ".1.3.6.1"}, snmp.Auto, telemetry.String("1.3.6.1")},
		{gosnmp.SnmpPDU{Type: gosnmp.OpaqueFloat, Value: float32(21.5)}, snmp.Auto, telemetry.Float32(21.5)},
		{gosnmp.SnmpPDU{Type: gosnmp.OpaqueDouble, Value: 21.25}, snmp.Auto, telemetry.Float(21.25)},
		{gosnmp.SnmpPDU{Type: gosnmp.Opaque, Value: []byte("AB")}, snmp.Auto, telemetry.String("41:42")},
		{text("21.5"), snmp.Auto, telemetry.String("21.5")},
		{text(""), snmp.Auto, telemetry.String("")},
		{text("größer\r\n"), snmp.Auto, telemetry.String("größer\r\n")},
		{text("name\x00\x00"), snmp.Auto, telemetry.String("name")},
		{text("\x00\x00"), snmp.Auto, telemetry.String("00:00")},
		{text("\x00\x1b\xfe\x12\x34\x56"), snmp.Auto, telemetry.String("00:1b:fe:12:34:56")},
		{text("A\xfeB"), snmp.Auto, telemetry.String("41:fe:42")},
		{text("a\x07"), snmp.Auto, telemetry.String("61:07")},
		{text("AB"), snmp.Hex, telemetry.String("41:42")},
		{text("\xffA\x00"), snmp.Text, telemetry.String("\ufffdA")},
	} {
		got, err := snmp.Decode(test.pdu, test.enc)
		require.NoError(t, err)
		require.Equal(t, test.want, got, "%v", test.pdu)
	}
	for _, typ := range []gosnmp.Asn1BER{gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView, gosnmp.Null, gosnmp.IPAddress, gosnmp.UnknownType} {
		_, err := snmp.Decode(gosnmp.SnmpPDU{Type: typ}, snmp.Auto)
		require.Error(t, err, typ.String())
	}
}

func TestScalingIsExactAndCanBeUndone(t *testing.T) {
	for _, test := range []struct {
		factor   float64
		in, want telemetry.Value
	}{
		{0, telemetry.Int(5), telemetry.Int(5)},
		{0.1, telemetry.Int(2303), telemetry.Float(230.3)},
		{0.001, telemetry.Int(1003), telemetry.Float(1.003)},
		{10, telemetry.Int(7), telemetry.Int(70)},
		{1.5, telemetry.Int(3), telemetry.Float(4.5)},
	} {
		got, back, err := snmp.ScaleBy(test.factor, test.in)
		require.NoError(t, err)
		require.Equal(t, test.want, got)
		require.Equal(t, test.in, back)
	}
	text, _, err := snmp.ScaleBy(0.1, telemetry.String("5"))
	require.NoError(t, err)
	require.Equal(t, telemetry.String("5"), text)
	_, _, err = snmp.ScaleBy(math.NaN(), telemetry.Int(1))
	require.Error(t, err)
}

func TestObjectIdentifiers(t *testing.T) {
	for in, want := range map[string]string{"1.3.6.1": "1.3.6.1", ".1.3": "1.3", " 2.999.4294967295 ": "2.999.4294967295", "01.3": "1.3"} {
		got, err := snmp.ParseOID(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", ".", "1", "3.1", "1.40", "1..3", "1.3.", "1.3.-1", "1.3.4294967296", "a.b", "1.3 .6"} {
		_, err := snmp.ParseOID(in)
		require.Error(t, err, in)
	}
	for _, pair := range [][2]string{{"1.3", "1.3.0"}, {"1.3.9", "1.3.10"}, {"1.2.99", "1.3"}, {"1.3.1.5", "1.3.2"}} {
		require.True(t, snmp.Before(pair[0], pair[1]), pair)
		require.False(t, snmp.Before(pair[1], pair[0]), pair)
	}
	require.False(t, snmp.Before("1.3", "1.3"))
}

func TestDecodingNumbersAllocatesNothing(t *testing.T) {
	pdu := gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: uint64(1 << 40)}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := snmp.Decode(pdu, snmp.Auto); err != nil {
			t.Fatal(err)
		}
	}))
}
