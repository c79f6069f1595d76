package snmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// HandleRPC implements [connector.RPCHandler]. The method is one that a command of
// [Device.RPC] names. Otherwise it is the name of a [Method], whose parameters are a
// text like "method=get;oid=1.3.6.1.2.1.1.3.0;" or
// "method=set;oid=1.3.6.1.2.1.1.6.0;value=hall 3;type=octetString;", or an object
// with these members, in which oid can be a list. The result is what was read or
// written, or with [Config.WrapResults] an object {"result": ...} that holds it.
//
// A command goes ahead of the polls of its device. It waits until the deadline of
// ctx at most.
func (c *Connector) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	targets := c.net.byName[r.Device]
	if len(targets) == 0 {
		return telemetry.Value{}, fmt.Errorf("snmp: no device %q", r.Device)
	}
	v, err := c.call(ctx, targets, r)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("snmp: %s %s: %w", r.Device, r.Method, err)
	}
	return v, nil
}

func (c *Connector) call(ctx context.Context, targets []*target, r connector.RPCRequest) (telemetry.Value, error) {
	given, err := params.Value(r.Params)
	if err != nil {
		return telemetry.Value{}, err
	}
	for _, t := range targets {
		for _, cmd := range t.rpc {
			if cmd.name.MatchString(r.Method) {
				return c.reply(t.carryOut(ctx, cmd, given))
			}
		}
	}
	if _, err := parseMethod(r.Method); err != nil {
		return telemetry.Value{}, errors.New("method not found")
	}
	t := targets[0]
	cmd, given, err := t.reserved(r.Method, given)
	if err != nil {
		return telemetry.Value{}, err
	}
	return c.reply(t.carryOut(ctx, cmd, given))
}

// reply gives the result of a call its form.
func (c *Connector) reply(r result, err error) (telemetry.Value, error) {
	if err != nil {
		return telemetry.Value{}, err
	}
	v := r.value()
	if c.quirks {
		v = telemetry.String(r.python())
	}
	if !c.wrap {
		return v, nil
	}
	return document(append(v.AppendJSON([]byte(`{"result":`)), '}')), nil
}

// UpdateAttributes implements [connector.AttributeUpdater]. It carries out the first
// command of [Device.AttributeUpdates] that names the attribute, and leaves other
// attributes alone. It tries all of them, and returns what went wrong.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	var errs []error
	for _, t := range c.net.byName[u.Device] {
		for _, p := range u.Attributes {
			for _, cmd := range t.updates {
				if !cmd.name.MatchString(p.Key) {
					continue
				}
				if _, err := t.carryOut(ctx, cmd, p.Value); err != nil {
					errs = append(errs, fmt.Errorf("snmp: %s %s: %w", u.Device, p.Key, err))
				}
				break
			}
		}
	}
	return errors.Join(errs...)
}

// SharedAttributes implements [connector.AttributeSyncer]: the attributes that
// UpdateAttributes writes are written again whenever the device has been announced,
// so that a device gets what was set while it or the gateway was away. If a name is
// a pattern, all attributes of the device are asked for.
func (c *Connector) SharedAttributes(device string) []string {
	var keys []string
	for _, t := range c.net.byName[device] {
		for _, cmd := range t.updates {
			if regexp.QuoteMeta(cmd.Name) != cmd.Name && strings.ContainsAny(cmd.Name, `*+?[({|\^$`) {
				return []string{connector.AllAttributes}
			}
			keys = append(keys, cmd.Name)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// carryOut carries out cmd, and returns what was read or written.
func (t *target) carryOut(ctx context.Context, cmd *command, param telemetry.Value) (r result, err error) {
	var list []assignment
	if cmd.Method.writes() {
		if list, err = cmd.assignments(param); err != nil {
			return result{}, err
		}
	}
	err = t.do(ctx, cmd.Timeout, func(ctx context.Context) error {
		if cmd.Method.writes() {
			r = written(list)
			return t.write(ctx, list)
		}
		r, err = t.run(ctx, &tally{}, &cmd.op)
		return err
	})
	if err != nil {
		return result{}, err
	}
	return r, nil
}

// assignments returns what cmd writes for a parameter.
func (c *command) assignments(param telemetry.Value) ([]assignment, error) {
	list := make([]assignment, len(c.writes))
	for i, w := range c.writes {
		v := param
		if w.value != "" {
			var err error
			if v, err = fill(w.value, param); err != nil {
				return nil, err
			}
		}
		if v.Kind() == telemetry.KindNone {
			return nil, errors.New("there is no value to write")
		}
		list[i] = assignment{oid: w.oid, typ: w.typ, given: v, value: c.op.scale.invert(v)}
	}
	return list, nil
}

func written(list []assignment) result {
	if len(list) == 1 {
		return result{readings: []reading{{oid: list[0].oid, value: list[0].given}}}
	}
	r := result{shape: object}
	for _, a := range list {
		r.readings = append(r.readings, reading{oid: a.oid, value: a.given})
	}
	return r
}

var placeholder = regexp.MustCompile(`\$\{(attribute|params|value)(?:\.([^}]*))?\}`)

// fill replaces the placeholders of a template. One that is nothing but a
// placeholder keeps the type of the value.
func fill(template string, param telemetry.Value) (telemetry.Value, error) {
	var failure error
	value := func(match []string) telemetry.Value {
		if match[2] == "" {
			return param
		}
		v, err := member(param, match[2])
		if err != nil {
			failure = err
		}
		return v
	}
	if m := placeholder.FindStringSubmatch(template); m != nil && m[0] == template {
		return value(m), failure
	}
	text := placeholder.ReplaceAllStringFunc(template, func(s string) string {
		return value(placeholder.FindStringSubmatch(s)).String()
	})
	return telemetry.String(text), failure
}

// member returns a member of an object.
func member(v telemetry.Value, name string) (telemetry.Value, error) {
	var m map[string]json.RawMessage
	if v.Kind() != telemetry.KindJSON || json.Unmarshal([]byte(v.String()), &m) != nil {
		return telemetry.Value{}, fmt.Errorf("%s is not an object with a member %q", v, name)
	}
	raw, ok := m[name]
	if !ok {
		return telemetry.Value{}, fmt.Errorf("parameters have no member %q", name)
	}
	return params.Value(raw)
}
