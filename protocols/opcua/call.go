package opcua

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// connectorParams returns the arguments of a call to all devices, which come as
// {"arguments": [{"type": "integer", "value": 3}, ...]}, in the form of those to one.
func connectorParams(params json.RawMessage) (json.RawMessage, error) {
	var o struct {
		Arguments []struct {
			Value json.RawMessage
		}
	}
	if err := json.Unmarshal(params, &o); err != nil || o.Arguments == nil {
		return params, nil // they have it
	}
	list := make([]json.RawMessage, len(o.Arguments))
	for i, a := range o.Arguments {
		if list[i] = a.Value; list[i] == nil {
			return nil, fmt.Errorf("arguments[%d]: value: is missing", i)
		}
	}
	return json.Marshal(list)
}

// arguments returns the arguments of a call: those that it brings, or the
// configured ones.
func (m *Method) arguments(params json.RawMessage) ([]telemetry.Value, error) {
	doc := bytes.TrimSpace(params)
	if s := string(doc); s == "" || s == "null" || s == "{}" || s == `""` || s == "[]" && len(m.Arguments) > 0 {
		for _, v := range m.Arguments {
			if v.Kind() == telemetry.KindNone {
				return nil, errors.New("you must either define values for arguments in config or along with rpc request")
			}
		}
		return m.Arguments, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(doc, &list); err != nil {
		return nil, errors.New("the arguments must be specified in the square quotes []")
	}
	if n := len(m.Arguments); n > 0 && len(list) != n {
		return nil, fmt.Errorf("expected %d arguments, but got %d", n, len(list))
	}
	values := make([]telemetry.Value, len(list))
	for i, raw := range list {
		var err error
		if values[i], err = jsonValue(raw); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// call calls a method of the device's node. The arguments have the types that the
// method declares, or if it declares none, those that they have by themselves.
func (s *session) call(ctx context.Context, d *device, m *Method, params json.RawMessage) (telemetry.Value, error) {
	values, err := m.arguments(params)
	if err != nil {
		return telemetry.Value{}, err
	}
	a, err := parseAddress(m.Name)
	if err != nil {
		return telemetry.Value{}, err
	}
	method, err := s.find(ctx, d, a)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("method of %s: %w", d.node, err)
	}
	declared, err := s.declared(ctx, method)
	if err != nil {
		return telemetry.Value{}, err
	}
	req := &ua.CallMethodRequest{ObjectID: d.node, MethodID: method}
	if declared != nil && len(declared) != len(values) {
		return telemetry.Value{}, fmt.Errorf("expected %d arguments, but got %d", len(declared), len(values))
	}
	for i, v := range values {
		sh := shape{kind: ua.TypeIDVariant}
		if declared != nil {
			sh = declared[i]
		}
		x, err := coerce(v, sh)
		if err != nil {
			return telemetry.Value{}, fmt.Errorf("argument %d: %w", i+1, err)
		}
		req.InputArguments = append(req.InputArguments, x)
	}
	return s.invoke(ctx, req)
}

func (s *session) invoke(ctx context.Context, req *ua.CallMethodRequest) (telemetry.Value, error) {
	timeout := s.link.timeout
	if end, ok := ctx.Deadline(); ok {
		timeout = max(timeout, time.Until(end)) // a method may take long
	}
	res, err := sendFor[*ua.CallResponse](ctx, s.link, &ua.CallRequest{MethodsToCall: []*ua.CallMethodRequest{req}}, timeout)
	if err != nil {
		return telemetry.Value{}, refusal(err)
	}
	if len(res.Results) != 1 {
		return telemetry.Value{}, ua.StatusBadUnknownResponse
	}
	r := res.Results[0]
	if bad(r.StatusCode) {
		for i, status := range r.InputArgumentResults {
			if bad(status) {
				return telemetry.Value{}, fmt.Errorf("%s (argument %d: %s)", statusName(r.StatusCode), i+1, statusName(status))
			}
		}
		return telemetry.Value{}, errors.New(statusName(r.StatusCode))
	}
	switch len(r.OutputArguments) {
	case 0:
		return telemetry.Value{}, nil
	case 1:
		v, _ := valueOf(r.OutputArguments[0], s.link.types, s.cfg.Compatible)
		return v, nil
	}
	doc := []byte{'['}
	for i, x := range r.OutputArguments {
		if i > 0 {
			doc = append(doc, ',')
		}
		v, _ := valueOf(x, s.link.types, s.cfg.Compatible)
		doc = v.AppendJSON(doc)
	}
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, ']'))), nil
}

// declared returns the types of a method's arguments, or nil if it does not say.
func (s *session) declared(ctx context.Context, method *ua.NodeID) ([]shape, error) {
	t := newTree(s.link)
	if err := t.load(ctx, []*ua.NodeID{method}); err != nil {
		return nil, err
	}
	for _, c := range t.children[method.String()] {
		if c.name != "InputArguments" || c.namespace != 0 {
			continue
		}
		values, err := s.link.readAll(ctx, ua.AttributeIDValue, []*ua.NodeID{c.id})
		if err != nil {
			return nil, err
		}
		return s.shapes(ctx, values[0])
	}
	return nil, nil
}

func (s *session) shapes(ctx context.Context, v *ua.DataValue) ([]shape, error) {
	if v.Value == nil || bad(v.Status) {
		return nil, nil
	}
	list, ok := v.Value.Value().([]*ua.ExtensionObject)
	if !ok {
		return nil, nil
	}
	shapes := make([]shape, 0, len(list))
	for _, x := range list {
		a, ok := x.Value.(*ua.Argument)
		if !ok {
			return nil, nil
		}
		kind, err := s.link.types.builtin(ctx, a.DataType)
		if err != nil {
			return nil, err
		}
		if a.DataType.Namespace() == 0 && a.DataType.IntID() == id.BaseDataType {
			kind = ua.TypeIDVariant
		}
		shapes = append(shapes, shape{kind: kind, array: a.ValueRank >= 1})
	}
	return shapes, nil
}
