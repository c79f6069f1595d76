package tbclient

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A codec is the form of the messages about the devices behind the gateway,
// other than telemetry and attributes, which the encoder writes.
type codec interface {
	connect(device, profile string) []byte
	disconnect(device string) []byte
	query(id int64, q connector.AttributeQuery) []byte

	// reply encodes the reply to a call, whose result is JSON.
	reply(device string, id int64, result []byte) []byte

	// parseCall returns with an error what could be read of the call.
	parseCall(payload []byte) (call, error)
	parseUpdate(payload []byte) (connector.AttributeUpdate, error)
	parseAnswer(payload []byte) (id int64, a answer, err error)
}

// A call is a remote procedure call to a device.
type call struct {
	device   string
	id       int64
	numbered bool // id is valid
	method   string
	params   json.RawMessage
}

// check returns an error that says what the call lacks.
func (m call) check() error {
	if m.device == "" || !m.numbered || m.method == "" {
		return errors.New("the call has no device, id or method")
	}
	return nil
}

// jsonCodec is the codec of gateways whose profile has the payload type JSON,
// which is the default.
type jsonCodec struct{}

func (jsonCodec) connect(device, profile string) []byte {
	b := telemetry.AppendString([]byte(`{"device":`), device)
	b = telemetry.AppendString(append(b, `,"type":`...), profile)
	return append(b, '}')
}

func (jsonCodec) disconnect(device string) []byte {
	return append(telemetry.AppendString([]byte(`{"device":`), device), '}')
}

func (jsonCodec) query(id int64, q connector.AttributeQuery) []byte {
	b := strconv.AppendInt([]byte(`{"id":`), id, 10)
	b = telemetry.AppendString(append(b, `,"device":`...), q.Device)
	b = strconv.AppendBool(append(b, `,"client":`...), !q.Shared)
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

func (jsonCodec) reply(device string, id int64, result []byte) []byte {
	b := telemetry.AppendString([]byte(`{"device":`), device)
	b = strconv.AppendInt(append(b, `,"id":`...), id, 10)
	b = append(append(b, `,"data":`...), result...)
	return append(b, '}')
}

func (jsonCodec) parseCall(payload []byte) (call, error) {
	var m struct {
		Device string `json:"device"`
		Data   struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		} `json:"data"`
	}
	err := json.Unmarshal(payload, &m)
	id, idErr := strconv.ParseInt(string(m.Data.ID), 10, 64)
	got := call{m.Device, id, idErr == nil, m.Data.Method, m.Data.Params}
	if err == nil {
		err = got.check()
	}
	return got, err
}

func (jsonCodec) parseUpdate(payload []byte) (connector.AttributeUpdate, error) {
	var m struct {
		Device string          `json:"device"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return connector.AttributeUpdate{}, err
	}
	points, deleted, err := parseUpdate(m.Data)
	return connector.AttributeUpdate{Device: m.Device, Attributes: points, Deleted: deleted}, err
}

func (jsonCodec) parseAnswer(payload []byte) (int64, answer, error) {
	var m struct {
		ID     *int64          `json:"id"`
		Value  json.RawMessage `json:"value"`
		Values json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return 0, answer{}, err
	}
	if m.ID == nil {
		return 0, answer{}, errors.New("the answer has no id")
	}
	if m.Values == nil {
		return *m.ID, answer{value: m.Value}, nil
	}
	points, err := parsePoints(m.Values)
	return *m.ID, answer{points: points, err: err}, nil
}
