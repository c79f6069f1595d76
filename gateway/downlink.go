package gateway

import (
	"context"
	"errors"
	"fmt"

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

var _ Downlink = downlink{}

// HandleRPC implements connector.RPCHandler.
func (d downlink) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	var v telemetry.Value
	err := d.do(ctx, r.Device, func(c connector.Connector) (err error) {
		h, ok := connector.As[connector.RPCHandler](c)
		if !ok {
			return ErrUnsupported
		}
		return guard("HandleRPC", func() (err error) {
			v, err = h.HandleRPC(ctx, r)
			return err
		})
	})
	if err != nil {
		return telemetry.Value{}, err
	}
	return v, nil
}

// UpdateAttributes implements connector.AttributeUpdater.
func (d downlink) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	return d.do(ctx, u.Device, func(c connector.Connector) error {
		h, ok := connector.As[connector.AttributeUpdater](c)
		if !ok {
			return ErrUnsupported
		}
		return guard("UpdateAttributes", func() error { return h.UpdateAttributes(ctx, u) })
	})
}

// SharedAttributes implements Downlink.
func (d downlink) SharedAttributes(device string) (keys []string) {
	r := d.g.devices.owner(device)
	if r == nil {
		return nil
	}
	s, ok := connector.As[connector.AttributeSyncer](r.conn)
	if !ok {
		return nil
	}
	err := guard("SharedAttributes", func() error {
		keys = s.SharedAttributes(device)
		return nil
	})
	if err != nil {
		d.g.log.Error("connector failed", "connector", r.name, "error", err)
		return nil
	}
	return keys
}

// do runs f on the device's lane and waits for it, or for the end of ctx; f may
// then still run, and what it sets must not be read.
func (d downlink) do(ctx context.Context, name string, f func(connector.Connector) error) error {
	r := d.g.devices.owner(name)
	if r == nil {
		return fmt.Errorf("%w: %q", ErrNoDevice, name)
	}
	done := make(chan error, 1)
	err := d.g.lanes.Go(name, func() {
		if err := ctx.Err(); err != nil {
			done <- err
			return
		}
		done <- f(r.conn)
	})
	if err != nil {
		return fmt.Errorf("too many commands wait for device %q", name)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("device %q did not answer in time: %w", name, ctx.Err())
	}
}
