package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// requestTimeout bounds what a device's request may take.
const requestTimeout = 30 * time.Second

// A deviceRequest is a compiled DeviceRequest.
type deviceRequest struct{ device deviceExpr }

// compileDeviceRequest compiles r. As in the reference gateway, an expression on
// the topic of a request stands for its whole match.
func compileDeviceRequest(r DeviceRequest, p problems) deviceRequest {
	return deviceRequest{device: p.at("deviceInfo").device(r.Device, true)}
}

// An attributeRequest is a compiled AttributeRequest.
type attributeRequest struct {
	device   deviceExpr
	names    *nameExpr
	shared   bool
	topic    *expr.Template
	value    *expr.Template
	retain   bool
	replyQoS byte
}

func compileAttributeRequest(r AttributeRequest, p problems) attributeRequest {
	if r.Names.Text == "" {
		p.add("attributeNameExpression", errors.New("is missing"))
	}
	if r.Value == "" {
		p.add("valueExpression", errors.New("is missing"))
	}
	return attributeRequest{
		device:   p.at("deviceInfo").device(r.Device, true),
		names:    p.name("attributeNameExpression", r.Names, false),
		shared:   !r.Client,
		topic:    p.topic("topicExpression", r.Topic),
		value:    expr.Compile(r.Value),
		retain:   r.Retain,
		replyQoS: min(r.ReplyQoS, 1),
	}
}

// request carries out what a device asks for with m, without waiting for it.
func (r *run) request(t target, m Message) {
	if err := r.startRequest(t, m); err != nil {
		r.requestFailed(m.Topic, err)
	}
}

func (r *run) requestFailed(topic string, err error) {
	n := r.c.stats.requests.Add(1)
	level := slog.LevelDebug
	if r.warned.CompareAndSwap(false, true) {
		level = slog.LevelWarn
	}
	r.host.Logger().Log(r.ctx, level, "a device's request cannot be carried out",
		slog.String("topic", topic), slog.Uint64("failures", n), slog.Any("error", err))
}

func (r *run) startRequest(t target, m Message) error {
	var doc document
	parseErr := doc.parse(m.Payload) // what comes from the topic needs no payload
	var device deviceExpr
	switch t.kind {
	case toConnect:
		device = r.c.plan.connects[t.index].device
	case toDisconnect:
		device = r.c.plan.leaves[t.index].device
	default:
		device = r.c.plan.attributes[t.index].device
	}
	name, profile, err := device.resolve(&doc, doc.root, m.Topic)
	if err != nil {
		return errors.Join(err, parseErr)
	}
	var job func(ctx context.Context) error
	switch t.kind {
	case toConnect:
		job = func(ctx context.Context) error {
			return r.host.DeviceOnline(ctx, telemetry.Device{Name: name, Profile: profile})
		}
	case toDisconnect:
		job = func(ctx context.Context) error { return r.host.DeviceOffline(ctx, name) }
	default:
		req := &r.c.plan.attributes[t.index]
		names := req.attributeNames(&doc, m.Topic)
		if len(names) == 0 {
			return errors.Join(req.names.missing("attribute names"), parseErr)
		}
		shared := req.wantsShared(doc.root)
		job = func(ctx context.Context) error { return r.answer(ctx, req, name, names, shared) }
	}
	return r.jobs.do(name, func() {
		ctx, cancel := context.WithTimeout(r.ctx, requestTimeout)
		defer cancel()
		if err := job(ctx); err != nil && r.ctx.Err() == nil {
			r.requestFailed(m.Topic, err)
		}
	})
}

// wantsShared reports whether shared attributes are asked for: the message's own
// "scope" goes before the configured one.
func (q *attributeRequest) wantsShared(root *fastjson.Value) bool {
	if root == nil {
		return q.shared
	}
	switch string(root.GetStringBytes("scope")) {
	case "shared":
		return true
	case "client":
		return false
	default:
		return q.shared
	}
}

// attributeNames returns the names of the attributes that a message asks for.
func (q *attributeRequest) attributeNames(doc *document, topic string) []string {
	if q.names.topic != nil || q.names.constant {
		if name, ok := q.names.resolve(doc, doc.root, topic); ok && name != "" {
			return []string{name}
		}
		return nil
	}
	var names []string
	for _, path := range q.names.template.Paths() {
		v := path.First(doc.root)
		if v == nil {
			continue
		}
		if v.Type() != fastjson.TypeArray {
			names = appendName(names, v)
			continue
		}
		for _, item := range v.GetArray() {
			names = appendName(names, item)
		}
	}
	return names
}

func appendName(names []string, v *fastjson.Value) []string {
	if v.Type() == fastjson.TypeNull {
		return names
	}
	name := string(expr.AppendText(nil, v))
	if name == "" || slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// answer asks the platform for attributes and publishes them to the device.
func (r *run) answer(ctx context.Context, q *attributeRequest, device string, names []string, shared bool) error {
	points, err := r.host.Attributes(ctx, connector.AttributeQuery{Device: device, Shared: shared, Keys: names})
	if err != nil {
		return fmt.Errorf("attributes of device %q: %w", device, err)
	}
	topic, err := q.topic.Expand(func(name string, _ bool) (string, error) {
		switch name {
		case "deviceName":
			return device, nil
		case "attributeKey":
			return strings.Join(names, ","), nil
		default:
			return "", fmt.Errorf("placeholder ${%s} is not known", name)
		}
	})
	if err != nil {
		return err
	}
	payload, err := q.payload(device, names, points)
	if err != nil {
		return err
	}
	return r.publish(ctx, topic, q.replyQoS, q.retain, payload)
}

func (q *attributeRequest) payload(device string, names []string, points []telemetry.Point) ([]byte, error) {
	if len(names) > 1 {
		return attributeObject(names, points), nil
	}
	value := pointValue(points, names[0])
	text, err := q.value.Expand(func(name string, inQuotes bool) (string, error) {
		switch name {
		case "deviceName":
			return embed(device, inQuotes), nil
		case "attributeKey":
			return embed(names[0], inQuotes), nil
		case "attributeValue":
			if inQuotes && value.Kind() != telemetry.KindNone {
				return embed(value.String(), true), nil
			}
			return string(value.AppendJSON(nil)), nil
		default:
			return "", fmt.Errorf("placeholder ${%s} is not known", name)
		}
	})
	return []byte(text), err
}

func attributeObject(names []string, points []telemetry.Point) []byte {
	doc := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(telemetry.AppendString(doc, name), ':')
		doc = pointValue(points, name).AppendJSON(doc)
	}
	return append(doc, '}')
}

func pointValue(points []telemetry.Point, key string) telemetry.Value {
	for _, p := range points {
		if p.Key == key {
			return p.Value
		}
	}
	return telemetry.Value{}
}

// embed returns text as it is, or, to stand between double quotes, escaped as
// JSON.
func embed(text string, inQuotes bool) string {
	if !inQuotes {
		return text
	}
	quoted := telemetry.AppendString(nil, text)
	return string(quoted[1 : len(quoted)-1])
}

// compact returns a JSON document without blanks; null stands for none.
func compact(doc json.RawMessage) (json.RawMessage, error) {
	if len(doc) == 0 {
		return json.RawMessage("null"), nil
	}
	var b bytes.Buffer
	err := json.Compact(&b, doc)
	return b.Bytes(), err
}
