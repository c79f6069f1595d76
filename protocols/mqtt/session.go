package mqtt

import (
	"context"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

// A Subscription is a topic filter and the highest QoS wanted for it.
type Subscription struct {
	Filter string
	QoS    byte
}

// A Session is an established connection to a broker. Its methods may be called
// concurrently.
type Session interface {
	// Subscribe waits for the broker's answer. An error that leaves the session
	// up names the filters that were refused.
	Subscribe(ctx context.Context, subs ...Subscription) error
	Unsubscribe(ctx context.Context, filters ...string) error

	// Publish waits until the message is written, and with QoS 1 until the
	// broker has it. It does not retain payload after that.
	Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error

	// Done is closed when the connection has ended, for the reason that Err then
	// returns.
	Done() <-chan struct{}
	Err() error

	// Close ends the connection, and returns when receive is not called any more.
	Close()
}

// A Dialer connects to the broker of a configuration. It calls receive for each
// message, one at a time and in the order in which the broker sent them.
type Dialer func(ctx context.Context, cfg Config, receive func(Message)) (Session, error)

// dial is the Dialer of connectors made by New.
func dial(ctx context.Context, cfg Config, receive func(Message)) (Session, error) {
	conn, err := mqttx.Dial(ctx, mqttx.Options{
		Broker:         cfg.Broker,
		ClientID:       cfg.ClientID,
		Username:       cfg.Username,
		Password:       cfg.Password,
		Version:        cfg.Version,
		KeepSession:    cfg.KeepSession,
		SessionExpiry:  cfg.SessionExpiry,
		KeepAlive:      cfg.KeepAlive,
		ReceiveMaximum: cfg.Inflight,
		TLS:            cfg.TLS,
		TLSSource:      cfg.TLSSource,
		Proxy:          cfg.Proxy,
		Receive: func(m mqttx.Message) {
			msg := Message{Topic: m.Topic, Payload: m.Payload, Retained: m.Retained}
			if m.QoS > 0 {
				msg.Ack = m.Ack
			}
			receive(msg)
		},
	})
	if err != nil {
		return nil, err
	}
	return connSession{conn}, nil
}

type connSession struct{ *mqttx.Conn }

var _ Session = connSession{}

// Subscribe implements Session.
func (s connSession) Subscribe(ctx context.Context, subs ...Subscription) error {
	list := make([]mqttx.Subscription, len(subs))
	for i, sub := range subs {
		list[i] = mqttx.Subscription(sub)
	}
	return s.Conn.Subscribe(ctx, list...)
}

// Publish implements Session.
func (s connSession) Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return s.Conn.Publish(topic, qos, retain, payload).Wait(ctx)
}
