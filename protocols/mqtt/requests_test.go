package mqtt_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// stuckPlatform answers nothing until it is released.
type stuckPlatform struct {
	*connectortest.Host
	release chan struct{}
}

func (s stuckPlatform) Attributes(ctx context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	select {
	case <-s.release:
		return s.Host.Attributes(ctx, q)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestRequestsOfDevicesDoNotHoldUpData(t *testing.T) {
	b := newFakeBroker()
	h := connectortest.NewHost(t)
	h.SetAttributes(telemetry.Point{Key: "fw", Value: telemetry.String("1")})
	stuck := stuckPlatform{h, make(chan struct{})}
	info := mqtt.DeviceInfo{Name: key("${sn}")}
	r := runWith(t, fakeConnector(t, b, mqtt.Config{AttributeRequests: []mqtt.AttributeRequest{
		{Filter: "ask", Device: info, Names: key("${keys}"), Client: true, Topic: "to/${deviceName}", Value: `{"${attributeKey}":"${attributeValue}"}`, ReplyQoS: 1},
	}, Disconnects: []mqtt.DeviceRequest{{Filter: "bye", Device: info}}}), h, func(connector.Host) connector.Host { return stuck })
	b.push(fakeMessage{topic: "ask", payload: `{"sn":"A","keys":["fw"]}`})
	b.push(fakeMessage{topic: "bye", payload: `{"sn":"B"}`})
	b.push(fakeMessage{topic: "ask", payload: `not JSON`})
	b.Send(1)
	r.eventually("data flows", func() bool { return len(r.values("id")) == 1 && len(b.Acked()) == 4 })
	require.Empty(t, b.publications())
	close(stuck.release)
	r.eventually("the answer comes", func() bool { return len(b.publications()) == 1 })
	require.Equal(t, publication{topic: "to/A", payload: `{"fw":"1"}`, qos: 1}, b.publications()[0])
	require.Equal(t, []connector.AttributeQuery{{Device: "A", Keys: []string{"fw"}}}, h.Queries())
	require.Equal(t, uint64(1), r.conn.(*mqtt.Connector).Stats().Requests)
}
