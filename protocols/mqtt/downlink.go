package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var errOffline = errors.New("mqtt: not connected to the broker")

// An attributeUpdate is a compiled AttributeUpdate.
type attributeUpdate struct {
	device, attribute *expr.Regexp
	topic, value      *expr.Template
	retain            bool
	qos               byte
}

func compileAttributeUpdate(u AttributeUpdate, p problems) attributeUpdate {
	if u.Value == "" {
		p.add("valueExpression", errors.New("is missing"))
	}
	return attributeUpdate{
		device:    p.regexp("deviceNameFilter", u.DeviceFilter),
		attribute: p.regexp("attributeFilter", u.AttributeFilter),
		topic:     p.topic("topicExpression", u.Topic),
		value:     expr.Compile(u.Value),
		retain:    u.Retain,
		qos:       min(u.QoS, 1),
	}
}

// An rpc is a compiled RPC.
type rpc struct {
	device, method      *expr.Regexp // nil: any
	topic, value, reply *expr.Template
	retain              bool
	qos, replyQoS       byte
	timeout             time.Duration
}

func compileRPC(r RPC, p problems) rpc {
	c := rpc{
		device:   p.regexp("deviceNameFilter", r.DeviceFilter),
		method:   p.regexp("methodFilter", r.MethodFilter),
		topic:    p.topic("requestTopicExpression", r.Topic),
		value:    expr.Compile(r.Value),
		retain:   r.Retain,
		qos:      min(r.QoS, 1),
		replyQoS: min(r.ReplyQoS, 1),
		timeout:  r.Timeout,
	}
	if r.ReplyTopic != "" {
		c.reply = expr.Compile(r.ReplyTopic)
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	return c
}

// UpdateAttributes implements connector.AttributeUpdater. Every section whose
// filters match publishes, and one that fails does not keep the others from it.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	r := c.run.Load()
	if r == nil {
		return errOffline
	}
	var failures []error
	for i := range c.plan.updates {
		s := &c.plan.updates[i]
		if !s.device.MatchStart(u.Device) {
			continue
		}
		for _, a := range u.Attributes {
			if !s.attribute.MatchStart(a.Key) {
				continue
			}
			if err := r.update(ctx, s, u.Device, a); err != nil {
				failures = append(failures, fmt.Errorf("mqtt: attribute %q of device %q: %w", a.Key, u.Device, err))
			}
		}
	}
	return errors.Join(failures...)
}

func (r *run) update(ctx context.Context, s *attributeUpdate, device string, a telemetry.Point) error {
	value := "null"
	if a.Value.Kind() != telemetry.KindNone {
		value = a.Value.String()
	}
	lookup := func(name string, inQuotes bool) (string, error) {
		switch name {
		case "deviceName":
			return embed(device, inQuotes), nil
		case "attributeKey":
			return embed(a.Key, inQuotes), nil
		case "attributeValue":
			return embed(value, inQuotes), nil
		default:
			return "", fmt.Errorf("placeholder ${%s} is not known", name)
		}
	}
	topic, err := s.topic.Expand(func(name string, _ bool) (string, error) { return lookup(name, false) })
	if err != nil {
		return err
	}
	payload, err := s.value.Expand(lookup)
	if err != nil {
		return err
	}
	return r.publish(ctx, topic, s.qos, s.retain, []byte(payload))
}

// publish checks a topic that was made of names and publishes to it.
func (r *run) publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	if topic == "" || len(topic) > maxTopic || strings.ContainsAny(topic, "+#\x00") {
		return fmt.Errorf("mqtt: %q is not a topic to publish to", topic)
	}
	return r.session.Publish(ctx, topic, qos, retain, payload)
}

// HandleRPC implements connector.RPCHandler. The first configured call whose
// filters match is carried out. The methods get and set need no configuration if
// their parameters say what to do, as in
//
//	"requestTopicExpression=dev/t;value=on;responseTopicExpression=dev/r;responseTimeout=2000"
//
// and so does a call to the connector itself, with an object of the same keys.
func (c *Connector) HandleRPC(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	r := c.run.Load()
	if r == nil {
		return telemetry.Value{}, errOffline
	}
	params, err := compact(req.Params)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("mqtt: parameters of %q: %w", req.Method, err)
	}
	req.Params = params
	call, err := c.findRPC(req)
	if err != nil {
		return telemetry.Value{}, err
	}
	v, err := r.call(ctx, call, req)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("mqtt: call %q of device %q: %w", req.Method, req.Device, err)
	}
	return v, nil
}

