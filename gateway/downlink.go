package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Errors that a command is answered with.
var (
	ErrNoDevice    = errors.New("device is not known to the gateway")
	ErrUnsupported = errors.New("the device's connector does not take such commands")
)

// downlink routes what the platform sends to the connector of the device. A
// device has one lane, so that a slow one delays no other.
type downlink struct{ g *Gateway }

var (
	_ Downlink       = downlink{}
	_ DeviceObserver = downlink{}
)

// HandleRPC implements connector.RPCHandler.
func (d downlink) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	if r.Device == "" {
		return d.g.HandleRPC(ctx, r.Method, r.Params)
	}
	dev, owner, err := d.g.target(r.Device)
	if err != nil {
		return telemetry.Value{}, err
	}
	dev.calls.Add(1)
	return d.g.inLane(ctx, r.Device, "device "+strconv.Quote(r.Device), func(ctx context.Context) (telemetry.Value, error) {
		h, ok := connector.As[connector.RPCHandler](owner.conn)
		if !ok {
			return telemetry.Value{}, ErrUnsupported
		}
		return h.HandleRPC(ctx, r)
	})
}

// UpdateAttributes implements connector.AttributeUpdater.
func (d downlink) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	dev, owner, err := d.g.target(u.Device)
	if err != nil {
		return err
	}
	dev.updates.Add(1)
	_, err = d.g.inLane(ctx, u.Device, "device "+strconv.Quote(u.Device), func(ctx context.Context) (telemetry.Value, error) {
		h, ok := connector.As[connector.AttributeUpdater](owner.conn)
		if !ok {
			return telemetry.Value{}, ErrUnsupported
		}
		return telemetry.Value{}, h.UpdateAttributes(ctx, u)
	})
	return err
}

// SharedAttributes implements Downlink.
func (d downlink) SharedAttributes(device string) (keys []string) {
	_, r, err := d.g.target(device)
	if err != nil {
		return nil
	}
	s, ok := connector.As[connector.AttributeSyncer](r.conn)
	if !ok {
		return nil
	}
	err = guard("SharedAttributes", func() error {
		keys = s.SharedAttributes(device)
		return nil
	})
	if err != nil {
		d.g.log.Error("connector failed", "connector", r.name, "error", err)
		return nil
	}
	return keys
}

// DeviceRenamed implements DeviceObserver.
func (d downlink) DeviceRenamed(string, string) { d.g.devices.change() }

// DeviceDeleted implements DeviceObserver. What is held back of the device is
// dropped, since it would make the platform create it again.
func (d downlink) DeviceDeleted(ctx context.Context, device string) {
	dev := d.g.devices.forget(device)
	if dev == nil {
		return
	}
	if r := dev.owner.Load(); r != nil {
		r.host.forget(ctx, device)
	}
}

// target returns the named device and the connector that speaks for it.
func (g *Gateway) target(name string) (*device, *running, error) {
	dev := g.devices.find(name)
	if dev == nil {
		return nil, nil, fmt.Errorf("%w: %q", ErrNoDevice, name)
	}
	r := dev.owner.Load()
	if r == nil {
		return nil, nil, fmt.Errorf("%w: %q: its connector %q is not there", ErrNoDevice, name, dev.keptConnector)
	}
	return dev, r, nil
}

// inLane runs f in the lane of that key, after what was given to it before, and
// waits for it or for the end of ctx; f may then still run. What says whose lane
// it is.
func (g *Gateway) inLane(ctx context.Context, key, what string, f func(context.Context) (telemetry.Value, error)) (telemetry.Value, error) {
	type result struct {
		v   telemetry.Value
		err error
	}
	done := make(chan result, 1)
	err := g.lanes.Go(key, func() {
		var r result
		if r.err = ctx.Err(); r.err == nil {
			r.err = guard(what, func() (err error) {
				r.v, err = f(ctx)
				return err
			})
		}
		done <- r
	})
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("too many commands wait for %s", what)
	}
	select {
	case r := <-done:
		if r.err != nil {
			return telemetry.Value{}, r.err
		}
		return r.v, nil
	case <-ctx.Done():
		return telemetry.Value{}, fmt.Errorf("%s did not answer in time: %w", what, ctx.Err())
	}
}
