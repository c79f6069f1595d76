package tbclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// errLinkEnded is what deliveries and requests end with when their connection
// has ended.
var errLinkEnded = errors.New("tbclient: connection to the platform lost")

// Publish implements gateway.Platform. It blocks while there is no connection
// and while the window is full.
//
// Values that cannot be sent (a device without a name, an absent value, a NaN,
// a value larger than a payload may be) are left out and counted; if nothing is
// left, the delivery has succeeded. A telemetry point whose TS is zero is
// stamped now. Of attributes that occur more than once the last value is sent.
//
// An error means that the groups, and those of all deliveries that have not
// succeeded, are to be published again, in their order.
func (c *Client) Publish(ctx context.Context, groups []telemetry.Group) (gateway.Delivery, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()
	ln, err := c.await(ctx, true)
	if err != nil {
		return nil, err
	}
	payloads := c.enc.encode(groups, int(ln.maxPayload.Load()))
	defer c.enc.reset()
	if len(payloads) == 0 {
		return delivered{}, nil
	}
	d, err := c.publish(ctx, ln, payloads)
	if err == nil {
		return d, nil
	}
	if ctx.Err() == nil || ln.sess.Err() != nil {
		c.notice(ln)
	}
	return nil, fmt.Errorf("tbclient: publish: %w", err)
}

// publish sends the announcements that payloads need, and payloads.
func (c *Client) publish(ctx context.Context, ln *link, payloads []payload) (gateway.Delivery, error) {
	for _, dev := range c.enc.devices {
		if ln.announced[dev.name] {
			continue
		}
		if err := c.connect(ctx, ln, telemetry.Device{Name: dev.name, Profile: dev.profile}); err != nil {
			return nil, err
		}
	}
	d := &delivery{}
	d.publications = d.few[:0]
	for _, p := range payloads {
		size := len(p.buf.b)
		if err := ln.data.acquire(ctx, ln.sess, size); err != nil {
			return nil, err
		}
		topic := TopicTelemetry
		if p.attributes {
			topic = TopicAttributes
		}
		pub := ln.sess.Publish(topic, p.buf.b)
		d.publications = append(d.publications, pub)
		c.count.packets.Add(1)
		c.count.bytes.Add(uint64(size))
		c.track(ln, pending{Publication: pub, window: ln.data, size: size, buf: p.buf})
	}
	return d, nil
}

// track has p waited for. If that is no longer possible, the end of ln is one
// that the caller of Publish has to notice.
func (c *Client) track(ln *link, p pending) {
	if ln.track(p) {
		return
	}
	c.count.failed.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = max(c.lost, ln.number)
}

// notice remembers that a caller of Publish saw the end of ln.
func (c *Client) notice(ln *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noticed = max(c.noticed, ln.number)
}

// A delivery is a set of publications on one connection.
type delivery struct {
	publications []Publication
	few          [2]Publication // memory for the common case
}

// Wait implements gateway.Delivery.
func (d *delivery) Wait(ctx context.Context) error {
	for _, p := range d.publications {
		if err := p.Wait(ctx); err != nil {
			return fmt.Errorf("tbclient: publish: %w", err)
		}
	}
	return nil
}

// delivered is the delivery of nothing.
type delivered struct{}

// Wait implements gateway.Delivery.
func (delivered) Wait(context.Context) error { return nil }

// skipped counts values that cannot be sent.
func (c *Client) skipped(device, key string) {
	c.count.skipped.Add(1)
	if c.warned.skipped.allow() {
		c.log.Warn("value that cannot be sent is left out", "device", device, "key", key,
			"total", c.count.skipped.Load())
	}
}

// tooLarge counts values that no payload can hold.
func (c *Client) tooLarge(device, key string, size, limit int) {
	c.count.oversize.Add(1)
	if c.warned.oversize.allow() {
		c.log.Warn("value that is too large for the platform is left out", "device", device, "key", key,
			"bytes", size, "limit", limit, "total", c.count.oversize.Load())
	}
}
