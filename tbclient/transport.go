package tbclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

// ErrCredentials says that the platform refused the credentials. A Transport
// wraps it, so that the log can tell this from a platform that is out of reach.
var ErrCredentials = errors.New("tbclient: the platform refuses the credentials")

// A Transport opens MQTT sessions with the platform. It does not reconnect:
// the Client does.
type Transport interface {
	// Connect opens a session. From then on receive is called for each message,
	// one at a time and in order. It does not block, and may keep payload.
	Connect(ctx context.Context, receive func(topic string, payload []byte)) (Session, error)
}

// A Session is an MQTT session that lives once. Its methods may be called
// concurrently.
type Session interface {
	// Subscribe subscribes to filters with QoS 1 and waits for the answer. An
	// error names those that were refused; if the session has not ended, the
	// others are subscribed.
	Subscribe(ctx context.Context, filters ...string) error

	// Publish sends payload with QoS 1, after what was published before. It
	// keeps payload until the publication is complete. It may block while the
	// session is being written to, and not after it has ended.
	Publish(topic string, payload []byte) Publication

	// Done returns a channel that is closed when the session has ended, and
	// Err then returns the reason.
	Done() <-chan struct{}
	Err() error

	// Fail ends the session at once for the reason err.
	Fail(err error)

	// Close ends the session if it has not ended, and releases what it holds.
	Close()
}

// A Publication is a message under way.
type Publication interface {
	// Wait returns nil once the platform has acknowledged the message. It
	// returns an error when the session has ended.
	gateway.Delivery

	// Done returns a channel that is closed when the message is acknowledged.
	// It may stay open when the session ends.
	Done() <-chan struct{}
}

// mqttTransport is the Transport of Dial.
type mqttTransport struct {
	cfg Config
	tls func() (*tls.Config, error) // nil: cfg.TLS
}

func newMQTTTransport(cfg Config) mqttTransport {
	cfg.setDefaults()
	t := mqttTransport{cfg: cfg}
	if cfg.TLSFiles != nil {
		t.tls = cfg.TLSFiles.files().Source(func(err error) {
			if err != nil {
				cfg.Logger.Error("changed certificate files are broken, going on with what they were", "error", err)
				return
			}
			cfg.Logger.Info("certificate files are good again")
		})
	}
	return t
}

// options returns what the next connection is made with.
func (t mqttTransport) options(ctx context.Context) (mqttx.Options, error) {
	cfg := t.cfg
	if t.tls != nil {
		var err error
		if cfg.TLS, err = t.tls(); err != nil {
			return mqttx.Options{}, err
		}
	}
	if cfg.Credentials != nil {
		if err := cfg.Credentials(ctx, &cfg); err != nil {
			return mqttx.Options{}, err
		}
	}
	o := mqttx.Options{
		Broker:         cfg.Broker,
		Version:        byte(cfg.Version),
		ClientID:       cfg.ClientID,
		Username:       cfg.Username,
		Password:       cfg.Password,
		KeepAlive:      cfg.KeepAlive,
		ConnectTimeout: cfg.ConnectTimeout,
		WriteTimeout:   cfg.WriteTimeout,
		TLS:            cfg.TLS,
		Proxy:          cfg.Proxy,
	}
	if cfg.AccessToken != "" {
		o.Username, o.Password = cfg.AccessToken, ""
	}
	return o, nil
}

func (t mqttTransport) Connect(ctx context.Context, receive func(topic string, payload []byte)) (Session, error) {
	o, err := t.options(ctx)
	if err != nil {
		return nil, err
	}
	o.Receive = func(m mqttx.Message) {
		receive(m.Topic, m.Payload)
		m.Ack()
	}
	conn, err := mqttx.Dial(ctx, o)
	if mqttx.IsRefused(err) {
		return nil, fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	if err != nil {
		return nil, err
	}
	return mqttSession{conn}, nil
}

type mqttSession struct{ *mqttx.Conn }

var _ Limited = mqttSession{}

func (s mqttSession) Subscribe(ctx context.Context, filters ...string) error {
	subs := make([]mqttx.Subscription, len(filters))
	for i, f := range filters {
		subs[i] = mqttx.Subscription{Filter: f, QoS: 1}
	}
	return s.Conn.Subscribe(ctx, subs...)
}

func (s mqttSession) Publish(topic string, payload []byte) Publication {
	return mqttPublication{s.Conn.Publish(topic, 1, false, payload)}
}

func (s mqttSession) Err() error { return platformError(s.Conn.Err()) }

// publishOverhead is more than an MQTT packet adds to the payloads of the API.
const publishOverhead = 128

// Limits implements Limited.
func (s mqttSession) Limits() (maxPayload, maxInflight int) {
	lim := s.Server()
	if lim.MaximumPacketSize > 0 {
		maxPayload = max(1, lim.MaximumPacketSize-publishOverhead)
	}
	return maxPayload, lim.ReceiveMaximum
}

type mqttPublication struct{ mqttx.Publication }

// Wait implements gateway.Delivery.
func (p mqttPublication) Wait(ctx context.Context) error {
	return platformError(p.Publication.Wait(ctx))
}

// platformError puts an error of mqttx in the terms of this package.
func platformError(err error) error {
	var r *mqttx.ReasonError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return &ReasonError{Code: r.Code, Text: r.Error()}
	case mqttx.IsRemoteClose(err):
		return fmt.Errorf("%w: %w", ErrClosedByPlatform, err)
	default:
		return err
	}
}
