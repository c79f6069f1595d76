package request

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// UpdateAttributes implements connector.AttributeUpdater. Each attribute is a request of
// its own by each section whose filters match, and one that fails does not keep the
// others from being sent.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	r := c.run.Load()
	if r == nil {
		return errNotRunning
	}
	ctx, done := r.during(ctx)
	defer done()
	var errs []error
	for i := range c.plan.updates {
		s := &c.plan.updates[i]
		if !s.device.Match(u.Device) {
			continue
		}
		for _, a := range u.Attributes {
			if !s.attribute.Match(a.Key) {
				continue
			}
			req, err := s.spec.build(updateVariables(u.Device, a))
			if err == nil {
				_, err = r.client.do(ctx, req)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("request: attribute %q of device %q: %w", a.Key, u.Device, err))
			}
		}
	}
	return errors.Join(errs...)
}

// HandleRPC implements connector.RPCHandler. The first configured call whose filters
// match is carried out; an HTTP status that is no success is an error. The methods get
// and set need no configuration if their parameters say what to do, as in
//
//	"requestUrlExpression=relay;httpMethod=PUT;value=on;"
//
// and so does a call to the connector itself, with an object of the same keys.
func (c *Connector) HandleRPC(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	r := c.run.Load()
	if r == nil {
		return telemetry.Value{}, errNotRunning
	}
	ctx, done := r.during(ctx)
	defer done()
	v, err := r.rpc(ctx, req)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("request: call %q of device %q: %w", req.Method, req.Device, err)
	}
	return v, nil
}

func (r *run) rpc(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	params, err := parseParams(req.Params)
	if err != nil {
		return telemetry.Value{}, err
	}
	call, err := r.c.find(req)
	if err != nil {
		return telemetry.Value{}, err
	}
	out, err := call.spec.build(callVariables(req, params))
	if err != nil {
		return telemetry.Value{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, call.timeout, fmt.Errorf("no answer within %v", call.timeout))
	defer cancel()
	resp, err := r.client.do(ctx, out)
	if err != nil {
		return telemetry.Value{}, err
	}
	v, err := replyValue(resp.Body, call.reply)
	if err == nil && r.c.cfg.Compatible {
		doc := append(v.AppendJSON([]byte(`{"result":{"value":`)), "}}"...)
		return telemetry.JSON(doc)
	}
	return v, err
}

// find returns the call that carries out req.
func (c *Connector) find(req connector.RPCRequest) (*rpc, error) {
	if call, err := c.reserved(req); call != nil || err != nil {
		return call, err
	}
	for i := range c.plan.rpcs {
		s := &c.plan.rpcs[i]
		if s.device.Match(req.Device) && s.method.Match(req.Method) {
			return s, nil
		}
	}
	return nil, errors.New("no remote procedure call is configured for it")
}

// parseParams returns the parameters of a call; null if there are none.
func parseParams(params json.RawMessage) (*fastjson.Value, error) {
	if len(params) == 0 {
		return fastjson.MustParse("null"), nil
	}
	v, err := fastjson.ParseBytes(params)
	if err != nil {
		return nil, errors.New("the parameters are not JSON")
	}
	return v, nil
}

// replyValue returns what the template takes of an answer; without one, its JSON, or
// else its text. An empty answer is no value.
func replyValue(body []byte, reply *expr.Template) (telemetry.Value, error) {
	text := strings.ToValidUTF8(string(body), "")
	if strings.TrimSpace(text) == "" && reply == nil {
		return telemetry.Value{}, nil
	}
	root, err := fastjson.Parse(text)
	switch {
	case err != nil && reply == nil:
		return telemetry.String(text), nil
	case err != nil:
		return telemetry.Value{}, errors.New("the answer is not JSON")
	case reply != nil:
		if root, err = pick(reply, root); err != nil {
			return telemetry.Value{}, err
		}
	}
	if root.Type() == fastjson.TypeNull {
		return telemetry.JSON([]byte("null"))
	}
	var s expr.Scratch
	v, _ := s.Value(root, expr.Auto)
	return v, nil
}

// pick returns what a template makes of an answer: the value that it names, or a text.
func pick(t *expr.Template, root *fastjson.Value) (*fastjson.Value, error) {
	if p := t.Path(); p != nil {
		if v := p.First(root); v != nil {
			return v, nil
		}
		return nil, fmt.Errorf("%q has no value in the answer", t)
	}
	text, complete := t.Append(nil, root)
	if !complete {
		return nil, fmt.Errorf("%q has no value in the answer", t)
	}
	return new(fastjson.Arena).NewStringBytes(text), nil
}
