package tbtest

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

var errProtobufTopic = errors.New("tbtest: the device's profile describes no protobuf messages")

// ownMessage acts on what the gateway says as a device. On these topics a rate
// limit, or a failure of the back end, ends the connection without an
// acknowledgement.
func (se *session) ownMessage(o ownTopic, payload []byte) (after func() error, err error) {
	if o.protobuf {
		return nil, se.badText(errProtobufTopic)
	}
	if o.kind == ownReply {
		if err := se.chargeOwn(0); err != nil {
			return nil, err
		}
		se.srv.ownReplied(o.number, payload)
		return nil, nil
	}
	n, err := parseJSON(payload)
	if err != nil {
		return nil, se.badText(err)
	}
	switch o.kind {
	case ownTelemetry:
		err = se.ownTelemetry(n)
	case ownAttributes:
		err = se.ownAttributes(n)
	case ownAttributesRequest:
		after, err = se.ownAttributesRequest(o, n)
	case ownCall:
		after, err = se.ownCall(o, n)
	case ownClaim:
		if err = se.chargeOwn(0); err == nil {
			se.srv.claimed(Gateway, claimOf(n))
		}
	}
	if errors.Is(err, errForm) {
		err = se.badText(err)
	}
	return after, err
}

// chargeOwn takes a message of the device itself from the rate limits.
func (se *session) chargeOwn(points int) error {
	if se.srv.faults.backendDown() {
		return ending(reasonImplementation, "the back end fails")
	}
	if !se.srv.allow(se, Gateway, points) {
		return ending(reasonImplementation, "rate limit")
	}
	return nil
}

func (se *session) ownTelemetry(n node) error {
	elements, err := parseDeviceTelemetry(n)
	if err != nil {
		return err
	}
	d := deviceData{device: Gateway, elements: elements}
	if err := se.examine(d); err != nil {
		return err
	}
	if err := se.chargeOwn(d.points()); err != nil {
		return err
	}
	se.srv.storeTelemetry(d)
	return nil
}

func (se *session) ownAttributes(n node) error {
	values, err := parseAttributes(n)
	if err != nil {
		return err
	}
	if err := se.chargeOwn(0); err != nil {
		return err
	}
	se.srv.storeAttributes(deviceData{device: Gateway, values: values})
	return nil
}

// ownAttributesRequest answers {"clientKeys":"a,b","sharedKeys":"c"}; without
// keys of either kind it answers with everything.
func (se *session) ownAttributesRequest(o ownTopic, n node) (func() error, error) {
	if err := se.chargeOwn(0); err != nil {
		return nil, err
	}
	clientKeys, someClient := n.member("clientKeys")
	sharedKeys, someShared := n.member("sharedKeys")
	answer := make(map[string]map[string]any)
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
		if found := se.srv.lookUp(Gateway, q.client, keys); len(found) > 0 {
			answer[q.name] = found
		}
	}
	return se.answer(o, answer)
}

// ownCall answers a call that the gateway makes to the platform.
func (se *session) ownCall(o ownTopic, n node) (func() error, error) {
	method, _ := n.member("method")
	if method.text == "getSessionLimits" && !o.short {
		if se.srv.cfg.NoLimits {
			return nil, nil
		}
		return se.answer(o, se.limits())
	}
	if err := se.chargeOwn(0); err != nil {
		return nil, err
	}
	f := se.srv.cfg.OnCall
	if f == nil {
		return se.answer(o, map[string]string{"error": "timeout"})
	}
	params, _ := n.member("params")
	return se.answer(o, f(method.text, appendNode(nil, params)))
}

// answer returns what sends the answer to a request.
func (se *session) answer(o ownTopic, value any) (func() error, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return func() error { return se.send(o.answer, b) }, nil
}

// sessionLimits is the answer to getSessionLimits.
type sessionLimits struct {
	MaxPayloadSize      int    `json:"maxPayloadSize"`
	MaxInflightMessages int    `json:"maxInflightMessages"`
	RateLimits          Rates  `json:"rateLimits"`
	GatewayRateLimits   *Rates `json:"gatewayRateLimits,omitempty"`
}

func (se *session) limits() sessionLimits {
	cfg := &se.srv.cfg
	l := sessionLimits{MaxPayloadSize: cfg.MaxPayload, MaxInflightMessages: cfg.MaxInflight, RateLimits: cfg.RateLimits.Device}
	if se.gateway {
		l.RateLimits, l.GatewayRateLimits = cfg.RateLimits.GatewayDevice, &cfg.RateLimits.Gateway
	}
	return l
}

// ownReplied takes the reply of the gateway itself.
func (s *Server) ownReplied(number string, payload []byte) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return
	}
	s.deliver(callKey{Gateway, id}, payload)
}
