package tbproto_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridlinks/iot-gateway/internal/tbproto"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestMessagesDecodeToWhatWasEncoded(t *testing.T) {
	points := make([]telemetry.Point, 0, 20)
	for i, v := range values(t) {
		points = append(points, telemetry.Point{Key: "k", Value: v, TS: int64(i) - 3})
	}
	connect := tbproto.Connect{Device: "A", Profile: "meter"}
	gotConnect, err := tbproto.DecodeConnect(connect.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, connect, gotConnect)

	disconnect := tbproto.Disconnect{Device: "A"}
	gotDisconnect, err := tbproto.DecodeDisconnect(disconnect.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, disconnect, gotDisconnect)

	response := tbproto.RPCResponse{Device: "A", ID: -7, Data: `{"ok":true}`}
	gotResponse, err := tbproto.DecodeRPCResponse(response.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, response, gotResponse)

	request := tbproto.AttributesRequest{ID: 1 << 30, Device: "A", Client: true, Keys: []string{"a", "", "b"}}
	gotRequest, err := tbproto.DecodeAttributesRequest(request.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, request, gotRequest)

	answer := tbproto.AttributesResponse{Device: "A", ID: 9, Client: points, Shared: points[:2], Multiple: true, Error: "none"}
	gotAnswer, err := tbproto.DecodeAttributesResponse(answer.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, answer, gotAnswer)

	update := tbproto.AttributesUpdate{Device: "A", Points: points, Deleted: []string{"x", ""}}
	gotUpdate, err := tbproto.DecodeAttributesUpdate(update.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, update, gotUpdate)

	call := tbproto.RPCRequest{Device: "A", ID: 3, Method: "set", Params: `{"v":1}`, OneWay: true}
	gotCall, err := tbproto.DecodeRPCRequest(call.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, call, gotCall)
}

// message builds a length-delimited field.
func message(num protowire.Number, body ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
}

func varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	group := protowire.AppendTag(protowire.AppendTag(nil, 90, protowire.StartGroupType), 90, protowire.EndGroupType)
	fixed32 := protowire.AppendFixed32(protowire.AppendTag(nil, 91, protowire.Fixed32Type), 1)
	msg := join(group, fixed32, message(92, 1), varint(1, 5), message(1, 'A'), varint(93, 1), message(2, join(varint(1, 4), message(99), message(2, 'm'))...))
	got, err := tbproto.DecodeRPCRequest(msg)
	require.NoError(t, err)
	require.Equal(t, tbproto.RPCRequest{Device: "A", ID: 4, Method: "m"}, got)
}

func TestATimeMayFollowItsReadings(t *testing.T) {
	kv := message(2, join(message(1, 'k'), varint(2, 1), varint(4, 9))...)
	msg := message(1, join(message(1, 'A'), message(3, message(1, join(kv, kv, varint(1, 77))...)...))...)
	groups, err := tbproto.DecodeTelemetry(msg)
	require.NoError(t, err)
	p := telemetry.Point{Key: "k", Value: telemetry.Int(9), TS: 77}
	require.Equal(t, []telemetry.Point{p, p}, groups[0].Telemetry)
}

// One value that is not known takes no other with it.
func TestAValueThatIsNotKnownIsAbsent(t *testing.T) {
	timed := func(fields ...[]byte) []byte { return message(1, message(2, join(fields...)...)...) }
	inner := join(
		timed(message(1, 'a'), varint(2, 9)),                       // a type of the future
		timed(message(1, 'b'), varint(2, 4), message(7, '{')),      // JSON that is none
		timed(message(1, 'c'), varint(2, 1), varint(4, 5)),         // a long
		timed(message(1, 'd'), varint(2, 4), message(7, '[', ']')), // JSON
	)
	got, err := tbproto.DecodeAttributesUpdate(join(message(1, 'D'), message(2, inner...)))
	require.NoError(t, err)
	require.Equal(t, []telemetry.Point{
		{Key: "a"}, {Key: "b"}, {Key: "c", Value: telemetry.Int(5)}, {Key: "d", Value: doc(t, "[]")},
	}, got.Points)
}

