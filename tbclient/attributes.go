package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An answer is what the platform says about attributes.
type answer struct {
	value  json.RawMessage // of the only key
	values json.RawMessage // an object
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
	c.rates.messages.charge(1)
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
	case a.values != nil:
		return parsePoints(a.values)
	case a.value == nil, q.Keys[0] == connector.AllAttributes:
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
	if err := ln.send(ctx, TopicAttributesRequest, appendQuery(nil, id, q), nil); err != nil {
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

func appendQuery(b []byte, id int64, q connector.AttributeQuery) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, id, 10)
	b = telemetry.AppendString(append(b, `,"device":`...), q.Device)
	b = append(b, `,"client":`...)
	b = strconv.AppendBool(b, !q.Shared)
	if len(q.Keys) == 1 && q.Keys[0] != connector.AllAttributes {
		b = telemetry.AppendString(append(b, `,"key":`...), q.Keys[0])
		return append(b, '}')
	}
	b = append(b, `,"keys":[`...)
	for i, key := range q.Keys {
		if key == connector.AllAttributes {
			continue // an empty list means all
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = telemetry.AppendString(b, key)
	}
	return append(b, "]}"...)
}

// answered takes an answer to ask. One that nobody waits for any more is
// dropped.
func (c *Client) answered(payload []byte) {
	var m struct {
		ID     *int64          `json:"id"`
		Value  json.RawMessage `json:"value"`
		Values json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(payload, &m); err != nil || m.ID == nil {
		c.malformed(TopicAttributesResponse, err)
		return
	}
	c.mu.Lock()
	ch := c.queries[*m.ID]
	delete(c.queries, *m.ID)
	c.mu.Unlock()
	if ch != nil {
		ch <- answer{value: m.Value, values: m.Values}
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
