package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An update is a compiled AttributeUpdate.
type update struct {
	device, attribute *expr.Regexp
	*outgoing
}

// A call is a compiled RPC.
type call struct {
	device, method *expr.Regexp
	*outgoing
}

// filter compiles a regular expression for a whole text. Without one all match.
func (p problems) filter(key, text string) *expr.Regexp {
	if text == "" {
		text = ".*"
	}
	re, err := expr.CompileRegexp("^(?:" + text + ")$")
	p.add(key, err)
	return re
}

// close closes the connections to servers of devices.
func (p *plan) close() {
	for _, u := range p.updates {
		u.client.CloseIdleConnections()
	}
	for _, c := range p.calls {
		c.client.CloseIdleConnections()
	}
}

// UpdateAttributes implements connector.AttributeUpdater: it answers requests that wait
// for the attributes, and makes the requests that are configured for them. One that fails
// does not keep the others from it.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	r := c.run.Load()
	if r == nil {
		return errNotRunning
	}
	r.waiters.offer(u)
	ctx, cancel := r.within(ctx)
	defer cancel()
	var errs []error
	for _, s := range c.plan.updates {
		if !s.device.Match(u.Device) {
			continue
		}
		for _, a := range u.Attributes {
			if !s.attribute.Match(a.Key) {
				continue
			}
			if _, err := s.send(ctx, updateLookup(u.Device, a)); err != nil {
				errs = append(errs, fmt.Errorf("rest: attribute %q of device %q: %w", a.Key, u.Device, err))
			}
		}
	}
	return errors.Join(errs...)
}

// within returns a context that ends with the run.
func (r *run) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

func updateLookup(device string, a telemetry.Point) lookup {
	return func(name string) (telemetry.Value, error) {
		switch name {
		case "deviceName":
			return telemetry.String(device), nil
		case "attributeKey":
			return telemetry.String(a.Key), nil
		case "attributeValue":
			return a.Value, nil
		default:
			return telemetry.Value{}, fmt.Errorf("placeholder ${%s} is not known", name)
		}
	}
}

// HandleRPC implements connector.RPCHandler. The first configured call whose filters match
// is carried out. The methods get and set need no configuration if their parameters
// say what to do, as in
//
//	"requestUrlExpression=http://10.0.0.7/led;HTTPMethod=PUT;value=on;timeout=2;"
//
// or an object with the same keys.
func (c *Connector) HandleRPC(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	r := c.run.Load()
	if r == nil {
		return telemetry.Value{}, errNotRunning
	}
	ctx, cancel := r.within(ctx)
	defer cancel()
	o, err := c.outgoing(req)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("rest: call %q of device %q: %w", req.Method, req.Device, err)
	}
	b, err := o.send(ctx, callLookup(req))
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("rest: call %q of device %q: %w", req.Method, req.Device, err)
	}
	v := replyValue(b)
	if !c.cfg.WrapResults {
		return v, nil
	}
	return telemetry.JSON(append(v.AppendJSON([]byte(`{"result":`)), '}'))
}

// outgoing returns the request for a call.
func (c *Connector) outgoing(req connector.RPCRequest) (*outgoing, error) {
	for _, s := range c.plan.calls {
		if s.device.Match(req.Device) && s.method.Match(req.Method) {
			return s.outgoing, nil
		}
	}
	if req.Method == "get" || req.Method == "set" {
		if fields := callFields(req.Params); fields["requestUrlExpression"] != "" {
			return adHoc(req.Method, fields)
		}
	}
	return nil, errors.New("no remote procedure call is configured for it")
}

// adHoc returns the request that the parameters of a call describe.
func adHoc(method string, fields map[string]string) (*outgoing, error) {
	var errs []error
	p := problems{list: &errs}
	q := Request{URL: fields["requestUrlExpression"], Method: fields["HTTPMethod"], Value: fields["value"]}
	if q.Method == "" && method == "set" {
		q.Method = http.MethodPost
	}
	if text := fields["timeout"]; text != "" {
		s, err := strconv.ParseFloat(text, 64)
		if err == nil && (s <= 0 || s > 3600) {
			err = errors.New("it is not between 0 and 3600 seconds")
		}
		p.add("timeout", err)
		q.Timeout = time.Duration(s * float64(time.Second))
	}
	o := newOutgoing(q, p)
	o.client.Transport.(*http.Transport).DisableKeepAlives = true // it is used once
	return o, errors.Join(errs...)
}

// callFields returns the members of an object, or of "key=value;key=value;".
func callFields(params json.RawMessage) map[string]string {
	fields := make(map[string]string)
	var list string
	if json.Unmarshal(params, &list) == nil {
		for part := range strings.SplitSeq(list, ";") {
			if key, value, ok := strings.Cut(part, "="); ok {
				fields[strings.TrimSpace(key)] = value
			}
		}
		return fields
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(params, &members) == nil {
		for key, raw := range members {
			fields[key] = fieldText(raw)
		}
	}
	return fields
}

// callLookup returns what the placeholders of a call stand for.
func callLookup(req connector.RPCRequest) lookup {
	var parser fastjson.Parser
	params, parseErr := parser.ParseBytes(req.Params)
	if len(req.Params) == 0 {
		params, parseErr = parser.Parse("null")
	}
	return func(name string) (telemetry.Value, error) {
		switch name {
		case "deviceName":
			return telemetry.String(req.Device), nil
		case "methodName":
			return telemetry.String(req.Method), nil
		case "requestId", "restId":
			return telemetry.Int(req.ID), nil
		}
		if parseErr != nil {
			return telemetry.Value{}, fmt.Errorf("the parameters are not JSON: %w", parseErr)
		}
		v := paramAt(name, params)
		if v == nil {
			return telemetry.Value{}, fmt.Errorf("placeholder ${%s} has no value", name)
		}
		return jsonValue(v), nil
	}
}

// paramAt returns the parameter that a placeholder names, or nil.
func paramAt(name string, params *fastjson.Value) *fastjson.Value {
	path, ok := strings.CutPrefix(name, "params")
	switch {
	case ok && path == "":
		return params
	case ok && path[0] == '.':
		return expr.CompilePath(path[1:]).First(params)
	case ok && path[0] == '[':
		return expr.CompilePath(path).First(params)
	}
	return nil
}

// jsonValue returns a value of its own kind, also null.
func jsonValue(v *fastjson.Value) telemetry.Value {
	var s expr.Scratch
	if out, outcome := s.Value(v, expr.Auto); outcome != expr.Missing {
		return out
	}
	return telemetry.Restore(telemetry.KindJSON, 0, "null")
}

// replyValue returns the value of JSON, or the text of anything else.
func replyValue(b []byte) telemetry.Value {
	b = validUTF8(b)
	if v, err := fastjson.ParseBytes(b); err == nil {
		return jsonValue(v)
	}
	return telemetry.String(string(b))
}
