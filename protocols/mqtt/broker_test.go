package mqtt_test

import (
	"fmt"
	"log/slog"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

// embeddedBroker starts a broker in this process and returns its address.
func embeddedBroker(t testing.TB) string {
	t.Helper()
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, s.AddHook(new(auth.AllowHook), nil))
	cfg := listeners.Config{ID: "test", Address: "127.0.0.1:0"}
	l := listeners.NewTCP(cfg)
	require.NoError(t, s.AddListener(l))
	require.NoError(t, s.Serve())
	t.Cleanup(func() { _ = s.Close() })
	return l.Address()
}

func TestDeliveryOverAnEmbeddedBroker(t *testing.T) {
	addr := embeddedBroker(t)
	c := mqtt.New(mqtt.Config{Broker: "tcp://" + addr, Mappings: []mqtt.Mapping{
		{Filter: "dev/#", QoS: 1, Converter: idConverter(t)}, {Filter: "dev/+", QoS: 1, Converter: idConverter(t)}, {Filter: "+/2", QoS: 0, Converter: idConverter(t)},
	}})
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	pub, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "tcp://" + addr})
	require.NoError(t, err)
	t.Cleanup(pub.Close)
	const n = 2000
	for id := range n {
		require.NoError(t, pub.Publish("dev/1", 1, false, fmt.Appendf(nil, `{"id":%d}`, id)).Wait(t.Context()))
	}
	r.eventually("all arrive", func() bool { return c.Stats().Acknowledged == n })
	ids := r.values("id")
	require.Len(t, ids, 2*n, "once for each mapping")
	for i, id := range ids {
		require.Equal(t, int64(i/2), id)
	}
}
