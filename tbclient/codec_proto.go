package tbclient

import (
	"encoding/json"
	"errors"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/tbproto"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// protoCodec is the codec of gateways whose profile has the payload type
// protobuf.
type protoCodec struct{}

func (protoCodec) connect(device, profile string) []byte {
	return tbproto.Connect{Device: device, Profile: profile}.AppendTo(nil)
}

func (protoCodec) disconnect(device string) []byte {
	return tbproto.Disconnect{Device: device}.AppendTo(nil)
}

func (protoCodec) query(id int64, q connector.AttributeQuery) []byte {
	m := tbproto.AttributesRequest{ID: int32(id), Device: q.Device, Client: !q.Shared, Keys: q.Keys}
	if len(q.Keys) == 1 && q.Keys[0] == connector.AllAttributes {
		m.Keys = nil
	}
	return m.AppendTo(nil)
}

func (protoCodec) reply(device string, id int64, result []byte) []byte {
	return tbproto.RPCResponse{Device: device, ID: int32(id), Data: string(result)}.AppendTo(nil)
}

func (protoCodec) parseCall(payload []byte) (call, error) {
	m, err := tbproto.DecodeRPCRequest(payload)
	if err != nil {
		return call{}, err
	}
	got := call{m.Device, int64(m.ID), true, m.Method, nil}
	if m.Params != "" {
		got.params = json.RawMessage(m.Params)
	}
	if got.params != nil && !json.Valid(got.params) {
		return got, errors.New("the parameters of the call are not JSON")
	}
	return got, got.check()
}

func (protoCodec) parseUpdate(payload []byte) (connector.AttributeUpdate, error) {
	m, err := tbproto.DecodeAttributesUpdate(payload)
	return connector.AttributeUpdate{Device: m.Device, Attributes: validPoints(m.Points), Deleted: m.Deleted}, err
}

func (protoCodec) parseAnswer(payload []byte) (int64, answer, error) {
	m, err := tbproto.DecodeAttributesResponse(payload)
	if err != nil {
		return 0, answer{}, err
	}
	a := answer{points: validPoints(append(m.Client, m.Shared...))}
	if m.Error != "" {
		a.err = errors.New(m.Error)
	}
	return int64(m.ID), a, nil
}

// validPoints returns the attributes of points that have a value.
func validPoints(points []telemetry.Point) []telemetry.Point {
	valid := points[:0]
	for _, p := range points {
		if p.Value.Valid() {
			p.TS = 0
			valid = append(valid, p)
		}
	}
	return valid
}
