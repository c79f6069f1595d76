package modbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A command is a compiled [Command], or a register that is polled.
type command struct {
	field
	read, write uint8 // functions; 0: not possible
	polled      bool
}

func newCommand(c Command) (*command, error) {
	if c.Method == "" {
		return nil, errors.New("method: missing")
	}
	var table Table
	switch c.Function {
	case readCoils, writeSingleCoil, writeMultipleCoils:
		table = Coil
	case readDiscreteInputs:
		table = Discrete
	case readInputRegisters:
		table = Input
	case readHoldingRegisters, writeSingleRegister, writeMultipleRegisters:
		table = Holding
	default:
		return nil, fmt.Errorf("function: %d is not 1 to 6, 15 or 16", c.Function)
	}
	f, err := newField(c.Register, table)
	if err != nil {
		return nil, err
	}
	if c.Function <= readInputRegisters {
		return &command{field: f, read: c.Function}, nil
	}
	return &command{field: f, write: c.Function}, f.checkWrite(c.Function)
}

// HandleRPC implements [connector.RPCHandler]. The method is a key of
// [Device.RPC], or that of a register: with a parameter it is written, without one
// it is read. Otherwise the methods get and set take a text like
// "type=16int;functionCode=6;objectsCount=1;address=20;value=5;" or an object with
// these members. The result is the value that was read or written, or with
// [Config.WrapResults] an object that holds it.
//
// A call for no device is one for all of them: its method is get or set, or ends in
// _get or _set, and the result is [{"result": 5, "device_name": "boiler"}, ...],
// with a member "error" where there is no result.
//
// A command goes ahead of the polls of its bus. It waits until the deadline of ctx
// at most, and fails at once while the bus is not connected.
func (c *Connector) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	if r.Device == "" {
		return c.callAll(ctx, r)
	}
	targets := c.net.byName[r.Device]
	if len(targets) == 0 {
		return telemetry.Value{}, fmt.Errorf("modbus: no device %q", r.Device)
	}
	v, err := params.Value(r.Params)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("modbus: %s %s: %w", r.Device, r.Method, err)
	}
	for _, t := range targets {
		if cmd := t.rpc[r.Method]; cmd != nil {
			return c.result(t.call(ctx, cmd, r.Method, v))
		}
	}
	if r.Method == "get" || r.Method == "set" {
		return c.result(targets[0].reserved(ctx, r.Method, v))
	}
	return telemetry.Value{}, fmt.Errorf("modbus: %s: method not found: %s", r.Device, r.Method)
}

// result gives the result of a call its form.
func (c *Connector) result(v telemetry.Value, err error) (telemetry.Value, error) {
	if err != nil || !c.wrap {
		return v, err
	}
	doc := v.AppendJSON([]byte(`{"result":{"value":`))
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, "}}"...))), nil
}

// reserved carries out get or set. Byte and word order are those of the device's
// configuration, unless the call names them.
func (t *target) reserved(ctx context.Context, method string, v telemetry.Value) (telemetry.Value, error) {
	cmd, v, err := parseReserved(method, v, t.order, t.quirks)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("modbus: %s %s: %w", t.device.Name, method, err)
	}
	return t.call(ctx, cmd, method, v)
}

// callAll carries out get or set on all devices.
func (c *Connector) callAll(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	method := r.Method[strings.LastIndexByte(r.Method, '_')+1:]
	if method != "get" && method != "set" {
		return telemetry.Value{}, fmt.Errorf("modbus: method not found: %s", r.Method)
	}
	v, err := params.Value(r.Params)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("modbus: %s: %w", r.Method, err)
	}
	parts := make([]string, len(c.net.targets))
	var wg sync.WaitGroup
	for i, t := range c.net.targets { // devices of one bus wait for each other there
		wg.Go(func() { parts[i] = t.part(ctx, method, v) })
	}
	wg.Wait()
	return telemetry.Restore(telemetry.KindJSON, 0, "["+strings.Join(parts, ",")+"]"), nil
}

// part returns t's part of the result of a call to all devices.
func (t *target) part(ctx context.Context, method string, v telemetry.Value) string {
	result, err := t.reserved(ctx, method, v)
	doc := []byte(`{"result":`)
	if err != nil {
		doc = telemetry.AppendString([]byte(`{"error":`), err.Error())
	} else {
		doc = result.AppendJSON(doc)
	}
	doc = telemetry.AppendString(append(doc, `,"device_name":`...), t.device.Name)
	return string(append(doc, '}'))
}

// UpdateAttributes implements [connector.AttributeUpdater]. It writes what
// [Device.AttributeUpdates] and writable registers name, and leaves other
// attributes alone. It tries all of them, and returns what went wrong.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	var errs []error
	for _, t := range c.net.byName[u.Device] {
		for _, p := range u.Attributes {
			if cmd := t.updates[p.Key]; cmd != nil {
				_, err := t.call(ctx, cmd, p.Key, p.Value)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// SharedAttributes implements [connector.AttributeSyncer]: the attributes that
// UpdateAttributes writes are written again whenever the device has been
// announced, so that a device gets what was set while it or the gateway was
// away.
func (c *Connector) SharedAttributes(device string) []string {
	var keys []string
	for _, t := range c.net.byName[device] {
		keys = slices.AppendSeq(keys, maps.Keys(t.updates))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// call carries out cmd, and returns what was read or written.
func (t *target) call(ctx context.Context, cmd *command, name string, v telemetry.Value) (telemetry.Value, error) {
	given := v.Kind() != telemetry.KindNone
	var err error
	switch {
	case cmd.write != 0 && (given || cmd.read == 0):
		err = t.write(ctx, cmd, v)
	case given && cmd.polled:
		err = errors.New("not writable")
	default:
		v, err = t.fetch(ctx, cmd)
	}
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("modbus: %s %s: %w", t.device.Name, name, err)
	}
	return v, nil
}

func (t *target) write(ctx context.Context, cmd *command, v telemetry.Value) error {
	request, err := cmd.writeRequest(cmd.write, v)
	if err != nil {
		return err
	}
	return t.bus.lane.Do(ctx, func(ctx context.Context) error {
		_, err := t.bus.exchange(ctx, t, request, 0)
		return err
	})
}

func (t *target) fetch(ctx context.Context, cmd *command) (v telemetry.Value, err error) {
	request := appendRead(nil, cmd.read, uint16(cmd.addr), uint16(cmd.count))
	err = t.bus.lane.Do(ctx, func(ctx context.Context) error {
		data, err := t.bus.exchange(ctx, t, request, t.retries)
		if err == nil {
			v = cmd.decode(data, 1)
		}
		return err
	})
	return v, err
}
