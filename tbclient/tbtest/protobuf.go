package tbtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// protobufCodec is the gateway API in protobuf, by the platform's transport.proto
// and queue.proto. Fields that are unknown are skipped. What is missing, or of
// another type, has its zero value.
type protobufCodec struct{}

var errProtobuf = errors.New("tbtest: malformed protobuf message")

// A field is one field of a message.
type field struct {
	number protowire.Number
	bytes  []byte // of a string, bytes or a message
	value  uint64 // of a varint, or of 64 bits
}

func (f field) text() string { return string(f.bytes) }

// eachField calls do for each field of a message.
func eachField(b []byte, do func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", errProtobuf, protowire.ParseError(n))
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
			f.number = 0 // of no message here
		}
		if n < 0 {
			return fmt.Errorf("%w: field %d: %w", errProtobuf, number, protowire.ParseError(n))
		}
		b = b[n:]
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

func (protobufCodec) connect(payload []byte) (name, kind string, err error) {
	err = eachField(payload, func(f field) error {
		switch f.number {
		case 1:
			name = f.text()
		case 2:
			kind = f.text()
		}
		return nil
	})
	if err == nil {
		err = named(name)
	}
	if kind == "" {
		kind = "default"
	}
	return name, kind, err
}

// named returns an error for an empty name. In protobuf it is one of format.
func named(name string) error {
	if name == "" {
		return fmt.Errorf("%w: the name of the device is empty", errProtobuf)
	}
	return nil
}

func (c protobufCodec) disconnect(payload []byte) (string, error) {
	name, _, err := c.connect(payload)
	return name, err
}

func (c protobufCodec) telemetry(payload []byte) ([]deviceData, error) {
	return c.data(payload, func(d *deviceData, f field) error {
		if f.number != 3 {
			return nil
		}
		return eachField(f.bytes, func(f field) error {
			if f.number != 1 {
				return nil
			}
			e, err := tsKvList(f.bytes)
			d.elements = append(d.elements, e)
			return err
		})
	})
}

func (c protobufCodec) attributes(payload []byte) ([]deviceData, error) {
	return c.data(payload, func(d *deviceData, f field) error {
		if f.number != 2 {
			return nil
		}
		return eachField(f.bytes, func(f field) error {
			if f.number != 1 {
				return nil
			}
			kv, err := keyValue(f.bytes)
			d.values = append(d.values, kv)
			return err
		})
	})
}

// data reads GatewayTelemetryMsg or GatewayAttributesMsg, whose field 1 is one
// device each, of which field 1 is the name.
func (protobufCodec) data(payload []byte, read func(*deviceData, field) error) ([]deviceData, error) {
	var out []deviceData
	err := eachField(payload, func(f field) error {
		if f.number != 1 {
			return nil
		}
		var d deviceData
		if err := eachField(f.bytes, func(f field) error {
			if f.number == 1 {
				d.device = f.text()
			}
			return read(&d, f)
		}); err != nil {
			return err
		}
		out = append(out, d)
		return named(d.device)
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%w: the message is about no device", errProtobuf)
	}
	return out, err
}

// tsKvList reads TsKvListProto: {1 ts, 2 KeyValueProto}.
func tsKvList(b []byte) (element, error) {
	e := element{hasTS: true}
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			e.ts = int64(f.value)
		case 2:
			kv, err := keyValue(f.bytes)
			e.values = append(e.values, kv)
			return err
		}
		return nil
	})
	return e, err
}

// The types of KeyValueProto.
const (
	typeBool = iota
	typeLong
	typeDouble
	typeString
	typeJSON
)

// keyValue reads KeyValueProto: {1 key, 2 type, 3 bool, 4 long, 5 double, 6
// string, 7 json}. Values keep their type.
func keyValue(b []byte) (keyed, error) {
	var kv keyed
	var kind uint64
	values := [5]any{typeBool: false, typeLong: int64(0), typeDouble: float64(0), typeString: "", typeJSON: json.RawMessage("{}")}
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			kv.key = f.text()
		case 2:
			kind = f.value
		case 3:
			values[typeBool] = f.value != 0
		case 4:
			values[typeLong] = int64(f.value)
		case 5:
			values[typeDouble] = math.Float64frombits(f.value)
		case 6:
			values[typeString] = f.text()
		case 7:
			n, err := parseJSON(f.bytes)
			if err != nil {
				return fmt.Errorf("%w: %w", errForm, err)
			}
			values[typeJSON] = json.RawMessage(appendNode(nil, n))
		}
		return nil
	})
	switch {
	case err != nil:
		return kv, err
	case kind >= uint64(len(values)):
		return kv, fmt.Errorf("%w: value of type %d", errForm, kind)
	case kv.key == "":
		return kv, fmt.Errorf("%w: value without a key", errForm)
	}
	kv.value = values[kind]
	return kv, nil
}

func (protobufCodec) attributeRequest(payload []byte) (q attributeRequest, err error) {
	err = eachField(payload, func(f field) error {
		switch f.number {
		case 1:
			q.id = int64(int32(f.value))
		case 2:
			q.device = f.text()
		case 3:
			q.client = f.value != 0
		case 4:
			q.keys = append(q.keys, f.text())
		}
		return nil
	})
	if err == nil {
		err = named(q.device)
	}
	return q, err
}

func (protobufCodec) rpcReply(payload []byte) (r rpcReply, err error) {
	err = eachField(payload, func(f field) error {
		switch f.number {
		case 1:
			r.device = f.text()
		case 2:
			r.id = int64(int32(f.value))
		case 3:
			r.data = f.bytes
		}
		return nil
	})
	if err == nil {
		err = named(r.device)
	}
	return r, err
}

func (protobufCodec) claims(payload []byte) (out []deviceClaim, err error) {
	err = eachField(payload, func(f field) error {
		if f.number != 1 {
			return nil
		}
		var k deviceClaim
		err := eachField(f.bytes, func(f field) error {
			switch f.number {
			case 1:
				k.device = f.text()
			case 2:
				return k.read(f.bytes)
			}
			return nil
		})
		if err == nil {
			err = named(k.device)
		}
		out = append(out, k)
		return err
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%w: the message is about no device", errProtobuf)
	}
	return out, err
}

// read reads ClaimDevice: {1 secretKey, 2 durationMs}.
func (k *deviceClaim) read(b []byte) error {
	return eachField(b, func(f field) error {
		switch f.number {
		case 1:
			k.SecretKey = f.text()
		case 2:
			k.DurationMS = int64(f.value)
		}
		return nil
	})
}
