package tbtest

import "strings"

// An ownKind is what a message of the device API is about.
type ownKind uint8

const (
	ownTelemetry ownKind = iota
	ownAttributes
	ownAttributesRequest
	ownCall  // of the platform
	ownReply // to a call by the platform
	ownClaim
)

// An ownTopic is a topic of the device API.
type ownTopic struct {
	kind     ownKind
	number   string // of the request or call
	answer   string // topic of the answer to it
	short    bool   // of the v2 form
	protobuf bool   // carries what the device's profile describes
}

// parseOwnTopic parses a topic that clients publish to as devices: v1/devices/me
// or the short forms v2/t, v2/a and v2/r with /j or /p for the format.
func parseOwnTopic(topic string) (ownTopic, bool) {
	if rest, ok := strings.CutPrefix(topic, "v1/devices/me/"); ok {
		return parseOwnV1(rest)
	}
	rest, ok := strings.CutPrefix(topic, "v2/")
	if !ok || strings.HasPrefix(rest, "fw/") || strings.HasPrefix(rest, "sw/") {
		return ownTopic{}, false
	}
	return parseOwnV2(rest)
}

func parseOwnV1(rest string) (ownTopic, bool) {
	switch rest {
	case "telemetry":
		return ownTopic{kind: ownTelemetry}, true
	case "attributes":
		return ownTopic{kind: ownAttributes}, true
	case "claim":
		return ownTopic{kind: ownClaim}, true
	}
	if n, ok := strings.CutPrefix(rest, "attributes/request/"); ok {
		return ownTopic{kind: ownAttributesRequest, number: n, answer: "v1/devices/me/attributes/response/" + n}, true
	}
	if n, ok := strings.CutPrefix(rest, "rpc/request/"); ok {
		return ownTopic{kind: ownCall, number: n, answer: "v1/devices/me/rpc/response/" + n}, true
	}
	if n, ok := strings.CutPrefix(rest, "rpc/response/"); ok {
		return ownTopic{kind: ownReply, number: n}, true
	}
	return ownTopic{}, false
}

func parseOwnV2(rest string) (ownTopic, bool) {
	o := ownTopic{short: true}
	for _, f := range []struct {
		prefix, answer string
		kind           ownKind
	}{
		{"a/req", "v2/a/res", ownAttributesRequest},
		{"r/req", "v2/r/res", ownCall},
		{"r/res", "", ownReply},
	} {
		n, ok := strings.CutPrefix(rest, f.prefix+"/")
		if !ok {
			continue
		}
		format := ""
		if n, ok = strings.CutPrefix(n, "j/"); ok {
			format = "/j"
		} else if n, ok = strings.CutPrefix(n, "p/"); ok {
			o.protobuf = true
		}
		o.kind, o.number, o.answer = f.kind, n, f.answer+format+"/"+n
		return o, true
	}
	switch rest {
	case "t", "t/j":
		o.kind = ownTelemetry
	case "a", "a/j":
		o.kind = ownAttributes
	case "t/p", "a/p":
		o.protobuf = true
	default:
		return ownTopic{}, false
	}
	return o, true
}
