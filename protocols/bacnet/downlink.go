package bacnet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A command is a compiled [Command].
type command struct {
	Command
	ref  wire.Reference
	kind wire.Kind
	set  bool // kind is that of the configuration
}

func newCommand(c Command) (*command, error) {
	if c.Method == "" {
		return nil, errors.New("method: missing")
	}
	if c.Priority > 16 {
		return nil, fmt.Errorf("priority: %d is not from 1 to 16", c.Priority)
	}
	index, err := element(c.Element)
	if err != nil {
		return nil, err
	}
	cmd := &command{Command: c, ref: wire.Reference{Object: c.Object, Property: c.Property, Index: index}}
	if c.Kind != "" {
		if cmd.kind, cmd.set = wire.ParseKind(c.Kind); !cmd.set {
			return nil, fmt.Errorf("kind: %q is not a type of values", c.Kind)
		}
	}
	return cmd, nil
}

// HandleRPC implements [connector.RPCHandler]. The method is one of [Device.RPC]: it
// writes its parameter, or reads. If several have the method all are carried out, and
// the result is that of the last, or of the first that failed. Otherwise the methods
// get and set take a text like
// "objectType=analogOutput;objectId=1;propertyId=presentValue;priority=8;value=42;" or
// an object with these members. A null that is written releases the priority.
//
// The result is the value that was read or written, or with [Config.WrapResults] what
// the reference gateway replies, errors included.
//
// A command goes ahead of the device's polls.
func (c *Connector) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	cmds, v, d, err := c.prepare(r)
	if err != nil {
		return c.refuse(r, err)
	}
	for _, cmd := range cmds {
		if err := c.check(cmd); err != nil {
			return c.refuse(r, err)
		}
	}
	var result telemetry.Value
	for _, cmd := range cmds {
		if result, err = d.call(ctx, cmd, v); err != nil {
			break
		}
	}
	write := cmds[len(cmds)-1].Write
	if c.cfg.WrapResults {
		return wrap(result, write, d.cause(ctx, err)), nil
	}
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("bacnet: %s %s: %w", r.Device, r.Method, err)
	}
	return result, nil
}

// prepare finds what a call is about.
func (c *Connector) prepare(r connector.RPCRequest) ([]*command, telemetry.Value, *device, error) {
	var devices []*device
	if s := c.current(); s != nil {
		devices = s.named(r.Device)
	}
	if len(devices) == 0 {
		return nil, telemetry.Value{}, nil, errors.New("Device not found") // the reference gateway's text
	}
	v, err := parseParams(r.Params)
	if err != nil {
		return nil, telemetry.Value{}, nil, err
	}
	for _, d := range devices {
		if cmds := d.entry.rpc[r.Method]; len(cmds) > 0 {
			return cmds, unwrap(v), d, nil
		}
	}
	if r.Method != "get" && r.Method != "set" {
		return nil, telemetry.Value{}, nil, fmt.Errorf("Neither of configured device rpc methods match with %s", r.Method) //nolint:staticcheck // see above
	}
	cmd, v, err := parseReserved(r.Method, v)
	if err != nil {
		return nil, telemetry.Value{}, nil, err
	}
	return []*command{cmd}, v, devices[0], nil
}

// check refuses what the reference gateway refuses, if it is to be compatible, and
// requests that are none.
func (c *Connector) check(cmd *command) error {
	const six = wire.BinaryValue // the first six types are the analog and binary ones
	if t := cmd.Object.Type(); c.cfg.Compatible && t > six {
		return fmt.Errorf("Invalid objectType: '%s'. Expected one of ['analogInput', 'analogOutput', 'analogValue', 'binaryInput', 'binaryOutput', 'binaryValue'].", //nolint:staticcheck // see above
			wire.Camel(t.String()))
	}
	if cmd.requested != "" {
		return fmt.Errorf("Invalid requestType: '%s'. Expected 'writeProperty' or 'readProperty'.", cmd.requested) //nolint:staticcheck // see above
	}
	return nil
}

// call carries out cmd, and returns what was read or written.
func (d *device) call(ctx context.Context, cmd *command, v telemetry.Value) (telemetry.Value, error) {
	if cmd.Write && v.Kind() == telemetry.KindNone && cmd.Priority == wire.NoPriority {
		return v, errors.New("value and priority are both missing")
	}
	err := d.lane.Do(ctx, func(ctx context.Context) error {
		var err error
		d.adopt()
		if cmd.Write {
			err = d.write(ctx, cmd, v)
		} else {
			v, err = d.fetch(ctx, cmd.ref)
		}
		return d.outcome(err)
	})
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("%s: %w", cmd.ref, err)
	}
	return v, nil
}

func (d *device) fetch(ctx context.Context, r wire.Reference) (telemetry.Value, error) {
	raw, err := d.peer.read(ctx, r, d.retries())
	if err != nil {
		return telemetry.Value{}, err
	}
	v, _ := d.convert(r, raw, 0)
	return v, nil
}

func (d *device) write(ctx context.Context, cmd *command, v telemetry.Value) error {
	value, err := d.encode(ctx, cmd, v)
	if err != nil {
		return err
	}
	return d.peer.write(ctx, wire.Write{Reference: cmd.ref, Value: value, Priority: cmd.Priority})
}

// encode returns v in the type of the property: that of the configuration, that of
// the standard, or else that of the value that the property has now.
func (d *device) encode(ctx context.Context, cmd *command, v telemetry.Value) ([]byte, error) {
	kind, ok := cmd.kind, cmd.set
	if !ok {
		kind, ok = kindOf(cmd.ref)
	}
	if v.Kind() == telemetry.KindNone && cmd.ref.Property != weeklySchedule {
		kind, ok = wire.Null, true
	}
	r := cmd.ref
	if !ok {
		if r.Property == weeklySchedule && r.Index == wire.WholeArray {
			r.Property = 174 // schedule-default has the type of the schedule's values
		}
		raw, err := d.peer.read(ctx, r, d.retries())
		if err != nil {
			return nil, fmt.Errorf("the type of the property is not known: %w", err)
		}
		dec := wire.NewDecoder(raw)
		now := dec.Application()
		if dec.Err() != nil || dec.More() || now.Kind == wire.Null {
			return nil, errors.New("the type of the property is not known, and its value does not tell")
		}
		kind = now.Kind
	}
	if cmd.ref.Property == weeklySchedule && cmd.ref.Index == wire.WholeArray {
		return encodeWeek(r, kind, v)
	}
	value, err := encode(r, kind, v)
	if err != nil {
		return nil, err
	}
	return value.Append(nil), nil
}

// UpdateAttributes implements [connector.AttributeUpdater]. It writes what
// [Device.AttributeUpdates] names, and leaves other attributes alone. It tries all of
// them, and returns what went wrong.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	s := c.current()
	if s == nil {
		return nil
	}
	var errs []error
	for _, d := range s.named(u.Device) {
		for _, p := range u.Attributes {
			for _, cmd := range d.entry.updates[p.Key] {
				if _, err := d.call(ctx, cmd, p.Value); err != nil {
					errs = append(errs, fmt.Errorf("bacnet: %s %s: %w", u.Device, p.Key, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// SharedAttributes implements [connector.AttributeSyncer]: the attributes that
// UpdateAttributes writes are written again whenever the device has been announced,
// so that a device gets what was set while it or the gateway was away.
func (c *Connector) SharedAttributes(device string) []string {
	s := c.current()
	if s == nil {
		return nil
	}
	var keys []string
	for _, d := range s.named(device) {
		keys = slices.AppendSeq(keys, maps.Keys(d.entry.updates))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
