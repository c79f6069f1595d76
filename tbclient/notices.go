package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
)

// The platform tells that a device was renamed or deleted by calls to the
// gateway's own device, whose parameters are JSON in a string.

// deviceRenamed follows the new name of a device: {"old name":"new name"}.
func (dl *downlink) deviceRenamed(params json.RawMessage) error {
	c := dl.c
	if c.cfg.IgnoreRenames {
		return nil
	}
	var renamed map[string]string
	if err := json.Unmarshal(unquote(params), &renamed); err != nil {
		return fmt.Errorf("renamed devices: %w", err)
	}
	var errs []error
	for from, to := range renamed {
		name, err := c.rename(from, to)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.log.Info("device was renamed on the platform", "device", name, "platform", to)
		if o, ok := dl.d.(gateway.DeviceObserver); ok {
			o.DeviceRenamed(name, to)
		}
	}
	return errors.Join(errs...)
}

// rename follows the new name of a device and returns the gateway's own.
func (c *Client) rename(from, to string) (name string, err error) {
	if name, err = c.names.rename(from, to); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if dev := c.devices[name]; dev != nil {
		c.enqueue(name, dev) // announces it under the new name
	}
	return name, nil
}

// PlatformName implements gateway.Renamer.
func (c *Client) PlatformName(device string) string { return c.names.platform(device) }

// RenameDevice implements gateway.Renamer. It has no effect with
// Config.IgnoreRenames.
func (c *Client) RenameDevice(device, as string) error {
	if c.cfg.IgnoreRenames {
		return nil
	}
	_, err := c.rename(device, as)
	return err
}

// deviceDeleted forgets a device. Its next data creates it again, under the
// gateway's own name.
func (dl *downlink) deviceDeleted(ctx context.Context, params json.RawMessage) error {
	c := dl.c
	raw := unquote(params)
	var device string
	if json.Unmarshal(raw, &device) != nil {
		device = string(raw)
	}
	if device == "" {
		return errors.New("deleted device: there is no name")
	}
	name, err := c.names.forget(device)
	c.log.Info("device was deleted on the platform", "device", name, "platform", device)
	c.mu.Lock()
	if dev := c.devices[name]; dev != nil {
		dev.deleted.Store(true)
		delete(c.devices, name)
	}
	c.mu.Unlock()
	if o, ok := dl.d.(gateway.DeviceObserver); ok {
		o.DeviceDeleted(ctx, name)
	}
	return err
}

// unquote returns the text of a JSON string, or raw if it is none.
func unquote(raw json.RawMessage) []byte {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return raw
	}
	return []byte(s)
}

// syncers is how many devices are asked about at the same time.
const syncers = 8

// wantSync has the shared attributes of a device asked for.
func (c *Client) wantSync(name string) {
	if c.cfg.KeepUnsynced {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsynced = append(c.unsynced, name)
	c.stirSync()
}

func (c *Client) stirSync() {
	select {
	case c.sync <- struct{}{}:
	default:
	}
}

// nextUnsynced takes a device from the queue.
func (c *Client) nextUnsynced() (name string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unsynced) == 0 {
		c.unsynced = nil
		return "", false
	}
	name = c.unsynced[0]
	c.unsynced = c.unsynced[1:]
	if len(c.unsynced) > 0 {
		c.stirSync()
	}
	return name, true
}

// syncAttributes asks for the shared attributes of devices that have been
// announced on ln and whose connectors want them, until ctx is done.
func (c *Client) syncAttributes(ctx context.Context, ln *link, dl *downlink) {
	for {
		name, ok := c.nextUnsynced()
		if !ok {
			select {
			case <-c.sync:
				continue
			case <-ctx.Done():
				return
			}
		}
		keys := dl.d.SharedAttributes(name)
		if len(keys) == 0 {
			continue
		}
		if err := c.rates.messages.acquire(ctx, ln.sess, 1); err != nil {
			return
		}
		points, err := c.attributes(ctx, connector.AttributeQuery{Device: c.names.platform(name), Shared: true, Keys: keys})
		switch {
		case ctx.Err() != nil || ln.sess.Err() != nil:
			return
		case err != nil:
			c.log.Warn("shared attributes of a device could not be asked for", "device", name, "error", err)
		case len(points) > 0:
			dl.apply(connector.AttributeUpdate{Device: name, Attributes: points})
		}
	}
}
