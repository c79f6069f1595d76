package wire_test

import (
	"encoding/hex"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(tb, err)
	return b
}

// The bytes are those of the examples in Annex F and in clause 20.2 of the standard.
func TestValuesAreEncodedAsTheStandardShows(t *testing.T) {
	for want, v := range map[string]wire.Value{
		"00":                   wire.NullValue(),
		"10":                   wire.BooleanValue(false),
		"11":                   wire.BooleanValue(true),
		"2148":                 wire.UnsignedValue(72),
		"250500010203ff":       {}, // see below
		"31" + "48":            wire.SignedValue(72),
		"31b8":                 wire.SignedValue(-72),
		"4442900000":           wire.RealValue(72),
		"55084052000000000000": wire.DoubleValue(72),
		"631234ff":             wire.OctetsValue([]byte{0x12, 0x34, 0xff}),
		"75190054686973206973206120424143" + "6e657420737472696e6721": wire.TextValue("This is a BACnet string!"),
		"8203a8":     wire.BitsValue(true, false, true, false, true),
		"9100":       wire.EnumeratedValue(0),
		"a45b011804": wire.NewDate(time.Date(1991, 1, 24, 0, 0, 0, 0, time.UTC)),
		"b411232d11": wire.NewTimeOfDay(time.Date(2000, 1, 1, 17, 35, 45, 170e6, time.UTC)),
		"c400c0000f": wire.ObjectIDValue(wire.NewObjectID(wire.BinaryInput, 15)),
	} {
		if want == "250500010203ff" {
			v = wire.UnsignedValue(0x010203ff)
			want = "24010203ff"
		}
		require.Equal(t, want, hex.EncodeToString(v.Append(nil)))
		d := wire.NewDecoder(unhex(t, want))
		got := d.Application()
		require.NoError(t, d.Err())
		require.Equal(t, v.Append(nil), got.Append(nil))
		require.False(t, d.More())
	}
}

func TestNumbersKeepTheirValue(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 127, 128, -128, -129, 32767, -32768, 1 << 23, -1 << 23, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		d := wire.NewDecoder(wire.SignedValue(n).Append(nil))
		require.Equal(t, n, d.Application().Signed())
		require.NoError(t, d.Err())
		if n >= 0 {
			d = wire.NewDecoder(wire.AppendContext(nil, 3, wire.UnsignedValue(uint64(n))))
			require.Equal(t, uint64(n), d.Context(3, wire.Unsigned).Bits)
			require.NoError(t, d.Err())
		}
	}
	require.Equal(t, 21.5, wire.DoubleValue(21.5).Double())
	require.Equal(t, float32(21.5), wire.RealValue(21.5).Real())
}

