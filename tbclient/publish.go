package tbclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// errLinkEnded is what deliveries and requests end with when their connection
// has ended.
var errLinkEnded = errors.New("tbclient: connection to the platform lost")

// Publish implements gateway.Platform. It blocks while there is no connection,
// while the window is full, and as long as the rate limits ask for.
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
	if c.isCareful() {
		return c.publishCarefully(ctx, groups)
	}
	payloads := c.enc.encode(groups, c.bounds(ln))
	defer c.enc.reset()
	if len(payloads) == 0 {
		return delivered{}, nil
	}
	d, err := c.publish(ctx, ln, payloads, c.candidate(groups))
	if err == nil {
		return d, nil
	}
	if ctx.Err() == nil || ln.sess.Err() != nil {
		c.notice(ln)
	}
	return nil, fmt.Errorf("tbclient: publish: %w", err)
}

// bounds returns what a payload on ln may hold.
func (c *Client) bounds(ln *link) bounds {
	return bounds{
		bytes:     int(ln.maxPayload.Load()),
		points:    c.rates.points.capacity(),
		devices:   c.rates.telemetry.capacity(),
		described: c.rates.messages.capacity(),
	}
}

// publish sends the announcements that payloads need, and payloads.
func (c *Client) publish(ctx context.Context, ln *link, payloads []payload, witness *telemetry.Group) (gateway.Delivery, error) {
	if err := c.introduce(ctx, ln); err != nil {
		return nil, err
	}
	d := &delivery{}
	d.publications = d.few[:0]
	if c.cfg.Confirm > 0 {
		d.confirm = &confirmation{sess: ln.sess, after: c.cfg.Confirm, left: len(payloads), acked: make(chan struct{})}
	}
	for _, p := range payloads {
		pub, err := c.transmit(ctx, ln, p, pending{delivery: d, witness: witness})
		if err != nil {
			return nil, err
		}
		d.publications = append(d.publications, pub)
		witness = nil
	}
	return d, nil
}

// introduce announces the devices of what was encoded that are not announced
// on ln.
func (c *Client) introduce(ctx context.Context, ln *link) error {
	var now time.Time
	if c.cfg.IdleTimeout > 0 {
		now = time.Now()
	}
	for i := range c.enc.devices {
		dev := &c.enc.devices[i]
		pr := ln.announced[dev.name]
		if !pr.is(dev.platform) {
			if _, err := c.connect(ctx, ln, telemetry.Device{Name: dev.name, Profile: dev.profile}); err != nil {
				return err
			}
			pr = ln.announced[dev.name]
		}
		pr.active = now
	}
	return nil
}

// transmit sends p when the rates and the window allow it.
func (c *Client) transmit(ctx context.Context, ln *link, p payload, as pending) (Publication, error) {
	if err := c.admit(ctx, ln, p); err != nil {
		return nil, err
	}
	size := len(p.buf.b)
	if err := ln.data.acquire(ctx, ln.sess, size); err != nil {
		return nil, err
	}
	topic := TopicTelemetry
	if p.attributes {
		topic = TopicAttributes
	}
	pub := ln.sess.Publish(topic, p.buf.b)
	c.count.packets.Add(1)
	c.count.bytes.Add(uint64(size))
	as.Publication, as.window, as.size, as.buf = pub, ln.data, size, p.buf
	c.track(ln, as)
	return pub, nil
}

// admit waits until the rates allow p.
func (c *Client) admit(ctx context.Context, ln *link, p payload) error {
	if p.attributes {
		return c.rates.messages.acquire(ctx, ln.sess, p.devices)
	}
	if err := c.rates.telemetry.acquire(ctx, ln.sess, p.devices); err != nil {
		return err
	}
	return c.rates.points.acquire(ctx, ln.sess, p.points)
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
	confirm      *confirmation  // nil: an acknowledgement is enough
}

// Wait implements gateway.Delivery.
func (d *delivery) Wait(ctx context.Context) error {
	for _, p := range d.publications {
		if err := p.Wait(ctx); err != nil {
			return fmt.Errorf("tbclient: publish: %w", err)
		}
	}
	if d.confirm == nil {
		return nil
	}
	return d.confirm.wait(ctx)
}

// A confirmation holds a delivery back until its connection has lived on for a
// while after the last acknowledgement.
type confirmation struct {
	sess  Session
	after time.Duration

	mu    sync.Mutex
	left  int // publications
	at    time.Time
	acked chan struct{} // closed when none is left
}

// acknowledged notes the acknowledgement of one publication.
func (f *confirmation) acknowledged(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left == 0 {
		f.at = now
		close(f.acked)
	}
}

func (f *confirmation) wait(ctx context.Context) error {
	select {
	case <-f.acked:
	case <-f.sess.Done():
		return f.ended()
	case <-ctx.Done():
		return ctx.Err()
	}
	timer := time.NewTimer(time.Until(f.at.Add(f.after)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-f.sess.Done():
		return f.ended()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended decides on a delivery whose connection is gone.
func (f *confirmation) ended() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 && time.Since(f.at) >= f.after {
		return nil
	}
	return fmt.Errorf("tbclient: publish: acknowledged shortly before the connection ended: %w", f.sess.Err())
}

// delivered is the delivery of nothing, or of what is known to be delivered.
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
