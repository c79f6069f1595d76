package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An answer is what the platform says about attributes.
type answer struct {
	points []telemetry.Point
	value  json.RawMessage // of the only key that was found, without saying which
	err    error
}

// Attributes implements gateway.Platform. Attributes that do not exist are left
// out, and so the result may be empty. It waits for a connection, and then for
// Config.Timeout at most.
func (c *Client) Attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	if q.Device == "" || len(q.Keys) == 0 {
		return nil, connector.Invalid(errors.New("tbclient: attribute query without a device or without keys"))
	}
	device := q.Device
	q.Device = c.names.platform(device)
	c.rates.messages.charge()
	points, err := c.attributes(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("tbclient: attributes of %q: %w", device, err)
	}
	return points, nil
}

func (c *Client) attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	a, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	switch {
	case a.value == nil:
		return a.points, a.err
	case q.Keys[0] == connector.AllAttributes:
		return nil, nil
	case len(q.Keys) == 1:
		v := parseValue(a.value)
		if !v.Valid() {
			return nil, nil
		}
		return []telemetry.Point{{Key: q.Keys[0], Value: v}}, nil
	}
	// Of several keys one was found, and older servers do not say which.
	var all []telemetry.Point
	for _, key := range q.Keys {
		q.Keys = []string{key}
		points, err := c.attributes(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, points...)
	}
	return all, nil
}

// ask sends one request and waits for its answer.
func (c *Client) ask(ctx context.Context, q connector.AttributeQuery) (answer, error) {
	ln, err := c.await(ctx, false)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errors.New("the platform does not answer"))
	defer cancel()
	id := c.nextID()
	ch := make(chan answer, 1)
	c.mu.Lock()
	c.queries[id] = ch
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.queries, id)
		c.mu.Unlock()
	}()
	if err := ln.send(ctx, TopicAttributesRequest, c.codec.query(id, q), nil); err != nil {
		return answer{}, err
	}
	select {
	case a := <-ch:
		return a, nil
	case <-ln.sess.Done():
		return answer{}, errLinkEnded
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// answered takes an answer to ask. One that nobody waits for any more is
// dropped.
func (c *Client) answered(payload []byte) {
	id, a, err := c.codec.parseAnswer(payload)
	if err != nil {
		c.malformed(TopicAttributesResponse, err)
		return
	}
	c.mu.Lock()
	ch := c.queries[id]
	delete(c.queries, id)
	c.mu.Unlock()
	if ch != nil {
		ch <- a
	}
}

// nextID returns a number for a request of any kind.
func (c *Client) nextID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return c.lastID
}

// setOwnRequest has done called, once, with the answer that comes on topic to a
// request of the gateway's own device.
func (c *Client) setOwnRequest(topic string, done func(payload []byte)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[topic] = done
}

// ownAnswered takes the answer to a request of the gateway's own device.
func (c *Client) ownAnswered(topic string, payload []byte) {
	c.mu.Lock()
	done := c.requests[topic]
	delete(c.requests, topic)
	c.mu.Unlock()
	if done != nil {
		done(payload)
	}
}
