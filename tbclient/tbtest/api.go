package tbtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// granted reports whether the platform grants a subscription.
func granted(filter string) bool {
	switch filter {
	case "v1/devices/me/rpc/request/+", "v1/devices/me/rpc/response/+",
		"v1/devices/me/attributes", "v1/devices/me/attributes/response/+",
		"v1/gateway/attributes", "v1/gateway/attributes/response", "v1/gateway/rpc",
		"v2/fw/response/+/chunk/+", "v2/sw/response/+/chunk/+", "v2/fw/error", "v2/sw/error":
		return true
	}
	return false
}

// What the platform does with a message beside acknowledging it.
var (
	errNoAck       = errors.New("tbtest: the connection ends without an acknowledgement")
	errAckAndClose = errors.New("tbtest: the connection ends after the acknowledgement")
	errSilence     = errors.New("tbtest: nothing happens")
)

// published acts on a message from the client. An error that is returned ends
// the session.
func (se *session) published(p *packets.Packet) error {
	if p.FixedHeader.Qos == 2 {
		return errors.New("tbtest: QoS 2")
	}
	if f := se.srv.cfg.OnPublish; f != nil {
		f(Message{se.number, p.TopicName, p.Payload, p.FixedHeader.Qos, p.FixedHeader.Dup})
	}
	data := p.TopicName == "v1/gateway/telemetry" || p.TopicName == "v1/gateway/attributes"
	what := accepted
	if data {
		what = se.srv.faults.next()
	}
	if what == lost {
		return nil
	}
	after, err := se.dispatch(p.TopicName, p.Payload)
	switch {
	case errors.Is(err, errSilence):
		return nil
	case errors.Is(err, errAckAndClose):
		_ = se.ack(p)
		se.drainAcks()
		return err
	case err != nil:
		se.srv.event(func() { se.srv.stats.Rejected++ })
		return fmt.Errorf("%w: %w", errNoAck, err)
	case what == unacknowledged:
		return nil
	case what == acceptedAndClosed:
		se.drainAcks()
		return errEndSession
	}
	if err := se.ack(p); err != nil {
		return err
	}
	if after != nil {
		return after()
	}
	return nil
}

// dispatch acts on a message. What it returns is to be done after the
// acknowledgement.
func (se *session) dispatch(topic string, payload []byte) (after func() error, err error) {
	const own = "v1/devices/me/"
	switch {
	case strings.HasPrefix(topic, "v1/gateway/"):
		if se.srv.cfg.NotGateway {
			return nil, errSilence
		}
		return se.gatewayMessage(strings.TrimPrefix(topic, "v1/gateway/"), payload)
	case strings.HasPrefix(topic, own):
		return se.ownMessage(strings.TrimPrefix(topic, own), payload)
	default:
		return nil, nil // acknowledged, with a reason that MQTT 3.1.1 cannot carry
	}
}

func (se *session) gatewayMessage(topic string, payload []byte) (after func() error, err error) {
	switch topic {
	case "connect", "disconnect", "telemetry", "attributes", "attributes/request", "rpc", "claim":
	default:
		return nil, nil
	}
	n, err := parseJSON(payload)
	if err != nil {
		return nil, err
	}
	if n.kind != objectNode {
		return nil, errAckAndClose
	}
	switch topic {
	case "connect":
		return nil, se.connectDevice(n)
	case "disconnect":
		se.srv.disconnectDevice(n)
		return nil, nil
	case "telemetry":
		return nil, se.gatewayData(n, arrayNode, se.srv.storeTelemetry)
	case "attributes":
		return nil, se.gatewayData(n, objectNode, se.srv.storeAttributes)
	case "attributes/request":
		return se.attributeRequest(n)
	case "rpc":
		se.srv.replied(n)
	}
	return nil, nil
}

func (se *session) connectDevice(n node) error {
	name, _ := n.member("device")
	if name.kind != stringNode || name.text == "" {
		return errAckAndClose
	}
	kind, _ := n.member("type")
	if kind.text == "" {
		kind.text = "default"
	}
	se.srv.connectDevice(se, name.text, kind.text)
	return nil
}

