package mqttx

import (
	"context"
	"errors"
	"fmt"
)

// A Subscription is a topic filter and the highest QoS wanted for it. A filter
// may be shared ($share/group/filter) with brokers of version 5 and some of
// version 3.1.1.
type Subscription struct {
	Filter string
	QoS    byte
}

// SubscribeOptions are what version 5 adds to a subscription.
type SubscribeOptions struct {
	NoLocal           bool // not the messages that this client publishes
	RetainAsPublished bool // Message.Retained is as it was published
	RetainHandling    RetainHandling
}

// RetainHandling says which retained messages a new subscription brings.
type RetainHandling byte

// The values of RetainHandling (MQTT 5.0, 3.8.3.1).
const (
	RetainedAlways RetainHandling = iota // each time
	RetainedIfNew                        // only if the subscription did not exist
	RetainedNever
)

// Subscribe subscribes to all of subs and waits for the broker's answer. A
// filter that occurs twice is wanted with the higher QoS. An error names the
// filters that the broker refused, with a [ReasonError] each if the version is
// 5; the others are then subscribed all the same.
func (c *Conn) Subscribe(ctx context.Context, subs ...Subscription) error {
	return c.SubscribeWith(ctx, SubscribeOptions{}, subs...)
}

// SubscribeWith is Subscribe with options of version 5, which are an error with
// version 3.1.1.
func (c *Conn) SubscribeWith(ctx context.Context, o SubscribeOptions, subs ...Subscription) error {
	if len(subs) == 0 {
		return nil
	}
	return c.proto.subscribe(ctx, o, merge(subs))
}

// merge returns each filter once.
func merge(subs []Subscription) []Subscription {
	at := make(map[string]int, len(subs))
	merged := make([]Subscription, 0, len(subs))
	for _, s := range subs {
		if i, ok := at[s.Filter]; ok {
			merged[i].QoS = max(merged[i].QoS, s.QoS)
			continue
		}
		at[s.Filter] = len(merged)
		merged = append(merged, s)
	}
	return merged
}

// Unsubscribe ends subscriptions and waits for the broker's answer.
func (c *Conn) Unsubscribe(ctx context.Context, filters ...string) error {
	if len(filters) == 0 {
		return nil
	}
	if err := c.proto.unsubscribe(ctx, filters); err != nil {
		return fmt.Errorf("mqtt: unsubscribe: %w", err)
	}
	return nil
}

// A Publication is a message under way to the broker.
type Publication struct {
	conn  *Conn
	token token // nil: the connection ended first
}

type outgoing struct {
	topic   string
	qos     byte
	retain  bool
	payload []byte
}

// Publish sends a message. It keeps payload until the publication is complete,
// so payload must not be changed before then. It blocks while the connection is
// being written to, at most for the write timeout, and not after the connection
// has ended. Messages are sent in the order of the calls.
//
// There is no bound on publications under way other than the 65,535 packet
// identifiers: the caller keeps a window. A broker of version 5 may set one
// (ServerLimits.ReceiveMaximum); Publish then blocks too until there is room,
// which is when the broker has acknowledged another publication.
func (c *Conn) Publish(topic string, qos byte, retain bool, payload []byte) Publication {
	select {
	case <-c.done:
		return Publication{conn: c}
	default:
		return Publication{c, c.proto.publish(outgoing{topic, qos, retain, payload})}
	}
}

// Wait returns nil once the broker has acknowledged the message with success
// (QoS 1 and 2), or once it was written (QoS 0). A [ReasonError] says that the
// broker, of version 5, does not take this message; the connection lives on. Any
// other error means that it is not known whether the broker has it.
func (p Publication) Wait(ctx context.Context) error {
	if p.token == nil {
		return p.conn.Err()
	}
	return p.conn.wait(ctx, p.token)
}

// Done returns a channel that is closed when the publication is complete. It
// may stay open when the connection ends: see [Conn.Done].
func (p Publication) Done() <-chan struct{} {
	if p.token == nil {
		return p.conn.done
	}
	return p.token.Done()
}

func (c *Conn) wait(ctx context.Context, t token) error {
	select {
	case <-t.Done():
		return c.cause(t.Error())
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
	}
	select {
	case <-t.Done():
		return c.cause(t.Error())
	default:
		return c.Err()
	}
}

// cause replaces the error of something under way by the end of the
// connection, unless it is the broker's answer.
func (c *Conn) cause(err error) error {
	if err == nil {
		return nil
	}
	var reason *ReasonError
	if ended := c.Err(); ended != nil && !errors.As(err, &reason) {
		return ended
	}
	return err
}