func TestStringsInAllCharacterSets(t *testing.T) {
	for charset, s := range map[byte]string{wire.CharsetUTF8: "Größe ≤ 5 €", wire.CharsetUCS2: "Größe ≤ 5 €", wire.CharsetLatin1: "Größe"} {
		v, ok := wire.TextIn(charset, s)
		require.True(t, ok)
		got, err := v.Text()
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	_, ok := wire.TextIn(wire.CharsetLatin1, "€")
	require.False(t, ok, "ISO 8859-1 has no euro sign")
	for raw, want := range map[string]string{
		"00" + "41ff42":           "A\uFFFDB",
		"00" + "4142000000":       "AB",
		"03" + "00000041000020ac": "A€",
		"04" + "00d6":             "Ö",
		"05" + "d6":               "Ö",
		"01" + "0352" + "4142":    "AB",
	} {
		got, err := wire.Value{Kind: wire.CharacterString, Data: unhex(t, raw)}.Text()
		require.NoError(t, err)
		require.Equal(t, want, got, raw)
	}
	_, err := wire.Value{Kind: wire.CharacterString, Data: unhex(t, "02"+"4142")}.Text()
	require.ErrorIs(t, err, wire.ErrCharset)
}

// The frames are of the examples of Annex F.3.5 and F.3.7, with a frame around.
func TestRequestsAreEncodedAsTheStandardShows(t *testing.T) {
	read := wire.APDU{
		Type: wire.ConfirmedRequest, InvokeID: 1, Service: wire.ServiceReadProperty, MaxAPDU: 0,
		Payload: wire.AppendReadProperty(nil, wire.Reference{Object: wire.NewObjectID(wire.AnalogInput, 5), Property: wire.PresentValue, Index: wire.WholeArray}),
	}
	require.Equal(t, "0000010c0c000000051955", hex.EncodeToString(read.Append(nil)))

	multiple := wire.AppendReadMultiple(nil, []wire.Reference{
		{Object: wire.NewObjectID(wire.AnalogInput, 16), Property: wire.PresentValue, Index: wire.WholeArray},
		{Object: wire.NewObjectID(wire.AnalogInput, 16), Property: 103, Index: wire.WholeArray},
	})
	require.Equal(t, "0c000000101e09550967"+"1f", hex.EncodeToString(multiple))

	write := wire.Write{
		Reference: wire.Reference{Object: wire.NewObjectID(wire.AnalogValue, 1), Property: wire.PresentValue, Index: wire.WholeArray},
		Value:     wire.RealValue(180).Append(nil), Priority: 9,
	}
	require.Equal(t, "0c0080000119553e44433400003f"+"4909", hex.EncodeToString(write.Append(nil)))

	s := wire.Subscription{Process: 18, Object: wire.NewObjectID(wire.AnalogInput, 10), Confirmed: true}
	require.Equal(t, "09121c0000000a29013900", hex.EncodeToString(s.Append(nil)))
}

func TestFramesAndRoutedAddresses(t *testing.T) {
	mac, ok := wire.NewMAC([]byte{12})
	require.True(t, ok)
	n := wire.NPDU{Destination: wire.Station{Net: 5, MAC: mac}, Reply: true, Payload: []byte{0x10, 0x08}}
	b := wire.Finish(n.Append(wire.Begin(nil, wire.OriginalUnicast)))
	require.Equal(t, "810a000d"+"0124"+"0005010c"+"ff"+"1008", hex.EncodeToString(b))
	f, err := wire.ParseFrame(b)
	require.NoError(t, err)
	got, err := wire.ParseNPDU(f.NPDU)
	require.NoError(t, err)
	require.Equal(t, n.Destination, got.Destination)
	require.True(t, got.Reply)
	require.Equal(t, []byte{0x10, 0x08}, got.Payload)

	origin := netip.MustParseAddrPort("192.0.2.7:47809")
	forwarded := wire.Finish((&wire.NPDU{Payload: []byte{0x10, 0x08}}).Append(wire.AppendForwarded(nil, origin)))
	f, err = wire.ParseFrame(forwarded)
	require.NoError(t, err)
	require.Equal(t, origin, f.Origin)
	require.Equal(t, "810500060384", hex.EncodeToString(wire.AppendRegistration(nil, 15*time.Minute)))

	for _, s := range []string{"192.0.2.1", "192.0.2.1:47809", "5:12", "5:0x0a0b", "5:192.0.2.1:47809", "5:192.0.2.1"} {
		a, err := wire.ParseAddress(s)
		require.NoError(t, err)
		require.Equal(t, s, a.String())
	}
	for _, s := range []string{"", "x", "0:1", "65535:1", "5:", "5:0x", "5:0x010203040506070809", "5:300", "::1", "[::1]:47808"} {
		_, err := wire.ParseAddress(s)
		require.Error(t, err, s)
	}
}

func TestAPDUsAreTakenApartAsTheyWereMade(t *testing.T) {
	for _, a := range []wire.APDU{
		{Type: wire.ConfirmedRequest, Accepts: true, MaxSegments: 7, MaxAPDU: 5, InvokeID: 3, Service: 14, Payload: []byte{1}},
		{Type: wire.ConfirmedRequest, Segmented: true, More: true, MaxAPDU: 5, InvokeID: 3, Sequence: 2, Window: 4, Service: 14, Payload: []byte{1}},
		{Type: wire.UnconfirmedRequest, Service: 8, Payload: []byte{}},
		{Type: wire.SimpleACK, InvokeID: 9, Service: 15, Payload: []byte{}},
		{Type: wire.ComplexACK, InvokeID: 9, Service: 12, Payload: []byte{1, 2}},
		{Type: wire.ComplexACK, Segmented: true, More: true, InvokeID: 9, Sequence: 7, Window: 16, Service: 12, Payload: []byte{1, 2}},
		{Type: wire.SegmentACK, Negative: true, Server: true, InvokeID: 9, Sequence: 7, Window: 16},
		{Type: wire.ErrorPDU, InvokeID: 9, Service: 12, Payload: (&wire.Error{Class: 2, Code: 32}).Append(nil)},
		{Type: wire.RejectPDU, InvokeID: 9, Reason: 9, Payload: []byte{}},
		{Type: wire.AbortPDU, Server: true, InvokeID: 9, Reason: 4, Payload: []byte{}},
	} {
		got, err := wire.ParseAPDU(a.Append(nil))
		require.NoError(t, err)
		require.Equal(t, a, got)
	}
}

func TestAnswersAreTakenApartAsTheyWereMade(t *testing.T) {
	ref := func(n uint32, p wire.Property, index uint32) wire.Reference {
		return wire.Reference{Object: wire.NewObjectID(wire.AnalogInput, n), Property: p, Index: index}
	}
	results := []wire.ReadResult{
		{Reference: ref(1, wire.PresentValue, wire.WholeArray), Value: wire.RealValue(1).Append(nil)},
		{Reference: ref(1, 4194304, 3), Err: &wire.Error{Class: 2, Code: 42}},
		{Reference: ref(2, wire.ObjectName, wire.WholeArray), Value: wire.TextValue("x").Append(nil)},
	}
	var got []wire.ReadResult
	require.NoError(t, wire.EachReadResult(wire.AppendReadMultipleACK(nil, results), func(r wire.ReadResult) bool {
		got = append(got, r)
		return true
	}))
	require.Equal(t, results, got)

	n := wire.Notification{Process: 599, Device: wire.NewObjectID(wire.DeviceObject, 7), Object: wire.NewObjectID(wire.BinaryValue, 2), Remaining: time.Minute}
	values := wire.AppendPropertyValue(wire.AppendPropertyValue(nil, wire.PresentValue, wire.EnumeratedValue(1).Append(nil)), wire.StatusFlags, wire.BitsValue(false, true, false, false).Append(nil))
	parsed, err := wire.ParseNotification(n.Append(nil, values))
	require.NoError(t, err)
	require.Equal(t, n.Process, parsed.Process)
	require.Equal(t, n.Device, parsed.Device)
	require.Equal(t, n.Remaining, parsed.Remaining)
	var properties []wire.Property
	require.NoError(t, parsed.Each(func(r wire.Reference, _ []byte) bool {
		require.Equal(t, n.Object, r.Object)
		properties = append(properties, r.Property)
		return true
	}))
	require.Equal(t, []wire.Property{wire.PresentValue, wire.StatusFlags}, properties)

	for _, s := range []wire.Subscription{
		{Process: 1, Object: n.Object, Confirmed: true, Lifetime: time.Minute}, {Process: 1, Object: n.Object}, {Process: 1, Object: n.Object, Cancel: true},
	} {
		got, err := wire.ParseSubscription(s.Append(nil))
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	i := wire.IAm{Device: n.Device, MaxAPDU: 480, Segmentation: wire.NoSegmentation, Vendor: 260}
	back, err := wire.ParseIAm(i.Append(nil))
	require.NoError(t, err)
	require.Equal(t, i, back)
	low, high, err := wire.ParseWhoIs(wire.AppendWhoIs(nil, 3, 300))
	require.NoError(t, err)
	require.Equal(t, []uint32{3, 300}, []uint32{low, high})
}

func TestErrorsSayWhatTheDeviceSaid(t *testing.T) {
	e, err := wire.ParseError((&wire.Error{Class: 2, Code: 32}).Append(nil))
	require.NoError(t, err)
	require.EqualError(t, e, "property: unknown-property")
	require.EqualError(t, wire.Reject(9), "rejected: unrecognized-service")
	require.EqualError(t, wire.Abort(4), "aborted: segmentation-not-supported")
	require.EqualError(t, wire.ResultCode(0x30), "refused: foreign-device-registration-refused")
	require.EqualError(t, &wire.Error{Class: 99, Code: 9999}, "99: 9999")
}

func TestNamesAreFoundInBothSpellings(t *testing.T) {
	for s, want := range map[string]wire.Property{
		"presentValue": 85, "present-value": 85, "85": 85, "utcOffset": 119, "covIncrement": 22, "objectName": 77, "numberOfApduRetries": 73, "4194400": 4194400,
	} {
		p, err := wire.ParseProperty(s)
		require.NoError(t, err)
		require.Equal(t, want, p, s)
	}
	for _, s := range []string{"", "value", "present", "presentValues", "50000000", "-1", "0:acked"} {
		_, err := wire.ParseProperty(s)
		require.Error(t, err, s)
	}
	require.Equal(t, "present-value", wire.PresentValue.String())
	require.Equal(t, "600", wire.Property(600).String())
	ot, err := wire.ParseObjectType("multiStateValue")
	require.NoError(t, err)
	require.Equal(t, wire.MultiStateValue, ot)
	require.Equal(t, "multi-state-value,3", wire.NewObjectID(ot, 3).String())
	name, ok := wire.EnumName(wire.AnalogInput, wire.Units, 62)
	require.True(t, ok)
	require.Equal(t, "degrees-celsius", name)
	n, ok := wire.EnumNumber(wire.BinaryValue, wire.PresentValue, "active")
	require.True(t, ok)
	require.EqualValues(t, 1, n)
	require.Equal(t, "degreesCelsius", wire.Camel("degrees-celsius"))
}

func TestDatesAndTimesAreText(t *testing.T) {
	d, err := wire.ParseDate("2026-11-22")
	require.NoError(t, err)
	require.Equal(t, "2026-11-22", string(d.AppendDate(nil)))
	at, err := wire.ParseTime("13:05:10.25")
	require.NoError(t, err)
	require.Equal(t, "13:05:10.25", string(at.AppendTime(nil)))
	any := wire.Value{Kind: wire.DateKind, Bits: 0xFF0D2001}
	require.Equal(t, "*-odd-last day 1", string(any.AppendDate(nil)))
	require.Equal(t, "*:*:*", string(wire.Value{Kind: wire.TimeKind, Bits: 0xFFFFFFFF}.AppendTime(nil)))
	_, err = wire.ParseDate("22.11.2026")
	require.Error(t, err)
}

// A constructed value that nests too deep, or without end, and lengths beyond the input.
func TestHostileInputIsRefused(t *testing.T) {
	nested := func(open, closed int) error {
		answer := unhex(t, "0c000000051955")
		for range open {
			answer = wire.AppendOpen(answer, 3)
		}
		for range closed {
			answer = wire.AppendClose(answer, 3)
		}
		_, _, err := wire.ParseReadPropertyACK(answer)
		return err
	}
	require.NoError(t, nested(33, 33))
	require.ErrorIs(t, nested(34, 34), wire.ErrMalformed)
	require.ErrorIs(t, nested(2000, 2000), wire.ErrMalformed)
	require.ErrorIs(t, nested(33, 32), wire.ErrMalformed)
	for _, s := range []string{"75ffffffffff00", "25", "75fe", "75ff0000", "f5", "65", "0d", "44", "4442", "12", "16", "8109", "820a"} {
		d := wire.NewDecoder(unhex(t, s))
		d.Application()
		require.Error(t, d.Err(), s)
	}
}

func BenchmarkReadResults(b *testing.B) {
	var results []wire.ReadResult
	for i := range uint32(20) {
		results = append(results, wire.ReadResult{
			Reference: wire.Reference{Object: wire.NewObjectID(wire.AnalogInput, i), Property: wire.PresentValue, Index: wire.WholeArray},
			Value:     wire.RealValue(21.5).Append(nil),
		})
	}
	answer := wire.AppendReadMultipleACK(nil, results)
	b.ReportAllocs()
	for b.Loop() {
		_ = wire.EachReadResult(answer, func(r wire.ReadResult) bool {
			d := wire.NewDecoder(r.Value)
			return d.Application().Kind == wire.Real
		})
	}
}
