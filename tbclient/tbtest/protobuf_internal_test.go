package tbtest

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// fields returns the fields of a message by number; of repeated ones the last.
func fields(t *testing.T, b []byte) map[protowire.Number]field {
	t.Helper()
	out := make(map[protowire.Number]field)
	require.NoError(t, eachField(b, func(f field) error {
		out[f.number] = f
		return nil
	}))
	return out
}

// keyValueOf returns KeyValueProto.
func keyValueOf(t *testing.T, key string, value any) []byte {
	t.Helper()
	b, err := appendKeyValue(nil, key, value)
	require.NoError(t, err)
	return b
}

func TestProtobufKeepsTheTypesOfValues(t *testing.T) {
	for _, v := range []any{true, false, int64(-5), int64(1) << 62, 1.0, math.Inf(1), 0.30000000000000004, "0012", "", json.RawMessage(`{"a":[1]}`)} {
		kv, err := keyValue(keyValueOf(t, "k", v))
		require.NoError(t, err)
		require.Equal(t, keyed{"k", v}, kv)
	}
}

func TestProtobufSkipsWhatItDoesNotKnow(t *testing.T) {
	b := appendText(appendText(appendText(nil, 99, "unknown"), 1, "d"), 2, "meter")
	b = protowire.AppendFixed32(protowire.AppendTag(b, 1, protowire.Fixed32Type), 7) // of a type that no message has
	name, kind, err := protobufCodec{}.connect(b)
	require.NoError(t, err)
	require.Equal(t, "d", name)
	require.Equal(t, "meter", kind)
}

func TestBadProtobufIsOfFormatOrOfAnElement(t *testing.T) {
	c := protobufCodec{}
	device := func(kv []byte) []byte {
		list := appendMessage(appendInt(nil, 1, 5), 2, kv)
		return appendMessage(nil, 1, appendMessage(appendText(nil, 1, "d"), 3, appendMessage(nil, 1, list)))
	}
	good := device(keyValueOf(t, "k", true))
	data, err := c.telemetry(good)
	require.NoError(t, err)
	require.Equal(t, []deviceData{{device: "d", elements: []element{{ts: 5, hasTS: true, values: []keyed{{"k", true}}}}}}, data)
	for name, kv := range map[string][]byte{
		"unknown type": appendInt(appendText(nil, 1, "k"), 2, 5),
		"no key":       appendInt(nil, 2, 1),
		"bad JSON":     appendText(appendInt(appendText(nil, 1, "k"), 2, typeJSON), 7, "{"),
	} {
		_, err := c.telemetry(device(kv))
		require.ErrorIs(t, err, errForm, name)
	}
	for name, b := range map[string][]byte{
		"cut off":   good[:len(good)-1],
		"empty":     nil,
		"no name":   appendMessage(nil, 1, nil),
		"no fields": {0xff},
	} {
		_, err := c.telemetry(b)
		require.ErrorIs(t, err, errProtobuf, name)
		require.NotErrorIs(t, err, errForm, name)
	}
}

func TestProtobufRequestsAndReplies(t *testing.T) {
	c := protobufCodec{}
	b := appendText(appendText(appendInt(appendText(appendInt(nil, 1, 7), 2, "d"), 3, 1), 4, "a"), 4, "b")
	q, err := c.attributeRequest(b)
	require.NoError(t, err)
	require.Equal(t, attributeRequest{7, "d", true, []string{"a", "b"}}, q)

	b, err = c.attributeResponse(q, map[string]any{"a": int64(5)}, true)
	require.NoError(t, err)
	outer := fields(t, b)
	require.Equal(t, "d", outer[1].text())
	inner := fields(t, outer[2].bytes)
	require.Equal(t, uint64(7), inner[1].value)
	require.Equal(t, uint64(1), inner[4].value)
	require.Contains(t, inner, protowire.Number(2), "client attributes")
	kv, err := keyValue(fields(t, inner[2].bytes)[2].bytes)
	require.NoError(t, err)
	require.Equal(t, keyed{"a", int64(5)}, kv)

	r, err := c.rpcReply(appendText(appendInt(appendText(nil, 1, "d"), 2, 9), 3, `{"ok":1}`))
	require.NoError(t, err)
	require.Equal(t, rpcReply{"d", 9, []byte(`{"ok":1}`)}, r)

	claims, err := c.claims(appendMessage(nil, 1, appendMessage(appendText(nil, 1, "d"), 2, appendInt(appendText(nil, 1, "s"), 2, 30))))
	require.NoError(t, err)
	require.Equal(t, []deviceClaim{{"d", Claim{"s", 30}}}, claims)
}

func TestProtobufPushes(t *testing.T) {
	c := protobufCodec{}
	b, err := c.attributeNotice("d", nil, []string{"k"})
	require.NoError(t, err)
	require.Equal(t, "k", fields(t, fields(t, b)[2].bytes)[2].text())
	b, err = c.attributeNotice("d", map[string]any{"k": 1.5}, nil)
	require.NoError(t, err)
	kv, err := keyValue(fields(t, fields(t, fields(t, b)[2].bytes)[1].bytes)[2].bytes)
	require.NoError(t, err)
	require.Equal(t, keyed{"k", 1.5}, kv)
	b, err = c.rpcRequest("d", 3, "m", map[string]int{"a": 1})
	require.NoError(t, err)
	call := fields(t, fields(t, b)[2].bytes)
	require.Equal(t, uint64(3), call[1].value)
	require.Equal(t, "m", call[2].text())
	require.JSONEq(t, `{"a":1}`, call[3].text())
}
