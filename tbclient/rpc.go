package tbclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// ErrMethod says that a remote procedure call names a method that does not
// exist. A Config.GatewayRPC returns it, or an error that wraps it.
var ErrMethod = gateway.ErrMethod

// call takes a remote procedure call to a device.
func (dl *downlink) call(payload []byte) {
	c := dl.c
	deadline := time.Now().Add(c.cfg.RPCTimeout)
	m, err := c.codec.parseCall(payload)
	if err != nil {
		c.malformed(TopicRPC, err)
		if m.device != "" && m.numbered {
			dl.offer(c.callReply(m.device, m.id, telemetry.Value{}, errors.New("malformed call")), deadline)
		}
		return
	}
	c.count.calls.Add(1)
	r := connector.RPCRequest{Device: c.names.own(m.device), ID: m.id, Method: m.method, Params: m.params}
	err = dl.run(&dl.devices, r.Device, func() {
		v, err := dl.carryOut(deadline, r, dl.d.HandleRPC)
		dl.put(c.callReply(m.device, r.ID, v, err), deadline)
	})
	if err != nil {
		c.busy(r.Device, err)
		dl.offer(c.callReply(m.device, r.ID, telemetry.Value{}, err), deadline)
	}
}

type rpcFunc func(context.Context, connector.RPCRequest) (telemetry.Value, error)

// carryOut calls handle, unless the deadline has passed while r was waiting.
func (dl *downlink) carryOut(deadline time.Time, r connector.RPCRequest, handle rpcFunc) (telemetry.Value, error) {
	ctx, cancel := context.WithDeadline(dl.ctx, deadline)
	defer cancel()
	if dl.ctx.Err() != nil {
		return telemetry.Value{}, errStopped
	}
	if ctx.Err() != nil {
		return telemetry.Value{}, fmt.Errorf("timed out behind other commands for this device: %w", context.DeadlineExceeded)
	}
	return handle(ctx, r)
}

// ownCall takes a remote procedure call to the gateway's own device.
func (dl *downlink) ownCall(number string, payload []byte) {
	c := dl.c
	topic := TopicOwnRPCResponse + number
	var m struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	err := json.Unmarshal(payload, &m)
	deadline := time.Now().Add(c.cfg.RPCTimeout)
	id, numberErr := strconv.ParseInt(number, 10, 64)
	if err = errors.Join(err, numberErr); err == nil && m.Method == "" {
		err = errors.New("the call has no method")
	}
	if err != nil {
		c.malformed(TopicOwnRPCRequest, err)
		if numberErr == nil {
			dl.offer(reply{topic: topic, payload: ownResult(telemetry.Value{}, errors.New("malformed call"))}, deadline)
		}
		return
	}
	c.count.calls.Add(1)
	r := connector.RPCRequest{ID: id, Method: m.Method, Params: m.Params}
	err = dl.run(&dl.own, ownLane(r.Method), func() {
		if r.Method == "gateway_ping" {
			dl.put(reply{topic: topic, payload: []byte(`{"code":200,"resp":"pong"}`)}, deadline)
			return
		}
		v, err := dl.carryOut(deadline, r, dl.ownMethod)
		dl.put(reply{topic: topic, payload: ownResult(v, err)}, deadline)
	})
	if err != nil {
		c.busy("", err)
		dl.offer(reply{topic: topic, payload: ownResult(telemetry.Value{}, err)}, deadline)
	}
}

// ownLane returns the lane of a call to the gateway's own device: what its method
// begins with, which is usually "gateway" or a connector.
func ownLane(method string) string {
	prefix, _, _ := strings.Cut(method, "_")
	return "rpc " + prefix
}

// ownMethod carries out a call to the gateway's own device.
func (dl *downlink) ownMethod(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	switch r.Method {
	case "gateway_device_renamed":
		return telemetry.Value{}, dl.deviceRenamed(r.Params)
	case "gateway_device_deleted":
		return telemetry.Value{}, dl.deviceDeleted(ctx, r.Params)
	}
	if f := dl.c.cfg.GatewayRPC; f != nil {
		if v, err := f(ctx, r); !errors.Is(err, ErrMethod) {
			return v, err
		}
	}
	return dl.d.HandleRPC(ctx, r)
}

// callReply is the reply to a call to a device.
func (c *Client) callReply(device string, id int64, v telemetry.Value, err error) reply {
	payload := c.codec.reply(device, id, appendResult(nil, v, err, code(err)))
	return reply{topic: TopicRPC, payload: payload, device: device, id: id}
}

// code returns what the reference gateway calls an error, or 0.
func code(err error) int {
	switch {
	case errors.Is(err, gateway.ErrNoDevice), errors.Is(err, ErrMethod):
		return 404
	case errors.Is(err, context.DeadlineExceeded):
		return 408
	}
	return 0
}

// appendResult appends a result or an error, with a code unless that is 0.
func appendResult(b []byte, v telemetry.Value, err error, code int) []byte {
	switch {
	case err != nil:
		text := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			text = strings.TrimSuffix(text, ": "+context.DeadlineExceeded.Error())
		}
		if text == context.DeadlineExceeded.Error() {
			text = "the device did not answer in time"
		}
		b = append(b, `{"error":`...)
		b = telemetry.AppendString(b, strings.ToValidUTF8(text, "\uFFFD"))
		if code != 0 {
			b = strconv.AppendInt(append(b, `,"code":`...), int64(code), 10)
		}
		return append(b, '}')
	case v.Kind() == telemetry.KindNone:
		return append(b, `{"success":true}`...)
	default:
		return v.AppendJSON(b)
	}
}

// ownResult is the reply to a call to the gateway's own device. Errors always
// carry a code.
func ownResult(v telemetry.Value, err error) []byte {
	return appendResult(nil, v, err, cmp.Or(code(err), 500))
}