func (c *Connector) findRPC(req connector.RPCRequest) (*rpc, error) {
	if call, ok, err := adHocRPC(req); ok || err != nil {
		return call, err
	}
	for i := range c.plan.rpcs {
		s := &c.plan.rpcs[i]
		if s.device.Match(req.Device) && s.method.Match(req.Method) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("mqtt: no remote procedure call is configured for method %q of device %q", req.Method, req.Device)
}

func (r *run) call(ctx context.Context, s *rpc, req connector.RPCRequest) (telemetry.Value, error) {
	var doc document
	_ = doc.parse(req.Params) // they were made valid by compact
	topic, err := s.topic.Expand(func(name string, _ bool) (string, error) { return rpcTopicText(name, req, doc.root) })
	if err != nil {
		return telemetry.Value{}, err
	}
	payload, err := s.value.Expand(func(name string, inQuotes bool) (string, error) {
		return rpcValueText(name, inQuotes, req, doc.root)
	})
	if err != nil {
		return telemetry.Value{}, err
	}
	if s.reply == nil {
		return telemetry.Value{}, r.publish(ctx, topic, s.qos, s.retain, []byte(payload))
	}
	replyTopic, err := s.reply.Expand(func(name string, _ bool) (string, error) { return rpcTopicText(name, req, doc.root) })
	if err != nil {
		return telemetry.Value{}, err
	}
	if err := checkFilter(replyTopic); err != nil {
		return telemetry.Value{}, fmt.Errorf("reply topic %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no reply on %q within %v", replyTopic, s.timeout))
	defer cancel()
	reply, done, err := r.replies.expect(ctx, replyTopic, s.replyQoS)
	if err != nil {
		return telemetry.Value{}, cause(ctx, err)
	}
	defer done()
	if err := r.publish(ctx, topic, s.qos, s.retain, []byte(payload)); err != nil {
		return telemetry.Value{}, cause(ctx, err)
	}
	select {
	case b := <-reply:
		return replyValue(b), nil
	case <-ctx.Done():
		return telemetry.Value{}, context.Cause(ctx)
	case <-r.session.Done():
		return telemetry.Value{}, fmt.Errorf("connection lost: %w", r.session.Err())
	}
}

// cause returns why ctx ended, if it has, and otherwise err.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func rpcTopicText(name string, req connector.RPCRequest, params *fastjson.Value) (string, error) {
	if text, ok := rpcName(name, req); ok {
		return text, nil
	}
	v := paramAt(name, params)
	if v == nil || v.Type() == fastjson.TypeNull {
		return "", fmt.Errorf("placeholder ${%s} has no value", name)
	}
	return string(expr.AppendText(nil, v)), nil
}

func rpcValueText(name string, inQuotes bool, req connector.RPCRequest, params *fastjson.Value) (string, error) {
	if text, ok := rpcName(name, req); ok {
		return embed(text, inQuotes), nil
	}
	v := paramAt(name, params)
	if v == nil {
		return "", fmt.Errorf("placeholder ${%s} has no value", name)
	}
	if inQuotes {
		return embed(string(expr.AppendText(nil, v)), true), nil
	}
	return string(v.MarshalTo(nil)), nil
}

func rpcName(name string, req connector.RPCRequest) (string, bool) {
	switch name {
	case "deviceName":
		return req.Device, true
	case "methodName":
		return req.Method, true
	case "requestId":
		return strconv.FormatInt(req.ID, 10), true
	default:
		return "", false
	}
}

// paramAt returns the parameter that a placeholder names, or nil.
func paramAt(name string, params *fastjson.Value) *fastjson.Value {
	path, ok := strings.CutPrefix(name, "params")
	switch {
	case !ok:
		return nil
	case path == "":
		return params
	case path[0] == '.':
		return expr.CompilePath(path[1:]).First(params)
	case path[0] == '[':
		return expr.CompilePath(path).First(params)
	default:
		return nil
	}
}

// replyValue returns the value of a JSON reply, or the text of any other.
func replyValue(b []byte) telemetry.Value {
	var doc document
	if doc.parse(b) != nil {
		return telemetry.String(string(validUTF8(b)))
	}
	if doc.root.Type() == fastjson.TypeNull {
		return telemetry.Restore(telemetry.KindJSON, 0, "null")
	}
	v, _ := doc.scratch.Value(doc.root, expr.Auto)
	return v
}

// adHocRPC makes a call of parameters that say what to do. It reports false if
// they do not.
func adHocRPC(req connector.RPCRequest) (call *rpc, ok bool, err error) {
	var fields map[string]string
	switch {
	case req.Device == "":
		fields = objectFields(req.Params)
	case req.Method == "get" || req.Method == "set":
		fields = textFields(req.Params)
	}
	if fields["requestTopicExpression"] == "" {
		return nil, false, nil
	}
	s := RPC{
		Topic:      fields["requestTopicExpression"],
		Value:      fields["value"] + fields["valueExpression"],
		ReplyTopic: fields["responseTopicExpression"],
		Retain:     strings.EqualFold(fields["retain"], "true"),
	}
	p := newProblems()
	if text := fields["qos"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 8)
		p.add("qos", err)
		s.QoS = byte(n)
	}
	if text := fields["responseTimeout"]; text != "" {
		ms, err := strconv.ParseUint(text, 10, 31)
		p.add("responseTimeout", err)
		s.Timeout = time.Duration(ms) * time.Millisecond
	}
	c := compileRPC(s, p)
	if err := p.err(); err != nil {
		return nil, false, fmt.Errorf("mqtt: parameters of %q: %w", req.Method, err)
	}
	return &c, true, nil
}

// textFields splits "key=value;key=value", at the first = of each.
func textFields(params json.RawMessage) map[string]string {
	var text string
	if json.Unmarshal(params, &text) != nil {
		return nil
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(text, ";") {
		if key, value, ok := strings.Cut(part, "="); ok {
			fields[strings.TrimSpace(key)] = value
		}
	}
	return fields
}

func objectFields(params json.RawMessage) map[string]string {
	var members map[string]json.RawMessage
	if json.Unmarshal(params, &members) != nil {
		return nil
	}
	fields := make(map[string]string, len(members))
	for key, raw := range members {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		fields[key] = text
	}
	return fields
}
