package opcua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// typePrefix is what the method of a call to all devices starts with.
const typePrefix = "opcua_"

// HandleRPC implements [connector.RPCHandler]. The method get reads, and set writes,
// a key of the device, a node identifier or a path; see the package comment. Any
// other method is one of [Mapping.Methods], which is called on the device's node
// with a list of arguments.
//
// A call for no device, whose method may start with opcua_, is one for all of
// them: the result is [{"result": 5, "device_name": "boiler"}, ...], with a member
// "error" where there is no result.
//
// Calls are carried out at once, whatever is being read, and fail at once while
// there is no connection.
func (c *Connector) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	s, err := c.current()
	if s == nil {
		return telemetry.Value{}, fmt.Errorf("opcua: %s: %w", c.plan.cfg.URL, err)
	}
	if r.Device == "" {
		return s.callAll(ctx, r)
	}
	devices := s.named(r.Device)
	if len(devices) == 0 {
		return telemetry.Value{}, fmt.Errorf("opcua: device not found: %s", r.Device)
	}
	v, err := s.carryOut(ctx, devices, r)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("opcua: %s %s: %w", r.Device, r.Method, err)
	}
	if !c.plan.cfg.WrapResults {
		return v, nil
	}
	member := "result"
	if r.Method == "get" || r.Method == "set" {
		member = "value"
	}
	return wrap(`{"result":{"`+member+`":`, v, "}}"), nil
}

// wrap returns v between texts that make it JSON.
func wrap(before string, v telemetry.Value, after string) telemetry.Value {
	doc := append(v.AppendJSON([]byte(before)), after...)
	return telemetry.Restore(telemetry.KindJSON, 0, string(doc))
}

func (s *session) named(name string) []*device {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.devices[name]
}

// carryOut carries out a call on the first device of a name that it fits.
func (s *session) carryOut(ctx context.Context, devices []*device, r connector.RPCRequest) (telemetry.Value, error) {
	for _, d := range devices {
		if m := d.mapping.methods[r.Method]; m != nil {
			return s.call(ctx, d, m, r.Params)
		}
	}
	if r.Method != "get" && r.Method != "set" {
		return telemetry.Value{}, errors.New("requested rpc method is not found in config")
	}
	target, v, err := parseReserved(r.Method, r.Params)
	if err != nil {
		return telemetry.Value{}, err
	}
	n, err := s.target(ctx, devices, target)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("%s: %w", target, err)
	}
	if r.Method == "set" {
		v, err = s.write(ctx, n, v)
	} else {
		v, err = s.readNode(ctx, n)
	}
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("%s (%s): %w", target, n, err)
	}
	return v, nil
}

// callAll carries out a call on all devices.
func (s *session) callAll(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	r.Method = strings.TrimPrefix(r.Method, typePrefix)
	s.mu.RLock()
	all := maps.Clone(s.devices)
	s.mu.RUnlock()
	var names []string
	for name, devices := range all {
		known := func(d *device) bool { return d.mapping.methods[r.Method] != nil }
		if r.Method == "get" || r.Method == "set" || slices.ContainsFunc(devices, known) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return telemetry.Value{}, fmt.Errorf("opcua: %s: requested rpc method is not found in config", r.Method)
	}
	slices.Sort(names)
	params, err := connectorParams(r.Params)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("opcua: %s: %w", r.Method, err)
	}
	r.Params = params
	parts := make([]string, len(names))
	gate := make(chan struct{}, parallelCalls)
	var wg sync.WaitGroup
	for i, name := range names {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			parts[i] = s.part(ctx, all[name], name, r)
		})
	}
	wg.Wait()
	return telemetry.Restore(telemetry.KindJSON, 0, "["+strings.Join(parts, ",")+"]"), nil
}

// parallelCalls bounds the calls to several devices that are under way.
const parallelCalls = 8

// part returns the part of one device of the result of a call to all.
func (s *session) part(ctx context.Context, devices []*device, name string, r connector.RPCRequest) string {
	v, err := s.carryOut(ctx, devices, r)
	doc := []byte(`{"result":`)
	if err != nil {
		doc = telemetry.AppendString([]byte(`{"error":`), err.Error())
	} else {
		doc = v.AppendJSON(doc)
	}
	doc = telemetry.AppendString(append(doc, `,"device_name":`...), name)
	return string(append(doc, '}'))
}

