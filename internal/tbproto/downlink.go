package tbproto

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Fields of GatewayAttributeResponseMsg, GatewayAttributeUpdateNotificationMsg
// and GatewayDeviceRpcRequestMsg (transport.proto): field 1 is the device in
// each, and field 2 a message of queue.proto.
const (
	downlinkDevice = 1
	downlinkInner  = 2
)

// Fields of GetAttributeResponseMsg, AttributeUpdateNotificationMsg,
// ToDeviceRpcRequestMsg and TsKvProto (queue.proto), as far as they matter to a
// gateway.
const (
	attrResponseID       = 1
	attrResponseClient   = 2 // repeated TsKvProto
	attrResponseShared   = 3 // repeated TsKvProto
	attrResponseMultiple = 4
	attrResponseError    = 5
	attrUpdated          = 1 // repeated TsKvProto
	attrDeleted          = 2 // repeated string
	rpcRequestID         = 1
	rpcRequestMethod     = 2
	rpcRequestParams     = 3
	rpcRequestOneWay     = 7
	tsKvTS               = 1
	tsKvKV               = 2 // KeyValueProto
)

// An AttributesResponse (GatewayAttributeResponseMsg) answers an
// [AttributesRequest]. The points carry the time of their last update, and an
// absent value if the platform's is of a type that is not known.
type AttributesResponse struct {
	Device         string
	ID             int32
	Client, Shared []telemetry.Point
	Multiple       bool   // several keys were asked for
	Error          string // empty: none
}

// AppendTo appends the message to dst.
func (m AttributesResponse) AppendTo(dst []byte) []byte {
	var inner []byte
	inner = appendVarint(inner, attrResponseID, int32Varint(m.ID))
	inner = appendPoints(inner, attrResponseClient, m.Client)
	inner = appendPoints(inner, attrResponseShared, m.Shared)
	inner = appendBool(inner, attrResponseMultiple, m.Multiple)
	inner = appendString(inner, attrResponseError, m.Error)
	return appendDownlink(dst, m.Device, inner)
}

// DecodeAttributesResponse decodes a GatewayAttributeResponseMsg.
func DecodeAttributesResponse(msg []byte) (m AttributesResponse, err error) {
	err = decodeDownlink(msg, &m.Device, func(f field) error {
		switch f.num {
		case attrResponseID:
			f.int32(&m.ID)
		case attrResponseClient:
			return decodeTimed(f, &m.Client)
		case attrResponseShared:
			return decodeTimed(f, &m.Shared)
		case attrResponseMultiple:
			f.bool(&m.Multiple)
		case attrResponseError:
			return f.string(&m.Error)
		}
		return nil
	})
	return m, wrap("attributes response", err)
}

// An AttributesUpdate (GatewayAttributeUpdateNotificationMsg) says which shared
// attributes of a device have changed. Its points are as those of an
// [AttributesResponse].
type AttributesUpdate struct {
	Device  string
	Points  []telemetry.Point
	Deleted []string
}

// AppendTo appends the message to dst.
func (m AttributesUpdate) AppendTo(dst []byte) []byte {
	inner := appendPoints(nil, attrUpdated, m.Points)
	for _, key := range m.Deleted {
		inner = appendElement(inner, attrDeleted, key)
	}
	return appendDownlink(dst, m.Device, inner)
}

// DecodeAttributesUpdate decodes a GatewayAttributeUpdateNotificationMsg.
func DecodeAttributesUpdate(msg []byte) (m AttributesUpdate, err error) {
	err = decodeDownlink(msg, &m.Device, func(f field) error {
		switch f.num {
		case attrUpdated:
			return decodeTimed(f, &m.Points)
		case attrDeleted:
			return f.strings(&m.Deleted)
		}
		return nil
	})
	return m, wrap("attributes update", err)
}

// An RPCRequest (GatewayDeviceRpcRequestMsg) is a remote procedure call.
type RPCRequest struct {
	Device string
	ID     int32
	Method string
	Params string // JSON; empty: none
	OneWay bool   // the caller does not wait for a response
}

// AppendTo appends the message to dst.
func (m RPCRequest) AppendTo(dst []byte) []byte {
	var inner []byte
	inner = appendVarint(inner, rpcRequestID, int32Varint(m.ID))
	inner = appendString(inner, rpcRequestMethod, m.Method)
	inner = appendString(inner, rpcRequestParams, m.Params)
	inner = appendBool(inner, rpcRequestOneWay, m.OneWay)
	return appendDownlink(dst, m.Device, inner)
}

// DecodeRPCRequest decodes a GatewayDeviceRpcRequestMsg.
func DecodeRPCRequest(msg []byte) (m RPCRequest, err error) {
	err = decodeDownlink(msg, &m.Device, func(f field) error {
		switch f.num {
		case rpcRequestID:
			f.int32(&m.ID)
		case rpcRequestMethod:
			return f.string(&m.Method)
		case rpcRequestParams:
			return f.string(&m.Params)
		case rpcRequestOneWay:
			f.bool(&m.OneWay)
		}
		return nil
	})
	return m, wrap("RPC request", err)
}

func appendDownlink(dst []byte, device string, inner []byte) []byte {
	dst = appendString(dst, downlinkDevice, device)
	return append(appendHeader(dst, downlinkInner, len(inner)), inner...)
}

// appendPoints appends each point as a TsKvProto. It leaves out those that
// cannot be sent.
func appendPoints(b []byte, num protowire.Number, points []telemetry.Point) []byte {
	for i := range points {
		p := &points[i]
		if !sendable(p.Key, p.Value) {
			continue
		}
		kv := sizeKeyValue(p.Key, p.Value)
		b = appendHeader(b, num, sizeVarint(tsKvTS, uint64(p.TS))+sizeBytes(tsKvKV, kv))
		b = appendVarint(b, tsKvTS, uint64(p.TS))
		b = appendHeader(b, tsKvKV, kv)
		b = appendKeyValue(b, p.Key, p.Value)
	}
	return b
}

func decodeDownlink(msg []byte, device *string, inner func(field) error) error {
	return fields(msg, func(f field) error {
		switch f.num {
		case downlinkDevice:
			return f.string(device)
		case downlinkInner:
			return f.message(inner)
		}
		return nil
	})
}

// decodeTimed decodes a field that is a TsKvProto.
func decodeTimed(f field, points *[]telemetry.Point) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	var ts int64
	var kv keyValue
	err := f.message(func(f field) error {
		switch f.num {
		case tsKvTS:
			f.int64(&ts)
		case tsKvKV:
			return f.message(kv.decode)
		}
		return nil
	})
	if err != nil {
		return err
	}
	*points = append(*points, kv.point(ts))
	return nil
}
