package mqttx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// v3 speaks MQTT 3.1.1 with Paho.
type v3 struct {
	conn   *Conn
	client paho.Client

	publishing sync.Mutex // one at a time, so that out and sent pair up
	out        chan outgoing
	sent       chan paho.Token
}

var _ protocol = (*v3)(nil)

// greet3 shakes hands.
func (c *Conn) greet3(o Options, d *dialer) error {
	v := &v3{conn: c, out: make(chan outgoing), sent: make(chan paho.Token, 1)}
	v.client = paho.NewClient(v.options(o, d))
	c.proto = v
	token := v.client.Connect()
	<-token.Done() // the link is cut when the context is done
	if err := token.Error(); err != nil {
		return err
	}
	go v.send()
	return nil
}

func (v *v3) options(o Options, d *dialer) *paho.ClientOptions {
	keepAlive := max(orDefault(o.KeepAlive, defaultKeepAlive), time.Second)
	write := orDefault(o.WriteTimeout, defaultWriteTimeout)
	w := &wire{link: v.conn.link, owner: v.conn, timeout: write}
	p := paho.NewClientOptions().
		AddBroker(d.addr.String()).
		SetProtocolVersion(4).
		SetClientID(o.ClientID).
		SetUsername(o.Username).
		SetPassword(o.Password).
		SetCleanSession(!o.KeepSession).
		SetKeepAlive(keepAlive).
		SetPingTimeout(min(keepAlive, pingTimeout)).
		SetConnectTimeout(d.timeout).
		SetWriteTimeout(write + time.Second). // the wire's own deadline comes first
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return w, nil }).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetResumeSubs(false).
		SetOrderMatters(true).
		SetAutoAckDisabled(true).
		SetStore(paho.NewOrderedMemoryStore()).
		SetConnectionLostHandler(func(_ paho.Client, err error) { v.conn.end(lost(err)) })
	p.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		v.conn.deliver(Message{
			Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), acks: pahoMessage{m},
		})
	})
	return p
}

type pahoMessage struct{ paho.Message }

func (m pahoMessage) ack(uint64) { m.Ack() }

func (v *v3) limits() ServerLimits { return ServerLimits{MaximumQoS: 2} }

func (v *v3) disconnect() { v.client.Disconnect(uint(farewell.Milliseconds())) }

func (v *v3) subscribe(ctx context.Context, o SubscribeOptions, subs []Subscription) error {
	if o != (SubscribeOptions{}) {
		return errors.New("mqtt: subscribe: MQTT 3.1.1 knows no options of subscriptions")
	}
	filters := make(map[string]byte, len(subs))
	for _, s := range subs {
		filters[s.Filter] = s.QoS
	}
	token := v.client.SubscribeMultiple(filters, nil)
	if err := v.conn.wait(ctx, token); err != nil {
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

func (v *v3) unsubscribe(ctx context.Context, filters []string) error {
	return v.conn.wait(ctx, v.client.Unsubscribe(filters...))
}

func (v *v3) publish(m outgoing) token {
	v.publishing.Lock()
	defer v.publishing.Unlock()
	select {
	case v.out <- m:
	case <-v.conn.done:
		return nil
	}
	select {
	case token := <-v.sent:
		return token
	case <-v.conn.done:
		return nil
	}
}

// send hands publications to Paho. Its Publish goes on blocking, up to its
// timeout, when the connection ends; callers of ours do not.
func (v *v3) send() {
	for {
		select {
		case m := <-v.out:
			token := v.client.Publish(m.topic, m.qos, m.retain, m.payload)
			select {
			case v.sent <- token:
			case <-v.conn.done:
				return
			}
			select {
			case <-token.Done():
				if err := token.Error(); err != nil { // a later message must not overtake this one
					v.conn.Fail(fmt.Errorf("mqtt: publish: %w", err))
				}
			default:
			}
		case <-v.conn.done:
			return
		}
	}
}
