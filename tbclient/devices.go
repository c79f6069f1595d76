package tbclient

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A device is what the client was told about a device.
type device struct {
	profile string
	online  bool // wanted; the platform is told when there is a connection
	idle    bool // online, but without data for so long that the platform was told otherwise
	queued  bool // in Client.dirty
	deleted atomic.Bool
}

// A presence is a device that was announced on a connection.
type presence struct {
	as     string // its name on the platform
	dev    *device
	active time.Time // when it last had data; kept only if idle devices matter

	announcement Publication // nil if there was none
}

// is reports whether the device is announced, under that name.
func (p *presence) is(name string) bool {
	return p != nil && p.as == name && !p.dev.deleted.Load()
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
	dev.online, dev.idle = true, false
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
	var tick <-chan time.Time
	if d := c.cfg.IdleTimeout; d > 0 {
		ticker := time.NewTicker(max(d/4, time.Millisecond))
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		for c.announceOne(ctx, ln) {
		}
		select {
		case <-c.stir:
		case <-tick:
			c.disconnectIdle(ctx, ln)
		case <-ctx.Done():
			return
		}
	}
}

// disconnectIdle takes the devices on ln offline that have had no data for the
// idle time.
func (c *Client) disconnectIdle(ctx context.Context, ln *link) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-c.turn }()
	before := time.Now().Add(-c.cfg.IdleTimeout)
	for name, pr := range ln.announced {
		if pr.active.After(before) {
			continue
		}
		c.mu.Lock()
		pr.dev.idle = true
		c.mu.Unlock()
		if c.disconnect(ctx, ln, name) != nil {
			return
		}
		c.log.Info("device without data is disconnected", "device", name, "idle", c.cfg.IdleTimeout)
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
	if dev == nil { // deleted on the platform
		c.mu.Unlock()
		return true
	}
	dev.queued = false
	d, online := telemetry.Device{Name: name, Profile: dev.profile}, dev.online
	c.mu.Unlock()

	var err error
	switch announced := ln.announced[name].is(c.names.platform(name)); {
	case online && !announced:
		_, err = c.connect(ctx, ln, d)
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
		if dev.online && !dev.idle {
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
		if _, err := c.connect(ctx, ln, d); err != nil {
			return err
		}
	}
	return nil
}

// connect announces d on ln, and remembers it. A device that nothing else is
// known of counts as online from now on; one that was taken offline is taken
// offline again later. The publication is nil if no payload can hold the name.
func (c *Client) connect(ctx context.Context, ln *link, d telemetry.Device) (Publication, error) {
	c.mu.Lock()
	dev := c.devices[d.Name]
	if dev == nil {
		dev = &device{profile: d.Profile, online: true}
		c.devices[d.Name] = dev
	}
	dev.idle = false
	if d.Profile == "" {
		d.Profile = dev.profile
	}
	if !dev.online {
		c.enqueue(d.Name, dev)
	}
	c.mu.Unlock()
	as := c.names.platform(d.Name)
	payload := c.codec.connect(as, cmp.Or(d.Profile, "default"))
	var p Publication
	if limit := int(ln.maxPayload.Load()); len(payload) > limit {
		c.tooLarge(d.Name[:min(len(d.Name), 64)], "", len(payload), limit) // and so is all its data
	} else {
		var err error
		if p, err = c.sendPaced(ctx, ln, TopicConnect, payload); err != nil {
			return nil, err
		}
		c.wantSync(d.Name)
	}
	ln.announced[d.Name] = &presence{as: as, dev: dev, active: time.Now(), announcement: p}
	return p, nil
}

func (c *Client) disconnect(ctx context.Context, ln *link, name string) error {
	if _, err := c.sendPaced(ctx, ln, TopicDisconnect, c.codec.disconnect(ln.announced[name].as)); err != nil {
		return err
	}
	delete(ln.announced, name)
	return nil
}

// sendPaced publishes an announcement within the rates and the window of data.
func (c *Client) sendPaced(ctx context.Context, ln *link, topic string, payload []byte) (Publication, error) {
	if err := c.rates.messages.acquire(ctx, ln.sess, 1); err != nil {
		return nil, err
	}
	if err := ln.data.acquire(ctx, ln.sess, len(payload)); err != nil {
		return nil, err
	}
	p := ln.sess.Publish(topic, payload)
	ln.track(pending{Publication: p, window: ln.data, size: len(payload), alone: true})
	return p, nil
}
