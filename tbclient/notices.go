package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
)

// The platform tells that a device was renamed or deleted by calls to the
// gateway's own device, whose parameters are JSON in a string.

// deviceRenamed follows the new name of a device: {"old name":"new name"}.
func (c *Client) deviceRenamed(params json.RawMessage) error {
	if c.cfg.IgnoreRenames {
		return nil
	}
	var renamed map[string]string
	if err := json.Unmarshal(unquote(params), &renamed); err != nil {
		return fmt.Errorf("renamed devices: %w", err)
	}
	var errs []error
	for from, to := range renamed {
		name, err := c.names.rename(from, to)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.log.Info("device was renamed on the platform", "device", name, "platform", to)
		c.mu.Lock()
		if dev := c.devices[name]; dev != nil {
			c.enqueue(name, dev) // announces it under the new name
		}
		c.mu.Unlock()
	}
	return errors.Join(errs...)
}

// deviceDeleted forgets a device. Its next data creates it again, under the
// gateway's own name.
func (c *Client) deviceDeleted(params json.RawMessage) error {
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
	defer c.mu.Unlock()
	if dev := c.devices[name]; dev != nil {
		dev.deleted.Store(true)
		delete(c.devices, name)
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
