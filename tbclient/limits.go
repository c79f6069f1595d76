package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// limitsGrace is how long a new connection waits for the answer to
// getSessionLimits. A plain MQTT broker never answers.
const limitsGrace = 2 * time.Second

// usable is the part of a limit, in percent, that the client uses, as the
// reference gateway does by default.
const usable = 80

// limits are what the platform allows a session.
type limits struct {
	MaxPayload  int `json:"maxPayloadSize"`
	MaxInflight int `json:"maxInflightMessages"`

	// Of the gateway's own device, and of all devices behind it together.
	Own     sessionRates `json:"rateLimits"`
	Gateway sessionRates `json:"gatewayRateLimits"`
}

type sessionRates struct {
	Messages   string `json:"messages"`
	Telemetry  string `json:"telemetryMessages"`
	DataPoints string `json:"telemetryDataPoints"`
}

func (r sessionRates) rates() Rates { return Rates{r.Messages, r.Telemetry, r.DataPoints} }

// A Limited session knows limits of its own, as those that an MQTT 5 server
// tells when it accepts a connection.
type Limited interface {
	Session

	// Limits returns the largest payload in bytes and the most publications
	// that may be under way. Zero means that the session does not know.
	Limits() (maxPayload, maxInflight int)
}

// within returns l as far as the session allows it.
func (l limits) within(s Session) limits {
	lim, ok := s.(Limited)
	if !ok {
		return l
	}
	payload, inflight := lim.Limits()
	l.MaxPayload, l.MaxInflight = lesser(l.MaxPayload, payload), lesser(l.MaxInflight, inflight)
	return l
}

// lesser returns the lesser of two limits, of which zero is none.
func lesser(a, b int) int {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

func parseLimits(payload []byte) (limits, error) {
	var l struct {
		limits
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(payload, &l); err != nil {
		return limits{}, fmt.Errorf("session limits: %w", err)
	}
	if len(l.Error) > 0 {
		return limits{}, fmt.Errorf("session limits: the platform answers %.200q", l.Error)
	}
	if l.MaxPayload < 0 || l.MaxInflight < 0 {
		return limits{}, errors.New("session limits: negative limit")
	}
	return l.limits, nil
}

// payload returns the largest payload to send, in bytes.
func (l limits) payload(configured int) int {
	if l.MaxPayload > 0 {
		configured = min(configured, l.MaxPayload)
	}
	return part(configured)
}

// windows returns how many publications of data, and how many of control
// messages, may be under way.
func (l limits) windows(configured int) (data, control int) {
	data, control = configured, controlWindow
	if l.MaxInflight > 0 {
		data = min(data, max(1, part(l.MaxInflight)))
		control = min(control, max(1, l.MaxInflight-data))
	}
	return data, control
}

// part returns the usable part of n.
func part(n int) int { return int(int64(n) * usable / 100) }

// negotiate asks for the session's limits. Without an answer within the grace
// time those of the last session apply; an answer that comes later still counts.
func (c *Client) negotiate(ctx context.Context, ln *link) error {
	id := c.nextID()
	answered := make(chan struct{})
	number := strconv.FormatInt(id, 10)
	c.setOwnRequest(TopicOwnRPCResponse+number, func(payload []byte) {
		defer close(answered)
		l, err := parseLimits(payload)
		if err != nil {
			c.log.Debug("no session limits", "error", err)
			return
		}
		c.setLimits(ln, l)
	})
	if err := ln.send(ctx, TopicOwnRPCRequest+number, []byte(`{"method":"getSessionLimits","params":{}}`), nil); err != nil {
		return err
	}
	grace := time.NewTimer(limitsGrace)
	defer grace.Stop()
	select {
	case <-answered:
	case <-grace.C:
	case <-ln.sess.Done():
		return ln.sess.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (c *Client) setLimits(ln *link, l limits) {
	c.mu.Lock()
	c.limits = l
	c.mu.Unlock()
	c.setRates(l)
	l = l.within(ln.sess)
	ln.maxPayload.Store(int64(l.payload(c.cfg.MaxPayload)))
	data, control := l.windows(c.cfg.Window)
	ln.data.limit(data)
	ln.control.limit(control)
}

// setRates combines the rates that the platform tells with the configured ones.
func (c *Client) setRates(l limits) {
	err := errors.Join(c.rates.set(c.cfg.Rates, l.Gateway.rates()), c.own.set(c.cfg.OwnRates, l.Own.rates()))
	if err != nil {
		c.log.Error("rate limit is ignored", "error", err)
	}
}
