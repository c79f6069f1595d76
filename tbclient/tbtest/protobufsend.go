package tbtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

func appendText(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

func appendMessage(b []byte, number protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), m)
}

func appendInt(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

// attributeResponse is GatewayAttributeResponseMsg: {1 deviceName, 2
// GetAttributeResponseMsg{1 requestId, 2 client, 3 shared attributes, 4 whether
// several were requested}}.
func (protobufCodec) attributeResponse(q attributeRequest, found map[string]any, several bool) ([]byte, error) {
	list := protowire.Number(3)
	if q.client {
		list = 2
	}
	m := appendInt(nil, 1, uint64(q.id))
	m, err := appendValues(m, list, found)
	if err != nil {
		return nil, err
	}
	if several {
		m = appendInt(m, 4, 1)
	}
	return appendMessage(appendText(nil, 1, q.device), 2, m), nil
}

// attributeNotice is GatewayAttributeUpdateNotificationMsg: {1 deviceName, 2
// AttributeUpdateNotificationMsg{1 sharedUpdated, 2 sharedDeleted}}.
func (protobufCodec) attributeNotice(device string, set map[string]any, deleted []string) ([]byte, error) {
	m, err := appendValues(nil, 1, set)
	if err != nil {
		return nil, err
	}
	for _, key := range deleted {
		m = appendText(m, 2, key)
	}
	return appendMessage(appendText(nil, 1, device), 2, m), nil
}

// rpcRequest is GatewayDeviceRpcRequestMsg: {1 deviceName, 2
// ToDeviceRpcRequestMsg{1 requestId, 2 methodName, 3 params in JSON}}.
func (protobufCodec) rpcRequest(device string, id int64, method string, params any) ([]byte, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	m := appendMessage(appendText(appendInt(nil, 1, uint64(id)), 2, method), 3, text)
	return appendMessage(appendText(nil, 1, device), 2, m), nil
}

// disconnected is in JSON here too: no message in protobuf is known for it.
func (protobufCodec) disconnected(device string, reason byte) []byte {
	return jsonCodec{}.disconnected(device, reason)
}

// appendValues appends values as repeated TsKvProto: {1 ts, 2 KeyValueProto}.
func appendValues(b []byte, number protowire.Number, values map[string]any) ([]byte, error) {
	now := uint64(time.Now().UnixMilli())
	for _, key := range slices.Sorted(maps.Keys(values)) {
		kv, err := appendKeyValue(nil, key, values[key])
		if err != nil {
			return nil, err
		}
		b = appendMessage(b, number, appendMessage(appendInt(nil, 1, now), 2, kv))
	}
	return b, nil
}

// appendKeyValue appends the fields of KeyValueProto. Values of other types than
// those of a Reading are sent as they are stored: numbers by their kind, and
// the rest as JSON.
func appendKeyValue(b []byte, key string, value any) ([]byte, error) {
	b = appendText(b, 1, key)
	switch v := value.(type) {
	case bool:
		return appendInt(appendInt(b, 2, typeBool), 3, protowire.EncodeBool(v)), nil
	case int:
		return appendInt(appendInt(b, 2, typeLong), 4, uint64(v)), nil
	case int64:
		return appendInt(appendInt(b, 2, typeLong), 4, uint64(v)), nil
	case float64:
		b = protowire.AppendTag(appendInt(b, 2, typeDouble), 5, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(v)), nil
	case string:
		return appendText(appendInt(b, 2, typeString), 6, v), nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("tbtest: attribute %q: %w", key, err)
	}
	return appendMessage(appendInt(b, 2, typeJSON), 7, text), nil
}