// UpdateAttributes implements [connector.AttributeUpdater]. It writes what
// [Mapping.Updates] name, leaves other attributes alone, tries all of them, and
// returns what went wrong.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	s, err := c.current()
	if s == nil {
		return fmt.Errorf("opcua: %s: %w", c.plan.cfg.URL, err)
	}
	var errs []error
	for _, d := range s.named(u.Device) {
		for _, p := range u.Attributes {
			a, ok := d.mapping.updates[p.Key]
			if !ok {
				continue
			}
			n, err := s.find(ctx, d, a)
			if err == nil {
				_, err = s.write(ctx, n, p.Value)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("opcua: %s %s: %s: %w", d.Name, p.Key, a.text, err))
			}
		}
	}
	return errors.Join(errs...)
}

// SharedAttributes implements [connector.AttributeSyncer]: the attributes that
// UpdateAttributes writes are written again whenever the device has been announced,
// so that a device gets what was set while it or the gateway was away.
func (c *Connector) SharedAttributes(device string) []string {
	s, _ := c.current()
	if s == nil {
		return nil
	}
	var keys []string
	for _, d := range s.named(device) {
		keys = slices.AppendSeq(keys, maps.Keys(d.mapping.updates))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// target finds the node that a call names: a key of the device, a node identifier or
// a path.
func (s *session) target(ctx context.Context, devices []*device, name string) (*ua.NodeID, error) {
	for _, d := range devices {
		for _, it := range d.items {
			if it.Key == name {
				return it.id, nil
			}
		}
	}
	a, err := parseAddress(name)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		n, findErr := s.find(ctx, d, a)
		if findErr == nil {
			return n, nil
		}
		err = findErr
	}
	return nil, err
}

// find finds the node of an address, and remembers it until the next search.
func (s *session) find(ctx context.Context, d *device, a address) (*ua.NodeID, error) {
	key := a.text
	if !a.absolute && a.id == nil {
		key = d.node.String() + "\x00" + a.text
	}
	s.mu.RLock()
	n := s.nodes[key]
	s.mu.RUnlock()
	if n != nil {
		return n, nil
	}
	q := &query{address: a, from: d.node}
	if err := newTree(s.link).resolve(ctx, []*query{q}); err != nil {
		return nil, err
	}
	switch {
	case q.err != nil:
		return nil, q.err
	case len(q.found) == 0:
		return nil, errors.New("no such node")
	case len(q.found) > 1:
		return nil, fmt.Errorf("%d nodes have this path", len(q.found))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.nodes) < maxNodes {
		s.nodes[key] = q.found[0]
	}
	return q.found[0], nil
}

// maxNodes bounds the nodes that are remembered for commands.
const maxNodes = 10000

// readNode reads a value.
func (s *session) readNode(ctx context.Context, n *ua.NodeID) (telemetry.Value, error) {
	for range 2 {
		values, err := s.link.readAll(ctx, ua.AttributeIDValue, []*ua.NodeID{n})
		if err != nil {
			return telemetry.Value{}, err
		}
		if bad(values[0].Status) {
			return telemetry.Value{}, errors.New(statusName(values[0].Status))
		}
		v, ok := valueOf(values[0].Value, s.link.types, s.cfg.Compatible)
		if ok || !unexplained(values[0].Value) || !s.link.types.learnAll(ctx, values[0].Value) {
			return v, nil
		}
	}
	return telemetry.Value{}, errors.New("the value is a structure of which the server has no definition")
}

// write writes v in the type that the node wants, and returns it.
func (s *session) write(ctx context.Context, n *ua.NodeID, v telemetry.Value) (telemetry.Value, error) {
	sh, err := s.link.shapeOf(ctx, n)
	if err != nil {
		return telemetry.Value{}, refusal(err)
	}
	x, err := coerce(v, sh)
	if err != nil {
		return telemetry.Value{}, err
	}
	res, err := send[*ua.WriteResponse](ctx, s.link, &ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{
		NodeID: n, AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: x},
	}}})
	if err != nil {
		return telemetry.Value{}, refusal(err)
	}
	if len(res.Results) != 1 {
		return telemetry.Value{}, ua.StatusBadUnknownResponse
	}
	if bad(res.Results[0]) {
		return telemetry.Value{}, errors.New(statusName(res.Results[0]))
	}
	written, _ := valueOf(x, nil, s.cfg.Compatible)
	return written, nil
}

// refusal gives a status the name that the specification has for it.
func refusal(err error) error {
	var status ua.StatusCode
	if errors.As(err, &status) {
		return errors.New(statusName(status))
	}
	return err
}
