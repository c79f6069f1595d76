package tbclient

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// put has r sent before the deadline. It waits for room, but not for a
// connection.
func (dl *downlink) put(r reply, deadline time.Time) {
	r.deadline = deadline
	select {
	case dl.replies <- r:
		return
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case dl.replies <- r:
	case <-timer.C:
		dl.c.count.lost.Add(1)
	case <-dl.ctx.Done():
		dl.c.count.lost.Add(1)
	}
}

// offer is put for a caller that must not wait.
func (dl *downlink) offer(r reply, deadline time.Time) {
	r.deadline = deadline
	select {
	case dl.replies <- r:
	default:
		dl.c.count.lost.Add(1)
	}
}

// reply sends replies on ln until ctx is done or the session has ended.
func (dl *downlink) reply(ctx context.Context, ln *link) {
	for {
		select {
		case r := <-dl.replies:
			dl.sendReply(ctx, ln, r)
		case <-ctx.Done():
			return
		case <-ln.sess.Done():
			return
		}
	}
}

// sendReply sends r. If the session ends before r is acknowledged, it is put
// back for the next one: the platform waits for it wherever it comes from, and
// ignores a second one.
func (dl *downlink) sendReply(ctx context.Context, ln *link, r reply) {
	if !time.Now().Before(r.deadline.Add(replyGrace)) {
		dl.c.count.lost.Add(1)
		return
	}
	if limit := int(ln.maxPayload.Load()); len(r.payload) > limit {
		dl.c.log.Warn("reply is too large for the platform", "topic", r.topic, "bytes", len(r.payload), "limit", limit)
		r = dl.c.tooLargeReply(r, limit)
	}
	again := func() { dl.offer(r, r.deadline) }
	if r.topic == TopicRPC {
		dl.c.rates.messages.charge()
	} else {
		dl.c.own.messages.charge()
	}
	switch err := ln.send(ctx, r.topic, r.payload, again); {
	case connector.IsInvalid(err):
		dl.c.count.lost.Add(1)
	case err != nil:
		again()
	}
}

// replyGrace is how long after its deadline a reply may still be sent: a reply
// that says so is made when the deadline passes.
const replyGrace = 2 * time.Second

// tooLargeReply replaces r by a reply that says why.
func (c *Client) tooLargeReply(r reply, limit int) reply {
	err := fmt.Errorf("the result has %d bytes, and the platform takes %d", len(r.payload), limit)
	if r.topic == TopicRPC {
		small := c.callReply(r.device, r.id, telemetry.Value{}, err)
		small.deadline = r.deadline
		return small
	}
	r.payload = ownResult(telemetry.Value{}, err)
	return r
}

// flush sends the replies that are waiting when the gateway stops.
func (dl *downlink) flush(ln *link) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for ctx.Err() == nil && ln.sess.Err() == nil {
		select {
		case r := <-dl.replies:
			dl.sendReply(ctx, ln, r)
		default:
			return
		}
	}
}
