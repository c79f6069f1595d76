package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/internal/lane"
)

// Bounds of what the platform may have waiting here.
const (
	maxJobs    = 2000 // calls and updates, of all devices; lane.DefaultDepth of one
	maxReplies = 1000 // that wait to be sent
)

// A downlink carries out what the platform sends, during one Run.
type downlink struct {
	c    *Client
	d    gateway.Downlink
	ctx  context.Context // of Run
	jobs chan struct{}   // holds a token for each job

	devices lane.Lanes // of the jobs of each device
	own     lane.Lanes // of the jobs of the gateway's own device

	replies chan reply

	mu       sync.Mutex // guards adding to the lanes
	finished bool
}

// A reply is to be sent before its deadline.
type reply struct {
	topic    string
	payload  []byte
	deadline time.Time

	device string // of a call to a device
	id     int64
}

func newDownlink(ctx context.Context, c *Client, d gateway.Downlink) *downlink {
	return &downlink{
		c: c, d: d, ctx: ctx,
		jobs: make(chan struct{}, maxJobs), replies: make(chan reply, maxReplies),
	}
}

// finish takes no more jobs, and waits for those that it has.
func (dl *downlink) finish() {
	dl.mu.Lock()
	dl.finished = true
	dl.mu.Unlock()
	dl.devices.Wait()
	dl.own.Wait()
}

// receive takes a message from the platform. It does not block.
func (dl *downlink) receive(topic string, payload []byte) {
	c := dl.c
	switch {
	case topic == TopicRPC:
		dl.call(payload)
	case topic == TopicAttributes:
		dl.update(payload)
	case topic == TopicAttributesResponse:
		c.answered(payload)
	case strings.HasPrefix(topic, TopicOwnRPCRequest):
		dl.ownCall(strings.TrimPrefix(topic, TopicOwnRPCRequest), payload)
	case topic == TopicOwnAttributes:
		dl.ownUpdate(payload)
	case topic == TopicDisconnect:
		c.disconnected(payload)
	case strings.HasPrefix(topic, TopicOwnRPCResponse), strings.HasPrefix(topic, TopicOwnAttributesResponse), strings.HasPrefix(topic, "v2/"):
		c.ownAnswered(topic, payload)
	default:
		c.log.Debug("message from the platform is not used", "topic", topic)
	}
}

// errBusy is the reply to a call that finds too many others waiting.
var errBusy = errors.New("busy: too many commands are waiting")

// errStopped is the reply to a call that finds the gateway stopping.
var errStopped = errors.New("the gateway is stopping")

// run has job carried out in order with the others of key.
func (dl *downlink) run(lanes *lane.Lanes, key string, job func()) error {
	dl.mu.Lock()
	defer dl.mu.Unlock()
	if dl.finished {
		return errStopped
	}
	select {
	case dl.jobs <- struct{}{}:
	default:
		return errBusy
	}
	err := lanes.Go(key, func() {
		defer func() { <-dl.jobs }()
		job()
	})
	if err != nil {
		<-dl.jobs
		return errBusy
	}
	return nil
}

// update takes a change of a device's shared attributes.
func (dl *downlink) update(payload []byte) {
	c := dl.c
	u, err := c.codec.parseUpdate(payload)
	if err == nil && u.Device == "" {
		err = errors.New("the update has no device")
	}
	if err != nil {
		c.malformed(TopicAttributes, err)
		return
	}
	if len(u.Attributes) == 0 && len(u.Deleted) == 0 {
		return
	}
	c.count.updates.Add(1)
	u.Device = c.names.own(u.Device)
	dl.apply(u)
}

// apply has an update carried out in its turn.
func (dl *downlink) apply(u connector.AttributeUpdate) {
	c := dl.c
	deadline := time.Now().Add(c.cfg.RPCTimeout)
	err := dl.run(&dl.devices, u.Device, func() {
		ctx, cancel := context.WithDeadline(dl.ctx, deadline)
		defer cancel()
		if err := dl.d.UpdateAttributes(ctx, u); err != nil && dl.ctx.Err() == nil {
			c.log.Warn("shared attributes could not be passed to a device", "device", u.Device, "error", err)
		}
	})
	if err != nil {
		c.busy(u.Device, err)
	}
}

// disconnected takes the platform's notice, over MQTT 5 only, that it has ended
// the session of a device.
func (c *Client) disconnected(payload []byte) {
	var m struct {
		Device string `json:"device"`
		Reason int    `json:"reason"`
	}
	if err := json.Unmarshal(payload, &m); err != nil || m.Device == "" {
		c.malformed(TopicDisconnect, err)
		return
	}
	c.log.Warn("the platform has ended the session of a device", "device", m.Device, "reason", m.Reason)
	if m.Reason == reasonRate || m.Reason == reasonQuota {
		c.rates.drain()
	}
}

// busy counts what was refused.
func (c *Client) busy(device string, err error) {
	c.count.busy.Add(1)
	if c.warned.busy.allow() {
		c.log.Warn("command from the platform refused", "device", device, "error", err, "total", c.count.busy.Load())
	}
}

// malformed counts messages that make no sense.
func (c *Client) malformed(topic string, err error) {
	c.count.malformed.Add(1)
	if c.warned.malformed.allow() {
		c.log.Warn("message from the platform makes no sense", "topic", topic, "error", err,
			"total", c.count.malformed.Load())
	}
}