// gatewayData passes on the members of a message that have the right form.
// Those that have not are skipped; a message without any ends the session.
func (se *session) gatewayData(n node, form nodeKind, store func(*session, string, node) error) error {
	some := false
	for _, m := range n.members {
		if m.value.kind != form {
			continue
		}
		some = true
		if err := store(se, m.name, m.value); err != nil {
			return err
		}
	}
	if !some {
		return errAckAndClose
	}
	return nil
}

// attributeRequest answers a request for attributes of a device.
func (se *session) attributeRequest(n node) (func() error, error) {
	device, _ := n.member("device")
	id, _ := n.member("id")
	client, _ := n.member("client")
	number, err := id.asLong()
	if err != nil || device.text == "" {
		return nil, fmt.Errorf("%w: attribute request without an id or a device", errForm)
	}
	var keys []string
	if key, ok := n.member("key"); ok {
		keys = append(keys, key.text)
	}
	list, several := n.member("keys")
	for _, k := range list.items {
		keys = append(keys, k.text)
	}
	found := se.srv.lookUp(se, device.text, client.truth, keys)
	b := []byte(`{"id":` + strconv.FormatInt(number, 10) + `,"device":`)
	b = appendString(b, device.text)
	switch {
	case len(found) == 0:
	case several && len(keys) > 1:
		values, err := json.Marshal(found)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"values":`...), values...)
	default:
		value, err := json.Marshal(found[keys[0]])
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"value":`...), value...)
	}
	b = append(b, '}')
	return func() error { return se.send("v1/gateway/attributes/response", b) }, nil
}

// ownMessage acts on what the gateway says as a device.
func (se *session) ownMessage(topic string, payload []byte) (after func() error, err error) {
	number := topic[strings.LastIndexByte(topic, '/')+1:]
	switch {
	case topic == "telemetry":
		n, err := parseJSON(payload)
		if err != nil {
			return nil, err
		}
		return nil, se.srv.storeOwnTelemetry(n)
	case topic == "attributes":
		n, err := parseJSON(payload)
		if err != nil {
			return nil, err
		}
		return nil, se.srv.storeAttributes(nil, Gateway, n)
	case strings.HasPrefix(topic, "attributes/request/"):
		return se.ownAttributeRequest(number, payload)
	case strings.HasPrefix(topic, "rpc/response/"):
		se.srv.ownReplied(number, payload)
	case strings.HasPrefix(topic, "rpc/request/"):
		n, err := parseJSON(payload)
		if err != nil {
			return nil, err
		}
		method, _ := n.member("method")
		if method.text == "getSessionLimits" && !se.srv.cfg.NoLimits {
			return func() error { return se.send("v1/devices/me/rpc/response/"+number, se.srv.limits()) }, nil
		}
	}
	return nil, nil
}

// ownAttributeRequest answers {"clientKeys":"a,b","sharedKeys":"c"}; without
// keys of either kind it answers with everything.
func (se *session) ownAttributeRequest(number string, payload []byte) (func() error, error) {
	n, err := parseJSON(payload)
	if err != nil {
		return nil, err
	}
	answer := make(map[string]map[string]any)
	clientKeys, someClient := n.member("clientKeys")
	sharedKeys, someShared := n.member("sharedKeys")
	for _, q := range []struct {
		name   string
		client bool
		keys   string
		asked  bool
	}{{"client", true, clientKeys.text, someClient}, {"shared", false, sharedKeys.text, someShared}} {
		if !q.asked && (someClient || someShared) {
			continue
		}
		var keys []string
		if q.keys != "" {
			keys = strings.Split(q.keys, ",")
		}
		if found := se.srv.lookUp(nil, Gateway, q.client, keys); len(found) > 0 {
			answer[q.name] = found
		}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return func() error { return se.send("v1/devices/me/attributes/response/"+number, b) }, nil
}

// limits is the answer to getSessionLimits.
func (s *Server) limits() []byte {
	b, err := json.Marshal(map[string]any{
		"maxPayloadSize":      s.cfg.MaxPayload,
		"maxInflightMessages": s.cfg.MaxInflight,
		"rateLimits":          map[string]string{"messages": "", "telemetryMessages": "", "telemetryDataPoints": ""},
		"gatewayRateLimits":   map[string]string{"messages": "", "telemetryMessages": "", "telemetryDataPoints": ""},
	})
	if err != nil {
		return []byte("{}")
	}
	return b
}
