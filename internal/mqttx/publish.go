package mqttx

import (
	"context"
	"errors"
	"fmt"
	"slices"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// A Subscription is a topic filter and the highest QoS wanted for it.
type Subscription struct {
	Filter string
	QoS    byte
}

// Subscribe subscribes to all of subs and waits for the broker's answer. An
// error names the filters that the broker refused; the others are then
// subscribed all the same.
func (c *Conn) Subscribe(ctx context.Context, subs ...Subscription) error {
	if len(subs) == 0 {
		return nil
	}
	filters := make(map[string]byte, len(subs))
	for _, s := range subs {
		filters[s.Filter] = max(filters[s.Filter], s.QoS)
	}
	token := c.client.SubscribeMultiple(filters, nil)
	if err := c.wait(ctx, token); err != nil {
		return fmt.Errorf("mqtt: subscribe: %w", err)
	}
	st, ok := token.(*paho.SubscribeToken)
	if !ok {
		return nil
	}
	var refused []string
	for filter, granted := range st.Result() {
		if granted > 2 {
			refused = append(refused, filter)
		}
	}
	slices.Sort(refused)
	errs := make([]error, len(refused))
	for i, filter := range refused {
		errs[i] = fmt.Errorf("mqtt: subscription to %q was refused", filter)
	}
	return errors.Join(errs...)
}

// Unsubscribe ends subscriptions and waits for the broker's answer.
func (c *Conn) Unsubscribe(ctx context.Context, filters ...string) error {
	if err := c.wait(ctx, c.client.Unsubscribe(filters...)); err != nil {
		return fmt.Errorf("mqtt: unsubscribe: %w", err)
	}
	return nil
}

// A Publication is a message under way to the broker.
type Publication struct {
	conn  *Conn
	token paho.Token // nil: the connection ended first
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
// has ended. Messages are sent in the order of the calls. There is no bound on
// publications under way other than the 65,535 packet identifiers: the caller
// keeps a window.
func (c *Conn) Publish(topic string, qos byte, retain bool, payload []byte) Publication {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	select {
	case c.out <- outgoing{topic, qos, retain, payload}:
	case <-c.done:
		return Publication{conn: c}
	}
	select {
	case token := <-c.sent:
		return Publication{c, token}
	case <-c.done:
		return Publication{conn: c}
	}
}

// send hands publications to Paho. Its Publish goes on blocking, up to its
// timeout, when the connection ends; callers of ours do not.
func (c *Conn) send() {
	for {
		select {
		case m := <-c.out:
			token := c.client.Publish(m.topic, m.qos, m.retain, m.payload)
			select {
			case c.sent <- token:
			case <-c.done:
				return
			}
			select {
			case <-token.Done():
				if err := token.Error(); err != nil { // a later message must not overtake this one
					c.Fail(fmt.Errorf("mqtt: publish: %w", err))
				}
			default:
			}
		case <-c.done:
			return
		}
	}
}

// Wait returns nil once the broker has acknowledged the message (QoS 1), or
// once it was written (QoS 0). Any error means that it is not known whether the
// broker has it.
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

func (c *Conn) wait(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return c.reason(token.Error())
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
	}
	select {
	case <-token.Done():
		return c.reason(token.Error())
	default:
		return c.Err()
	}
}

// reason replaces the error of something under way by the end of the
// connection, if that is its cause.
func (c *Conn) reason(err error) error {
	if err == nil {
		return nil
	}
	if ended := c.Err(); ended != nil {
		return ended
	}
	return err
}
