package tbclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// PublishOwn publishes telemetry and client-side attributes of the gateway's
// own device, and returns when the platform has accepted them. It waits for a
// connection. A point whose TS is zero is stamped now.
//
// Nothing of it is kept: after an error the caller publishes again, or not.
func (c *Client) PublishOwn(ctx context.Context, points, attributes []telemetry.Point) error {
	ln, err := c.await(ctx, false)
	if err != nil {
		return err
	}
	if err := c.publishOwn(ctx, ln, points, attributes); err != nil {
		return fmt.Errorf("tbclient: publish of the gateway's own data: %w", err)
	}
	return nil
}

func (c *Client) publishOwn(ctx context.Context, ln *link, points, attributes []telemetry.Point) error {
	if payload, n := ownTelemetry(points); n > 0 {
		if err := c.own.telemetry.acquire(ctx, ln.sess, 1); err != nil {
			return err
		}
		if err := c.own.points.acquire(ctx, ln.sess, n); err != nil {
			return err
		}
		if err := ln.sendAndWait(ctx, TopicOwnTelemetry, payload); err != nil {
			return err
		}
	}
	payload := ownAttributes(attributes)
	if payload == nil {
		return nil
	}
	if err := c.own.messages.acquire(ctx, ln.sess, 1); err != nil {
		return err
	}
	return ln.sendAndWait(ctx, TopicOwnAttributes, payload)
}

// ownTelemetry encodes points, each as an element, and returns how many could
// be.
func ownTelemetry(points []telemetry.Point) (b []byte, n int) {
	now := time.Now().UnixMilli()
	for _, p := range points {
		if !p.Value.Valid() {
			continue
		}
		if p.TS == 0 {
			p.TS = now
		}
		if n++; n == 1 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"ts":`...), p.TS, 10)
		b = telemetry.AppendString(append(b, `,"values":{`...), p.Key)
		b = p.Value.AppendJSON(append(b, ':'))
		b = append(b, "}}"...)
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b, n
}

// ownAttributes encodes attributes, or returns nil if there are none.
func ownAttributes(points []telemetry.Point) (b []byte) {
	for _, p := range points {
		if !p.Value.Valid() {
			continue
		}
		if b == nil {
			b = append(b, '{')
		} else {
			b = append(b, ',')
		}
		b = telemetry.AppendString(b, p.Key)
		b = p.Value.AppendJSON(append(b, ':'))
	}
	if b != nil {
		b = append(b, '}')
	}
	return b
}

// OwnAttributes asks for attributes of the gateway's own device: the named
// client-side and shared ones, or all if no key is given. Attributes that do
// not exist are left out. It waits for a connection, and then for
// Config.Timeout at most.
func (c *Client) OwnAttributes(ctx context.Context, client, shared []string) (clientSide, sharedOnes []telemetry.Point, err error) {
	payload, err := c.askOwn(ctx, ownQuery(client, shared))
	if err == nil {
		clientSide, sharedOnes, err = parseOwnAttributes(payload)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("tbclient: the gateway's own attributes: %w", err)
	}
	return clientSide, sharedOnes, nil
}

func ownQuery(client, shared []string) []byte {
	var q struct {
		Client string `json:"clientKeys,omitempty"`
		Shared string `json:"sharedKeys,omitempty"`
	}
	q.Client, q.Shared = strings.Join(client, ","), strings.Join(shared, ",")
	b, _ := json.Marshal(q) // two strings
	return b
}

func parseOwnAttributes(payload []byte) (client, shared []telemetry.Point, err error) {
	var m struct {
		Client json.RawMessage `json:"client"`
		Shared json.RawMessage `json:"shared"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, nil, err
	}
	if m.Client != nil {
		if client, err = parsePoints(m.Client); err != nil {
			return nil, nil, err
		}
	}
	if m.Shared != nil {
		shared, err = parsePoints(m.Shared)
	}
	return client, shared, err
}

// askOwn sends a request for the gateway's own attributes and waits for the
// answer.
func (c *Client) askOwn(ctx context.Context, query []byte) ([]byte, error) {
	ln, err := c.await(ctx, false)
	if err != nil {
		return nil, err
	}
	if err := c.own.messages.acquire(ctx, ln.sess, 1); err != nil {
		return nil, err
	}
	number := strconv.FormatInt(c.nextID(), 10)
	return c.exchange(ctx, ln, TopicOwnAttributesRequest+number, query, TopicOwnAttributesResponse+number)
}

// exchange sends a request of the gateway's own device on ln and waits for the
// answer on a topic, for Config.Timeout at most.
func (c *Client) exchange(ctx context.Context, ln *link, topic string, payload []byte, answerTopic string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errors.New("the platform does not answer"))
	defer cancel()
	ch := make(chan []byte, 1)
	c.setOwnRequest(answerTopic, func(payload []byte) { ch <- payload })
	defer c.setOwnRequest(answerTopic, nil)
	if err := ln.send(ctx, topic, payload, nil); err != nil {
		return nil, err
	}
	select {
	case answer := <-ch:
		return answer, nil
	case <-ln.sess.Done():
		return nil, errLinkEnded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// A watcher wants to know of changes of the own device's shared attributes.
type watcher struct {
	f func(points []telemetry.Point, deleted []string)
}

// WatchOwnAttributes has f called with the changes of the gateway's own shared
// attributes, and with all of them after each connection, since changes may
// have been missed before. Calls come one at a time and in order until cancel
// is called; f may use the client. A call that is under way when cancel is
// called goes on.
func (c *Client) WatchOwnAttributes(f func(points []telemetry.Point, deleted []string)) (cancel func()) {
	w := &watcher{f}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[w] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
	}
}

// watching returns who watches the own attributes.
func (c *Client) watching() []*watcher {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*watcher, 0, len(c.watchers))
	for w := range c.watchers {
		all = append(all, w)
	}
	return all
}

