package tbproto

// Fields of ConnectMsg, DisconnectMsg, GatewayRpcResponseMsg and
// GatewayAttributesRequestMsg (transport.proto).
const (
	connectDevice     = 1
	connectProfile    = 2
	disconnectDevice  = 1
	rpcResponseDevice = 1
	rpcResponseID     = 2
	rpcResponseData   = 3
	attrRequestID     = 1
	attrRequestDevice = 2
	attrRequestClient = 3
	attrRequestKeys   = 4 // repeated
)

// A Connect (ConnectMsg) announces a device. The platform puts its default
// profile in place of an empty one.
type Connect struct{ Device, Profile string }

// AppendTo appends the message to dst.
func (m Connect) AppendTo(dst []byte) []byte {
	dst = appendString(dst, connectDevice, m.Device)
	return appendString(dst, connectProfile, m.Profile)
}

// DecodeConnect decodes a ConnectMsg.
func DecodeConnect(msg []byte) (m Connect, err error) {
	err = fields(msg, func(f field) error {
		switch f.num {
		case connectDevice:
			return f.string(&m.Device)
		case connectProfile:
			return f.string(&m.Profile)
		}
		return nil
	})
	return m, wrap("connect", err)
}

// A Disconnect (DisconnectMsg) says that a device is offline.
type Disconnect struct{ Device string }

// AppendTo appends the message to dst.
func (m Disconnect) AppendTo(dst []byte) []byte {
	return appendString(dst, disconnectDevice, m.Device)
}

// DecodeDisconnect decodes a DisconnectMsg.
func DecodeDisconnect(msg []byte) (m Disconnect, err error) {
	err = fields(msg, func(f field) error {
		if f.num != disconnectDevice {
			return nil
		}
		return f.string(&m.Device)
	})
	return m, wrap("disconnect", err)
}

// An RPCResponse (GatewayRpcResponseMsg) is the reply to a remote procedure
// call.
type RPCResponse struct {
	Device string
	ID     int32
	Data   string // any JSON
}

// AppendTo appends the message to dst.
func (m RPCResponse) AppendTo(dst []byte) []byte {
	dst = appendString(dst, rpcResponseDevice, m.Device)
	dst = appendVarint(dst, rpcResponseID, int32Varint(m.ID))
	return appendString(dst, rpcResponseData, m.Data)
}

// Size returns the length of the message.
func (m RPCResponse) Size() int {
	return sizeString(rpcResponseDevice, m.Device) +
		sizeVarint(rpcResponseID, int32Varint(m.ID)) +
		sizeString(rpcResponseData, m.Data)
}

// DecodeRPCResponse decodes a GatewayRpcResponseMsg.
func DecodeRPCResponse(msg []byte) (m RPCResponse, err error) {
	err = fields(msg, func(f field) error {
		switch f.num {
		case rpcResponseDevice:
			return f.string(&m.Device)
		case rpcResponseID:
			f.int32(&m.ID)
		case rpcResponseData:
			return f.string(&m.Data)
		}
		return nil
	})
	return m, wrap("RPC response", err)
}

// An AttributesRequest (GatewayAttributesRequestMsg) asks for attributes of a
// device.
type AttributesRequest struct {
	ID     int32 // that the response carries
	Device string
	Client bool // client-side attributes, else shared ones
	Keys   []string
}

// AppendTo appends the message to dst.
func (m AttributesRequest) AppendTo(dst []byte) []byte {
	dst = appendVarint(dst, attrRequestID, int32Varint(m.ID))
	dst = appendString(dst, attrRequestDevice, m.Device)
	dst = appendBool(dst, attrRequestClient, m.Client)
	for _, key := range m.Keys {
		dst = appendElement(dst, attrRequestKeys, key)
	}
	return dst
}

// DecodeAttributesRequest decodes a GatewayAttributesRequestMsg.
func DecodeAttributesRequest(msg []byte) (m AttributesRequest, err error) {
	err = fields(msg, func(f field) error {
		switch f.num {
		case attrRequestID:
			f.int32(&m.ID)
		case attrRequestDevice:
			return f.string(&m.Device)
		case attrRequestClient:
			f.bool(&m.Client)
		case attrRequestKeys:
			return f.strings(&m.Keys)
		}
		return nil
	})
	return m, wrap("attributes request", err)
}
