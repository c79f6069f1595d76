package tbtest

import (
	"errors"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// published acts on a message from the client. An error that is returned ends
// the session.
func (se *session) published(p *packets.Packet) error {
	if p.FixedHeader.Qos == 2 {
		return ending(reasonQoS, "QoS 2")
	}
	if f := se.srv.cfg.OnPublish; f != nil {
		f(se.message(p))
	}
	what := fate{}
	if p.TopicName == "v1/gateway/telemetry" || p.TopicName == "v1/gateway/attributes" {
		what = se.srv.faults.next()
	}
	switch what.kind {
	case lost:
		return nil
	case trapped:
		return se.ack(p, 0, func() error {
			time.AfterFunc(what.after, se.cut)
			return nil
		})
	}
	after, err := se.dispatch(p.TopicName, p.Payload)
	if err != nil {
		return se.refuse(p, err)
	}
	switch what.kind {
	case unacknowledged:
		return nil
	case acceptedAndClosed:
		se.drainAcks()
		return errEndSession
	}
	return se.ack(p, 0, after)
}

// refuse does what a refusal says. Other errors end the session.
func (se *session) refuse(p *packets.Packet, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	if r.ends {
		se.srv.event(func() { se.srv.stats.Rejected++ })
	}
	if r.acked {
		if err := se.ack(p, r.reason, nil); err != nil {
			return err
		}
	}
	if !r.ends {
		return nil
	}
	se.drainAcks()
	if r.device != "" && se.version == 5 {
		_ = se.send("v1/gateway/disconnect", se.srv.cfg.codec().disconnected(r.device, r.reason))
	}
	return r
}

// dispatch acts on a message. What it returns is to be done after the
// acknowledgement.
func (se *session) dispatch(topic string, payload []byte) (after func() error, err error) {
	if rest, ok := strings.CutPrefix(topic, "v1/gateway/"); ok {
		if !se.gateway {
			return nil, silence()
		}
		return se.gatewayMessage(rest, payload)
	}
	if o, ok := parseOwnTopic(topic); ok {
		return se.ownMessage(o, payload)
	}
	if c, ok := parseChunkTopic(topic); ok {
		return se.chunkRequest(c, payload)
	}
	return nil, acknowledged(reasonTopic, "unknown topic")
}
