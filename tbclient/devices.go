package tbclient

import (
	"context"
	"slices"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A device is what the client was told about a device.
type device struct {
	profile string
	online  bool // wanted; the platform is told when there is a connection
	queued  bool // in Client.dirty
}

// DeviceOnline implements gateway.Platform. It does not wait for the platform:
// the device is announced as soon as there is a connection, and again on each
// later one. A device without a name is ignored.
func (c *Client) DeviceOnline(_ context.Context, d telemetry.Device) error {
	if d.Name == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	dev := c.devices[d.Name]
	if dev == nil {
		dev = &device{}
		c.devices[d.Name] = dev
	}
	dev.online = true
	if d.Profile != "" {
		dev.profile = d.Profile
	}
	c.enqueue(d.Name, dev)
	return nil
}

// DeviceOffline implements gateway.Platform. It does not wait for the platform.
// Data that is published later announces the device again and, when it was
// sent, takes it offline again.
func (c *Client) DeviceOffline(_ context.Context, name string) error {
	if name == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	dev := c.devices[name]
	if dev == nil {
		dev = &device{}
		c.devices[name] = dev
	}
	dev.online = false
	c.enqueue(name, dev)
	return nil
}

// enqueue has the platform told about dev. c.mu is held.
func (c *Client) enqueue(name string, dev *device) {
	if dev.queued {
		return
	}
	dev.queued = true
	c.dirty = append(c.dirty, name)
	select {
	case c.stir <- struct{}{}:
	default:
	}
}

// announce tells the platform on ln of the devices that come and go, until ctx
// is done or the session ends.
func (c *Client) announce(ctx context.Context, ln *link) {
	for {
		for c.announceOne(ctx, ln) {
		}
		select {
		case <-c.stir:
		case <-ctx.Done():
			return
		}
	}
}

// announceOne deals with the first device in the queue. It reports false when
// there is none or the session has ended.
func (c *Client) announceOne(ctx context.Context, ln *link) bool {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-c.turn }()
	c.mu.Lock()
	if len(c.dirty) == 0 {
		c.mu.Unlock()
		return false
	}
	name := c.dirty[0]
	c.dirty = slices.Delete(c.dirty, 0, 1)
	dev := c.devices[name]
	dev.queued = false
	d, online := telemetry.Device{Name: name, Profile: dev.profile}, dev.online
	c.mu.Unlock()

	var err error
	switch announced := ln.announced[name]; {
	case online && !announced:
		err = c.connect(ctx, ln, d)
	case !online && announced:
		err = c.disconnect(ctx, ln, name)
	}
	return err == nil
}

// reannounce tells the platform of all online devices, on a connection that
// nobody else uses yet.
func (c *Client) reannounce(ctx context.Context, ln *link) error {
	c.mu.Lock()
	names := make([]string, 0, len(c.devices))
	for name, dev := range c.devices {
		if dev.online {
			names = append(names, name)
		}
	}
	c.mu.Unlock()
	slices.Sort(names)
	for _, name := range names {
		c.mu.Lock()
		dev := c.devices[name]
		d := telemetry.Device{Name: name}
		if dev != nil {
			d.Profile = dev.profile
		}
		online := dev != nil && dev.online
		c.mu.Unlock()
		if !online {
			continue
		}
		if err := c.connect(ctx, ln, d); err != nil {
			return err
		}
	}
	return nil
}

// connect announces d on ln, and remembers it. A device that nothing else is
// known of counts as online from now on; one that was taken offline is taken
// offline again later.
func (c *Client) connect(ctx context.Context, ln *link, d telemetry.Device) error {
	c.mu.Lock()
	dev := c.devices[d.Name]
	if dev == nil {
		dev = &device{profile: d.Profile, online: true}
		c.devices[d.Name] = dev
	}
	if d.Profile == "" {
		d.Profile = dev.profile
	}
	if !dev.online {
		c.enqueue(d.Name, dev)
	}
	c.mu.Unlock()
	if d.Profile == "" {
		d.Profile = "default"
	}
	p := telemetry.AppendString([]byte(`{"device":`), d.Name)
	p = telemetry.AppendString(append(p, `,"type":`...), d.Profile)
	if limit := int(ln.maxPayload.Load()); len(p) >= limit {
		c.tooLarge(d.Name[:min(len(d.Name), 64)], "", len(p), limit) // and so is all its data
	} else if err := c.sendPaced(ctx, ln, TopicConnect, append(p, '}')); err != nil {
		return err
	}
	ln.announced[d.Name] = true
	return nil
}

func (c *Client) disconnect(ctx context.Context, ln *link, name string) error {
	p := telemetry.AppendString([]byte(`{"device":`), name)
	if err := c.sendPaced(ctx, ln, TopicDisconnect, append(p, '}')); err != nil {
		return err
	}
	delete(ln.announced, name)
	return nil
}

// sendPaced publishes an announcement within the window of data.
func (c *Client) sendPaced(ctx context.Context, ln *link, topic string, payload []byte) error {
	if err := ln.data.acquire(ctx, ln.sess, len(payload)); err != nil {
		return err
	}
	ln.track(pending{Publication: ln.sess.Publish(topic, payload), window: ln.data, size: len(payload)})
	return nil
}
