package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// AddDevice makes a device known as one of the named connector and announces it,
// as the connector itself does with DeviceOnline.
func (g *Gateway) AddDevice(ctx context.Context, connector string, d telemetry.Device) error {
	if d.Name == "" {
		return errors.New("gateway: add device: a device needs a name")
	}
	g.mu.Lock()
	r, ok := g.connectors[connector]
	g.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknown, connector)
	}
	return r.host.DeviceOnline(ctx, d)
}

// RemoveDevice announces a device as gone and forgets it, with what its report
// policies know of it. Its next data makes it known again.
func (g *Gateway) RemoveDevice(ctx context.Context, name string) error {
	dev := g.devices.forget(name)
	if dev == nil {
		return fmt.Errorf("gateway: remove device: %w: %q", ErrNoDevice, name)
	}
	return errors.Join(g.dropState(ctx, dev), g.north.Load().DeviceOffline(ctx, name))
}

// dropState stores what report policies hold back of a device that is forgotten,
// and forgets the rest.
func (g *Gateway) dropState(ctx context.Context, d *device) error {
	if r := d.owner.Load(); r != nil {
		return r.host.leave(ctx, d.name)
	}
	return nil
}

// restore announces the devices that r is known to speak for from an earlier run
// of the gateway. It is called when r has become ready.
func (g *Gateway) restore(r *running) {
	for _, dev := range g.devices.all() {
		if dev.owner.Load() != r || !dev.online() || !dev.kept.Swap(false) {
			continue
		}
		dev.active.Store(int64(time.Since(g.begun)))
		if err := g.north.Load().DeviceOnline(g.stopping, dev.device()); err != nil {
			r.log.Warn("device not announced", "device", dev.name, "error", err)
		}
	}
}

// heard notes that r has data of d, and announces d if it was silent.
func (g *Gateway) heard(d telemetry.Device, r *running, now time.Time) *device {
	dev := g.devices.touch(d, r)
	dev.heard.Store(now.UnixMilli())
	dev.active.Store(int64(now.Sub(g.begun)))
	if dev.presence() == silent {
		g.devices.set(dev, present)
		if err := g.north.Load().DeviceOnline(g.stopping, dev.device()); err != nil {
			r.log.Warn("device not announced", "device", dev.name, "error", err)
		}
	}
	return dev
}
