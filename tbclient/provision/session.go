package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/tbclient"
)

const (
	user          = "provision"
	requestTopic  = "/provision/request"
	responseTopic = "/provision/response"
)

// Do asks the platform once, and waits for its answer. A refusal by the
// platform is [ErrRejected]; after any other error it is not known whether the
// platform has created the device. Nothing is written to files: see
// [LoadOrRequest], which most gateways want.
func Do(ctx context.Context, r Request) (Credentials, error) {
	r, err := r.chosen()
	if err != nil {
		return Credentials{}, err
	}
	return r.do(ctx)
}

func (r *Request) do(ctx context.Context) (Credentials, error) {
	msg, err := r.exchange(ctx)
	if err != nil {
		return Credentials{}, err
	}
	c, err := parse(msg)
	if err != nil {
		return Credentials{}, err
	}
	c.CACert = r.CACert
	if c.Type != X509 {
		return c, nil
	}
	if r.Type != X509 {
		return Credentials{}, fmt.Errorf("%w: it answers with a certificate, whose key is not known here", ErrRejected)
	}
	c.Certificate, c.Key = r.Certificate, r.PrivateKey
	return c, nil
}

// exchange sends the request and returns the platform's answer.
func (r *Request) exchange(ctx context.Context) ([]byte, error) {
	msg, err := r.message()
	if err != nil {
		return nil, fmt.Errorf("provision: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout, fmt.Errorf("no answer within %v", r.Timeout))
	defer cancel()
	answers := make(chan []byte, 1)
	conn, err := mqttx.Dial(ctx, mqttx.Options{
		Broker: r.Broker, TLS: r.TLS, Proxy: r.Proxy, Username: user, ConnectTimeout: r.Timeout,
		Receive: func(m mqttx.Message) {
			m.Ack()
			select {
			case answers <- m.Payload:
			default: // one is enough
			}
		},
	})
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	defer conn.Close()
	if err := conn.Subscribe(ctx, mqttx.Subscription{Filter: responseTopic, QoS: 1}); err != nil {
		return nil, r.failed(ctx, err)
	}
	conn.Publish(requestTopic, 1, false, msg)
	select {
	case a := <-answers:
		return a, nil
	case <-ctx.Done():
		return nil, r.failed(ctx, ctx.Err())
	case <-conn.Done():
	}
	select {
	case a := <-answers:
		return a, nil
	default:
		return nil, r.failed(ctx, conn.Err())
	}
}

// failed says why there is no answer.
func (r *Request) failed(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("provision: %w", err)
}

// errRefused says that the platform does not know credentials.
var errRefused = errors.New("the platform refuses the credentials")

// try connects with credentials, to find out whether the platform knows them.
func (r *Request) try(ctx context.Context, c Credentials) error {
	cfg := tbclient.Config{TLS: r.TLS}
	if err := c.Apply(&cfg); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout, fmt.Errorf("no answer within %v", r.Timeout))
	defer cancel()
	o := mqttx.Options{
		Broker: r.Broker, TLS: cfg.TLS, Proxy: r.Proxy, ConnectTimeout: r.Timeout,
		ClientID: cfg.ClientID, Username: cfg.Username, Password: cfg.Password,
	}
	if cfg.AccessToken != "" {
		o.Username = cfg.AccessToken
	}
	conn, err := mqttx.Dial(ctx, o)
	if mqttx.IsRefused(err) {
		return errRefused
	}
	if err != nil {
		return r.failed(ctx, err)
	}
	conn.Close()
	return nil
}