// ownUpdate takes a change of the own device's shared attributes.
func (dl *downlink) ownUpdate(payload []byte) {
	points, deleted, err := parseUpdate(payload)
	if err != nil {
		dl.c.malformed(TopicOwnAttributes, err)
		return
	}
	dl.tellWatchers(points, deleted)
}

// tellWatchers has the watchers told in their turn.
func (dl *downlink) tellWatchers(points []telemetry.Point, deleted []string) {
	c := dl.c
	err := dl.run(&dl.own, "attributes", func() {
		for _, w := range c.watching() {
			w.f(slices.Clone(points), slices.Clone(deleted))
		}
	})
	if err != nil {
		c.busy("", err)
	}
}

// refresh asks for all shared attributes of the own device on a new connection,
// if anybody watches them.
func (c *Client) refresh(ctx context.Context, ln *link, dl *downlink) {
	if len(c.watching()) == 0 {
		return
	}
	number := strconv.FormatInt(c.nextID(), 10)
	c.setOwnRequest(TopicOwnAttributesResponse+number, func(payload []byte) {
		_, shared, err := parseOwnAttributes(payload)
		if err != nil {
			c.malformed(TopicOwnAttributesResponse, err)
			return
		}
		dl.tellWatchers(shared, nil)
	})
	c.own.messages.charge()
	if err := ln.send(ctx, TopicOwnAttributesRequest+number, []byte("{}"), nil); err != nil && ctx.Err() == nil {
		c.log.Debug("the gateway's own attributes could not be asked for", "error", err)
	}
}

// FirmwareChunk asks for a part of a firmware (kind "fw") or software ("sw")
// that the platform has for the gateway's own device: the chunk of the given
// number, from 0, of parts of size bytes. The last one is shorter; a chunk past
// the end is empty. Request is any number that tells one download from another.
// It waits for a connection, and then for Config.Timeout at most.
func (c *Client) FirmwareChunk(ctx context.Context, kind string, request int64, chunk, size int) ([]byte, error) {
	if kind != "fw" && kind != "sw" || request < 0 || chunk < 0 || size < 1 {
		return nil, fmt.Errorf("tbclient: firmware chunk: kind %q, request %d, chunk %d, size %d make no sense", kind, request, chunk, size)
	}
	data, err := c.firmwareChunk(ctx, kind, request, chunk, size)
	if err != nil {
		return nil, fmt.Errorf("tbclient: firmware chunk %d: %w", chunk, err)
	}
	return data, nil
}

func (c *Client) firmwareChunk(ctx context.Context, kind string, request int64, chunk, size int) ([]byte, error) {
	ln, err := c.await(ctx, false)
	if err != nil {
		return nil, err
	}
	if err := ln.subscribeFirmware(ctx, kind); err != nil {
		return nil, err
	}
	if err := c.own.messages.acquire(ctx, ln.sess, 1); err != nil {
		return nil, err
	}
	place := fmt.Sprintf("%d/chunk/%d", request, chunk)
	return c.exchange(ctx, ln, "v2/"+kind+"/request/"+place, strconv.AppendInt(nil, int64(size), 10), "v2/"+kind+"/response/"+place)
}

// subscribeFirmware subscribes to chunks, once on a connection.
func (ln *link) subscribeFirmware(ctx context.Context, kind string) error {
	ln.firmware.Lock()
	defer ln.firmware.Unlock()
	if slices.Contains(ln.kinds, kind) {
		return nil
	}
	if err := ln.sess.Subscribe(ctx, "v2/"+kind+"/response/+/chunk/+", "v2/"+kind+"/error"); err != nil {
		return err
	}
	ln.kinds = append(ln.kinds, kind)
	return nil
}

// Claim lets a user claim a device with a secret within the given time, as the
// platform's claiming of devices asks for. Without a device it is about the
// gateway's own. It waits for a connection and for the platform's
// acknowledgement.
func (c *Client) Claim(ctx context.Context, device, secret string, within time.Duration) error {
	if within <= 0 {
		return connector.Invalid(errors.New("tbclient: claim: the time within which it is possible is not positive"))
	}
	if device != "" && c.cfg.Protobuf {
		return connector.Invalid(errors.New("tbclient: claim: devices cannot be claimed over protobuf"))
	}
	b := telemetry.AppendString([]byte(`{"secretKey":`), secret)
	b = strconv.AppendInt(append(b, `,"durationMs":`...), within.Milliseconds(), 10)
	b = append(b, '}')
	topic, rates := TopicOwnClaim, &c.own
	if device != "" {
		topic, rates = TopicClaim, &c.rates
		named := telemetry.AppendString([]byte{'{'}, c.names.platform(device))
		b = append(append(append(named, ':'), b...), '}')
	}
	ln, err := c.await(ctx, false)
	if err != nil {
		return err
	}
	if err := rates.messages.acquire(ctx, ln.sess, 1); err != nil {
		return err
	}
	if err := ln.sendAndWait(ctx, topic, b); err != nil {
		return fmt.Errorf("tbclient: claim of %q: %w", device, err)
	}
	return nil
}
