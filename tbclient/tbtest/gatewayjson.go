package tbtest

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// jsonCodec is the gateway API in JSON.
type jsonCodec struct{ valueOfOne bool }

// object reads a document that has to be an object.
func (jsonCodec) object(payload []byte) (node, error) {
	n, err := parseJSON(payload)
	if err != nil {
		return node{}, err
	}
	if n.kind != objectNode {
		return node{}, fmt.Errorf("%w: the message is not an object", errRuntime)
	}
	return n, nil
}

// deviceOf returns the name in the member "device".
func deviceOf(n node) (string, error) {
	name, _ := n.member("device")
	if name.kind != stringNode && name.kind != numberNode || name.text == "" {
		return "", fmt.Errorf("%w: the message has no device", errRuntime)
	}
	return name.text, nil
}

func (c jsonCodec) connect(payload []byte) (name, kind string, err error) {
	n, err := c.object(payload)
	if err != nil {
		return "", "", err
	}
	if name, err = deviceOf(n); err != nil {
		return "", "", err
	}
	if k, _ := n.member("type"); k.text != "" {
		return name, k.text, nil
	}
	return name, "default", nil
}

func (c jsonCodec) disconnect(payload []byte) (string, error) {
	n, err := c.object(payload)
	if err != nil {
		return "", err
	}
	return deviceOf(n)
}

func (c jsonCodec) telemetry(payload []byte) ([]deviceData, error) {
	return c.data(payload, arrayNode, func(d *deviceData, n node) (err error) {
		d.elements, err = parseGatewayTelemetry(n)
		return err
	})
}

func (c jsonCodec) attributes(payload []byte) ([]deviceData, error) {
	return c.data(payload, objectNode, func(d *deviceData, n node) (err error) {
		d.values, err = parseAttributes(n)
		return err
	})
}

// data reads the members of a message that have the right form. Those that have
// not are skipped; a message without any makes the platform fail.
func (c jsonCodec) data(payload []byte, form nodeKind, read func(*deviceData, node) error) ([]deviceData, error) {
	n, err := c.object(payload)
	if err != nil {
		return nil, err
	}
	out := make([]deviceData, 0, len(n.members))
	for _, m := range n.members {
		if m.value.kind != form {
			continue
		}
		if m.name == "" {
			return nil, fmt.Errorf("%w: the name of a device is empty", errRuntime)
		}
		d := deviceData{device: m.name}
		if err := read(&d, m.value); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: the message is about no device", errRuntime)
	}
	return out, nil
}

func (c jsonCodec) attributeRequest(payload []byte) (q attributeRequest, err error) {
	n, err := c.object(payload)
	if err != nil {
		return q, err
	}
	if q.device, err = deviceOf(n); err != nil {
		return q, err
	}
	id, _ := n.member("id")
	if q.id, err = id.asLong(); err != nil {
		return q, fmt.Errorf("%w: attribute request without an id", errRuntime)
	}
	client, _ := n.member("client")
	q.client = client.truth
	if key, ok := n.member("key"); ok {
		q.keys = []string{key.text}
		return q, nil
	}
	list, ok := n.member("keys")
	if !ok || list.kind != arrayNode {
		return q, fmt.Errorf("%w: attribute request without keys", errRuntime)
	}
	for _, k := range list.items {
		q.keys = append(q.keys, k.text)
	}
	return q, nil
}

func (c jsonCodec) rpcReply(payload []byte) (r rpcReply, err error) {
	n, err := c.object(payload)
	if err != nil {
		return r, err
	}
	if r.device, err = deviceOf(n); err != nil {
		return r, err
	}
	id, _ := n.member("id")
	data, ok := n.member("data")
	if r.id, err = id.asLong(); err != nil || !ok {
		return r, fmt.Errorf("%w: reply without an id or data", errRuntime)
	}
	r.data = appendNode(nil, data)
	return r, nil
}

func (c jsonCodec) claims(payload []byte) ([]deviceClaim, error) {
	n, err := c.object(payload)
	if err != nil {
		return nil, err
	}
	var out []deviceClaim
	for _, m := range n.members {
		if m.value.kind == objectNode && m.name != "" {
			out = append(out, deviceClaim{m.name, claimOf(m.value)})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: the message is about no device", errRuntime)
	}
	return out, nil
}

func claimOf(n node) Claim {
	secret, _ := n.member("secretKey")
	duration, _ := n.member("durationMs")
	ms, err := duration.asLong()
	if err != nil {
		ms = 0
	}
	return Claim{SecretKey: secret.text, DurationMS: ms}
}

func (c jsonCodec) attributeResponse(q attributeRequest, found map[string]any, several bool) ([]byte, error) {
	b := []byte(`{"id":` + strconv.FormatInt(q.id, 10) + `,"device":`)
	b = appendString(b, q.device)
	if len(found) == 0 {
		return append(b, '}'), nil
	}
	if several && (!c.valueOfOne || len(found) > 1) {
		values, err := json.Marshal(found)
		if err != nil {
			return nil, err
		}
		return append(append(append(b, `,"values":`...), values...), '}'), nil
	}
	for _, v := range found {
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"value":`...), value...)
	}
	return append(b, '}'), nil
}

func (jsonCodec) attributeNotice(device string, set map[string]any, deleted []string) ([]byte, error) {
	data := set
	if set == nil {
		data = map[string]any{"deleted": deleted}
	}
	return json.Marshal(map[string]any{"device": device, "data": data})
}

func (jsonCodec) rpcRequest(device string, id int64, method string, params any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"device": device,
		"data":   map[string]any{"id": id, "method": method, "params": params},
	})
}

func (jsonCodec) disconnected(device string, reason byte) []byte {
	if reason == reasonQuota {
		reason = reasonRate // the notice is about the rate of messages
	}
	return append(strconv.AppendUint(append(appendString([]byte(`{"device":`), device), `,"reason":`...), uint64(reason), 10), '}')
}