func TestMalformedMessagesAreErrors(t *testing.T) {
	for name, msg := range map[string][]byte{
		"truncated tag":     {0x80},
		"truncated varint":  {0x10, 0x80},
		"truncated string":  {0x0a, 5, 'a'},
		"not UTF-8":         {0x0a, 1, 0xff},
		"field number zero": {0x00, 0x00},
		"open group":        {0x0b},
		"inner":             {0x12, 2, 0x0a, 9},
	} {
		_, err := tbproto.DecodeRPCRequest(msg)
		require.ErrorContains(t, err, "tbproto: RPC request: ", name)
	}
}

func FuzzDecodeUplink(f *testing.F) {
	var tb tbproto.TelemetryBuilder
	var ab tbproto.AttributesBuilder
	tb.Device("A")
	tb.At(7)
	ab.Device("A")
	for _, v := range []telemetry.Value{telemetry.Int(-1), telemetry.Float(1.5), telemetry.String("x"), doc(f, "[]")} {
		tb.Add("k", v)
		ab.Add("k", v)
	}
	f.Add(tb.AppendTo(nil))
	f.Add(ab.AppendTo(nil))
	f.Add(tbproto.AttributesRequest{ID: 1, Device: "A", Client: true, Keys: []string{"k"}}.AppendTo(nil))
	f.Add(tbproto.RPCResponse{Device: "A", ID: 1, Data: "{}"}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if groups, err := tbproto.DecodeTelemetry(msg); err == nil {
			again(t, groups)
		}
		if groups, err := tbproto.DecodeAttributes(msg); err == nil {
			var b tbproto.AttributesBuilder
			n := 0
			for _, g := range groups {
				b.Device(g.Device.Name)
				for _, p := range g.Attributes {
					if b.Add(p.Key, p.Value) {
						n++
					}
				}
			}
			require.Equal(t, n, count(tbproto.DecodeAttributes(b.AppendTo(nil))))
		}
		if m, err := tbproto.DecodeConnect(msg); err == nil {
			got, err := tbproto.DecodeConnect(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
		if m, err := tbproto.DecodeDisconnect(msg); err == nil {
			got, err := tbproto.DecodeDisconnect(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
		if m, err := tbproto.DecodeRPCResponse(msg); err == nil {
			got, err := tbproto.DecodeRPCResponse(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
		if m, err := tbproto.DecodeAttributesRequest(msg); err == nil {
			got, err := tbproto.DecodeAttributesRequest(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
	})
}

// again checks that what was decoded survives being encoded.
func again(t *testing.T, groups []telemetry.Group) {
	t.Helper()
	var b tbproto.TelemetryBuilder
	n := 0
	for _, g := range groups {
		b.Device(g.Device.Name)
		for _, p := range g.Telemetry {
			b.At(p.TS)
			with := b.SizeWith(p.Key, p.Value)
			if b.Add(p.Key, p.Value) {
				n++
			}
			require.Equal(t, with, b.Size())
		}
	}
	msg := b.AppendTo(nil)
	require.Len(t, msg, b.Size())
	require.Equal(t, n, count(tbproto.DecodeTelemetry(msg)))
}

// count returns the number of points, or -1 if there is an error.
func count(groups []telemetry.Group, err error) (n int) {
	if err != nil {
		return -1
	}
	for _, g := range groups {
		n += len(g.Telemetry) + len(g.Attributes)
	}
	return n
}

func FuzzDecodeDownlink(f *testing.F) {
	p := []telemetry.Point{{Key: "k", Value: telemetry.Float(1.5), TS: 5}, {Key: "s", Value: telemetry.String("x")}}
	f.Add(tbproto.AttributesResponse{Device: "A", ID: 1, Client: p, Shared: p, Error: "e"}.AppendTo(nil))
	f.Add(tbproto.AttributesUpdate{Device: "A", Points: p, Deleted: []string{"x"}}.AppendTo(nil))
	f.Add(tbproto.RPCRequest{Device: "A", ID: 1, Method: "m", Params: "{}"}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if m, err := tbproto.DecodeAttributesResponse(msg); err == nil {
			got, err := tbproto.DecodeAttributesResponse(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m.ID, got.ID)
			require.LessOrEqual(t, len(got.Client), len(m.Client))
		}
		if m, err := tbproto.DecodeAttributesUpdate(msg); err == nil {
			got, err := tbproto.DecodeAttributesUpdate(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m.Deleted, got.Deleted)
		}
		if m, err := tbproto.DecodeRPCRequest(msg); err == nil {
			got, err := tbproto.DecodeRPCRequest(m.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
	})
}
