package tbclient

// The topics of the gateway API.
const (
	TopicConnect            = "v1/gateway/connect"
	TopicDisconnect         = "v1/gateway/disconnect"
	TopicTelemetry          = "v1/gateway/telemetry"
	TopicAttributes         = "v1/gateway/attributes"
	TopicAttributesRequest  = "v1/gateway/attributes/request"
	TopicAttributesResponse = "v1/gateway/attributes/response"
	TopicRPC                = "v1/gateway/rpc"
	TopicClaim              = "v1/gateway/claim"
)

// The topics of the device API that concern the gateway itself. Those that end
// in a slash are followed by the number of a request.
const (
	TopicOwnTelemetry          = "v1/devices/me/telemetry"
	TopicOwnAttributes         = "v1/devices/me/attributes"
	TopicOwnAttributesRequest  = "v1/devices/me/attributes/request/"
	TopicOwnAttributesResponse = "v1/devices/me/attributes/response/"
	TopicOwnRPCRequest         = "v1/devices/me/rpc/request/"
	TopicOwnRPCResponse        = "v1/devices/me/rpc/response/"
	TopicOwnClaim              = "v1/devices/me/claim"
)

// filters returns what a session subscribes to. The server grants these
// literal filters and no others.
func filters() []string {
	return []string{
		TopicOwnAttributes,
		TopicOwnAttributesResponse + "+",
		TopicOwnRPCRequest + "+",
		TopicOwnRPCResponse + "+",
		TopicAttributes,
		TopicAttributesResponse,
		TopicRPC,
	}
}
