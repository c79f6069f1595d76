package mqttx_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

// FuzzBroker lets a connection read whatever a broker may send after CONNACK.
func FuzzBroker(f *testing.F) {
	for _, version := range []byte{4, 5} {
		f.Add(version, []byte{0x30, 4, 0, 1, 'a', 'x'})
		f.Add(version, []byte{0x32, 6, 0, 1, 'a', 0, 1, 'x', 0x40, 2, 0, 9, 0x90, 3, 0, 1, 0x80})
		f.Add(version, []byte{0x30, 0xff, 0xff, 0x01})
		f.Add(version, bytes.Repeat([]byte{0xd0, 0}, 20))
		f.Add(version, []byte{0x62, 2, 0, 1, 0x50, 2, 0, 1, 0xe0, 4, 0x8e, 2, 0x1f, 0})
		f.Add(version, []byte{0x30, 11, 0, 1, 'a', 7, 0x26, 0, 1, 'k', 0, 1, 'v', 'x'})
	}
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		version = 4 + version%2
		broker := answer(t, append(accepted(version), data...), func(c *net.TCPConn) { _ = c.Close() })
		c, err := mqttx.Dial(t.Context(), mqttx.Options{
			Version: version, Broker: broker, Receive: func(m mqttx.Message) { m.Ack() },
		})
		if err != nil {
			return
		}
		select {
		case <-c.Done():
		case <-time.After(patience):
			t.Fatal("the end of the connection was not noticed")
		}
		c.Close()
	})
}
