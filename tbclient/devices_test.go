package tbclient_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// tap keeps the messages that the platform gets.
type tap struct {
	mu       sync.Mutex
	messages []tbtest.Message
}

func (p *tap) take(m tbtest.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, m)
}

func (p *tap) of(session uint64) []tbtest.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []tbtest.Message
	for _, m := range p.messages {
		if m.Session == session {
			out = append(out, m)
		}
	}
	return out
}

func TestDeviceIsAnnouncedWithItsTypeBeforeItsData(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	publish(t, c, group("d", "k", 1, telemetry.Int(1)), group("d", "k", 2, telemetry.Int(2)))
	d, ok := srv.Device("d")
	require.True(t, ok)
	require.Equal(t, tbtest.Device{Type: "meter", Online: true}, d)
	require.Equal(t, uint64(1), srv.Stats().Announced, "once per connection")
	publish(t, c, group("d", "k", 3, telemetry.Int(3)))
	require.Equal(t, uint64(1), srv.Stats().Announced, "once per connection")
}

func TestDeviceWithoutATypeIsOfTheDefaultType(t *testing.T) {
	var taps tap
	srv := serve(t, tbtest.Config{OnPublish: taps.take})
	c := connected(t, config(t, srv), downlink{})
	publish(t, c, telemetry.Group{Device: telemetry.Device{Name: "d"}, Telemetry: []telemetry.Point{{Key: "k", Value: telemetry.Int(1)}}})
	for _, m := range taps.of(1) {
		if m.Topic == tbclient.TopicConnect {
			require.JSONEq(t, `{"device":"d","type":"default"}`, string(m.Payload))
			return
		}
	}
	t.Fatal("not announced")
}

func TestOnlineDevicesAreAnnouncedAgainBeforeData(t *testing.T) {
	const devices = 300 // more than the window
	var taps tap
	srv := serve(t, tbtest.Config{OnPublish: taps.take})
	c := connected(t, config(t, srv), downlink{})
	for i := range devices {
		require.NoError(t, c.DeviceOnline(t.Context(), telemetry.Device{Name: fmt.Sprintf("d%d", i), Profile: fmt.Sprintf("type%d", i)}))
	}
	publish(t, c, group("data", "k", 1, telemetry.Int(1)))
	eventually(t, "all announced", func() bool { return srv.Stats().Announced == devices+1 })
	srv.Cut()
	eventually(t, "reconnected", func() bool { return c.Stats().Connects == 2 && c.Stats().Connected })
	require.NoError(t, feed(within(t, patience), c, [][]telemetry.Group{{group("d7", "k", 2, telemetry.Int(2))}}))

	types := make(map[string]string)
	for _, m := range taps.of(2) {
		if m.Topic == tbclient.TopicTelemetry {
			break
		}
		if m.Topic != tbclient.TopicConnect {
			continue
		}
		var a struct{ Device, Type string }
		require.NoError(t, json.Unmarshal(m.Payload, &a))
		types[a.Device] = a.Type
	}
	require.Len(t, types, devices+1)
	require.Equal(t, "type7", types["d7"])
	require.Equal(t, "meter", types["data"])
}

func TestDevicesThatComeAndGoWhileThereIsNoConnection(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	srv.SetLink(false)
	c, _ := run(t, config(t, srv), downlink{})
	for _, name := range []string{"a", "b"} {
		require.NoError(t, c.DeviceOnline(t.Context(), telemetry.Device{Name: name, Profile: "p"}))
	}
	require.NoError(t, c.DeviceOffline(t.Context(), "b"))
	require.NoError(t, c.DeviceOffline(t.Context(), "unknown"))
	srv.SetLink(true)
	eventually(t, "a is online", func() bool { d, _ := srv.Device("a"); return d.Online })
	publish(t, c, group("c", "k", 1, telemetry.Int(1)))
	d, known := srv.Device("b")
	require.False(t, d.Online)
	require.False(t, known)
	require.NoError(t, c.DeviceOffline(t.Context(), "a"))
	eventually(t, "a is offline", func() bool { d, _ := srv.Device("a"); return !d.Online })
	require.NoError(t, c.DeviceOnline(t.Context(), telemetry.Device{Name: "a"}))
	eventually(t, "a is online again", func() bool { d, _ := srv.Device("a"); return d.Online })
}

func TestLateDataLeavesADeviceOffline(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	publish(t, c, group("d", "k", 1, telemetry.Int(1)))
	require.NoError(t, c.DeviceOffline(t.Context(), "d"))
	offline := func() bool { d, _ := srv.Device("d"); return !d.Online }
	eventually(t, "offline", offline)
	publish(t, c, group("d", "k", 2, telemetry.Int(2)))
	eventually(t, "offline again", offline)
	require.Len(t, srv.Readings(), 2)
	srv.Cut()
	eventually(t, "reconnected", func() bool { return c.Stats().Connects == 2 && c.Stats().Connected })
	publish(t, c, group("e", "k", 2, telemetry.Int(2)))
	require.True(t, offline(), "not announced again")
}
