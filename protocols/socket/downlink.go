package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// asked answers a message that asks for attributes, beside the flow of data. It
// reports whether m is one.
func (r *run) asked(p *peer, d *device, m []byte) bool {
	for i := range d.requests {
		q := &d.requests[i]
		if !q.match.matches(m) {
			continue
		}
		names, _ := q.names.Bytes(m)
		query := connector.AttributeQuery{Device: d.Name, Shared: !q.client}
		for name := range strings.SplitSeq(string(names), ",") {
			if name = strings.TrimSpace(name); name != "" {
				query.Keys = append(query.Keys, name)
			}
		}
		err := errors.New("it names no attribute")
		if len(query.Keys) > 0 {
			err = r.lanes.Go(d.Name, func() { r.answer(p, d, query) })
		}
		if err != nil {
			r.log.Warn("a request for attributes is not answered", slog.String("device", d.Name), slog.Any("error", err))
		}
		return true
	}
	return false
}

// answer asks the platform, and writes the answer to the peer: the value of one
// attribute, or an object with those of several.
func (r *run) answer(p *peer, d *device, q connector.AttributeQuery) {
	points, err := r.host.Attributes(r.ctx, q)
	if err == nil {
		var b []byte
		if b, err = d.text.encode(attributesText(q.Keys, points)); err == nil {
			err = p.send(r.ctx, b)
		}
	}
	if err != nil && r.ctx.Err() == nil {
		r.log.Warn("a request for attributes is not answered", slog.String("device", d.Name), slog.Any("error", err))
	}
}

// attributesText returns the answer to a request for keys.
func attributesText(keys []string, points []telemetry.Point) string {
	if len(keys) == 1 {
		for _, p := range points {
			if p.Key == keys[0] {
				return p.Value.String()
			}
		}
		return "null"
	}
	doc := []byte("{")
	for i, p := range points {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(telemetry.AppendString(doc, p.Key), ':')
		doc = p.Value.AppendJSON(doc)
	}
	return string(append(doc, '}'))
}

// UpdateAttributes implements connector.AttributeUpdater. The values of attributes
// that are configured are written to the device.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	r := c.run.Load()
	if r == nil {
		return errNotRunning
	}
	var errs []error
	for _, d := range c.byName[u.Device] {
		for _, a := range u.Attributes {
			for _, key := range d.Updates {
				if key != a.Key {
					continue
				}
				b, err := d.text.encode(a.Value.String())
				if err == nil {
					err = r.tell(ctx, d, b)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("socket: attribute %q of device %q: %w", a.Key, u.Device, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// HandleRPC implements connector.RPCHandler. The method set needs no
// configuration if its parameters are as in
//
//	"address=192.168.1.7;port=50001;value=on;"
//
// or an object with the same keys; the value is written to that address.
func (c *Connector) HandleRPC(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	r := c.run.Load()
	if r == nil {
		return telemetry.Value{}, errNotRunning
	}
	devices := c.byName[req.Device]
	for _, d := range devices {
		for i := range d.calls {
			if d.calls[i].Method == req.Method {
				v, err := r.call(ctx, d, &d.calls[i], req.Params)
				if err != nil {
					return telemetry.Value{}, fmt.Errorf("socket: call %q of device %q: %w", req.Method, req.Device, err)
				}
				return v, nil
			}
		}
	}
	if req.Method == "set" && len(devices) > 0 {
		if err := r.set(ctx, devices[0], req.Params); err != nil {
			return telemetry.Value{}, fmt.Errorf("socket: call %q of device %q: %w", req.Method, req.Device, err)
		}
		return telemetry.JSON([]byte(`{"result":"ok"}`))
	}
	return telemetry.Value{}, fmt.Errorf("socket: no remote procedure call is configured for method %q of device %q", req.Method, req.Device)
}

func (r *run) call(ctx context.Context, d *device, call *call, params json.RawMessage) (telemetry.Value, error) {
	text, err := paramsText(params)
	if err != nil {
		return telemetry.Value{}, err
	}
	b, err := d.text.encode(text)
	if err != nil {
		return telemetry.Value{}, err
	}
	if !call.WithReply {
		return telemetry.Value{}, r.tell(ctx, d, b)
	}
	d.asking.Lock()
	defer d.asking.Unlock()
	var matches func([]byte) bool
	if call.match != nil {
		matches = call.match.matches
	}
	w := d.replies.Expect(matches)
	defer w.Cancel()
	if err := r.tell(ctx, d, b); err != nil {
		return telemetry.Value{}, err
	}
	timeout := call.ReplyTimeout
	if timeout <= 0 {
		timeout = DefaultReplyTimeout
	}
	m, err := w.Wait(ctx, timeout)
	if err != nil {
		return telemetry.Value{}, err
	}
	answer, err := d.text.decode(nil, m)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("the answer: %w", err)
	}
	return telemetry.String(string(answer)), nil
}

// set writes to the address that the parameters name.
func (r *run) set(ctx context.Context, d *device, params json.RawMessage) error {
	fields := make(map[string]string)
	var text string
	var object map[string]any
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber()
	if json.Unmarshal(params, &text) == nil {
		for field := range strings.SplitSeq(text, ";") {
			if key, value, ok := strings.Cut(field, "="); ok {
				fields[strings.TrimSpace(key)] = value
			}
		}
	} else if dec.Decode(&object) == nil {
		for key, value := range object {
			fields[key] = fmt.Sprint(value)
		}
	}
	for _, key := range []string{"address", "port", "value"} {
		if _, ok := fields[key]; !ok {
			return fmt.Errorf("not enough parameters: there is no %s; wanted are address=...;port=...;value=...;", key)
		}
	}
	b, err := d.text.encode(fields["value"])
	if err != nil {
		return err
	}
	addr := net.JoinHostPort(strings.TrimSpace(fields["address"]), strings.TrimSpace(fields["port"]))
	if p := r.peerAt(addr); p != nil {
		return p.send(ctx, b)
	}
	return r.tellAt(ctx, addr, b)
}

// peerAt returns the peer with an address.
func (r *run) peerAt(addr string) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.peers {
		if p.addr == addr && p.ready.Load() {
			return p
		}
	}
	return nil
}

// paramsText returns what is written for the parameters of a call.
func paramsText(params json.RawMessage) (string, error) {
	trimmed := bytes.TrimSpace(params)
	var text string
	switch {
	case len(trimmed) == 0 || string(trimmed) == "null":
		return "", nil
	case json.Unmarshal(trimmed, &text) == nil:
		return text, nil
	case !json.Valid(trimmed):
		return "", errors.New("the parameters are not JSON")
	}
	return string(trimmed), nil
}
