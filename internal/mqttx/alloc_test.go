package mqttx_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

// TestPublishAllocationsOfVersion5 guards the way of a publication: with QoS 0
// it allocates nothing, and with QoS 1 only what the caller waits on, whatever
// its size.
func TestPublishAllocationsOfVersion5(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{10, 1000, 100_000} {
		ack := make(chan struct{})
		drain := func(c *net.TCPConn) {
			defer c.Close()
			<-ack
			_, _ = io.Copy(io.Discard, c)
		}
		c := connect(t, mqttx.Options{Version: 5, Broker: answer(t, accepted(5), drain)})
		close(ack)
		payload := make([]byte, size)
		require.Zero(t, testing.AllocsPerRun(100, func() { c.Publish("some/topic", 0, false, payload) }), "QoS 0, %d bytes", size)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { c.Publish("some/topic", 1, false, payload) }), 2.0, "QoS 1, %d bytes", size)
		c.Close()
	}
}
