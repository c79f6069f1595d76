package serial

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// UpdateAttributes implements connector.AttributeUpdater. Each attribute that is
// configured is written to the device's line.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	l, err := c.line(u.Device)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range u.Attributes {
		for _, s := range l.cfg.Updates {
			if s.Key != a.Key {
				continue
			}
			l.writing.Lock()
			err := l.write(ctx, []byte(s.text(a.Value)))
			l.writing.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("serial: attribute %q of device %q: %w", a.Key, u.Device, err))
			}
		}
	}
	return errors.Join(errs...)
}

// text returns what is written for a value.
func (u AttributeUpdate) text(v telemetry.Value) string {
	text := v.String()
	return strings.NewReplacer("${attributeValue}", text, "${"+u.Key+"}", text, "${value}", text, "${attributeKey}", u.Key).Replace(u.Format)
}

// HandleRPC implements connector.RPCHandler. A call with a reply returns the next
// message of the device, which counts as data all the same.
func (c *Connector) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	l, err := c.line(r.Device)
	if err != nil {
		return telemetry.Value{}, err
	}
	for i := range l.cfg.RPCs {
		if call := &l.cfg.RPCs[i]; call.Method == r.Method {
			v, err := l.call(ctx, call, r.Params)
			if err != nil {
				return telemetry.Value{}, fmt.Errorf("serial: call %q of device %q: %w", r.Method, r.Device, err)
			}
			return v, nil
		}
	}
	return telemetry.Value{}, fmt.Errorf("serial: no remote procedure call is configured for method %q of device %q", r.Method, r.Device)
}

func (l *line) call(ctx context.Context, call *RPC, params json.RawMessage) (telemetry.Value, error) {
	b, err := encode(call.Params, params, l.cfg.LittleEndian)
	if err != nil {
		return telemetry.Value{}, err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if !call.WithReply {
		return telemetry.Value{}, l.write(ctx, b)
	}
	w := l.replies.Expect(nil)
	defer w.Cancel()
	if err := l.write(ctx, b); err != nil {
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
	return l.answers.value(call.Reply, call.ReplyType, m)
}

// encode returns the bytes of the parameters of a call.
func encode(t ValueType, params json.RawMessage, little bool) ([]byte, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber()
	if len(bytes.TrimSpace(params)) == 0 {
		v = ""
	} else if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("parameters are not JSON: %w", err)
	}
	text := string(bytes.TrimSpace(params))
	switch x := v.(type) {
	case string:
		text = x
	case nil:
		text = ""
	}
	switch t {
	case Int:
		return encodeInt(text, little)
	case Float:
		return encodeFloat(text, little)
	default:
		return []byte(text), nil
	}
}

// encodeInt returns as few bytes as the number takes, at least one; a negative one
// as two's complement.
func encodeInt(text string, little bool) ([]byte, error) {
	n, ok := new(big.Int).SetString(strings.TrimSpace(text), 10)
	if !ok || n.BitLen() > 64 {
		return nil, fmt.Errorf("%q is not a whole number of 64 bits", text)
	}
	size := max(1, (n.BitLen()+7)/8)
	if n.Sign() < 0 {
		size = 1
		for limit := new(big.Int); size < 9; size++ {
			if limit.Lsh(big.NewInt(-1), uint(8*size-1)).Cmp(n) <= 0 {
				break
			}
		}
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	b := n.FillBytes(make([]byte, size))
	return order(b, little), nil
}

// encodeFloat returns 4 bytes if they hold the number exactly, and else 8.
func encodeFloat(text string, little bool) ([]byte, error) {
	x, err := json.Number(strings.TrimSpace(text)).Float64()
	if err != nil {
		return nil, fmt.Errorf("%q is not a number", text)
	}
	if float64(float32(x)) == x {
		return order(binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(x))), little), nil
	}
	return order(binary.BigEndian.AppendUint64(nil, math.Float64bits(x)), little), nil
}

func order(b []byte, little bool) []byte {
	if little {
		for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
	return b
}
