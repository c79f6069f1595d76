package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// logged is a log that can be searched.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *logged) option() gateway.Option {
	return gateway.WithLogger(slog.New(slog.NewTextHandler(l, nil)))
}

func deviceFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state", "connected_devices.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	if content != "" {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return path
}

func TestDevicesAreKnownAfterARestart(t *testing.T) {
	path := deviceFile(t, "")
	a, b := newFeed(), newFeed()
	first := newRemote(true)
	first.renamed = map[string]string{"d": "Boiler"}
	_, stop := run(t, gateway.WithPlatform(first), gateway.WithConnector("a", a), gateway.WithConnector("b", b), gateway.WithDeviceFile(path))
	h := <-a.host
	for _, d := range []string{"d", "left", "removed"} {
		require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: d, Profile: "meter"}))
	}
	require.NoError(t, h.DeviceOffline(t.Context(), "left"))
	submit(t, <-b.host, "e", 1)
	require.NoError(t, stop())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"d": {"connectorId":"","connectorName":"a","deviceType":"meter","disconnected":false,"renaming":"Boiler"},
		"left": {"connectorId":"","connectorName":"a","deviceType":"meter","disconnected":true,"renaming":null},
		"removed": {"connectorId":"","connectorName":"a","deviceType":"meter","disconnected":false,"renaming":null},
		"e": {"connectorId":"","connectorName":"b","deviceType":"meter","disconnected":false,"renaming":null}
	}`, string(raw))

	ready := make(chan struct{})
	slow := &gated{ready: ready, host: make(chan connector.Host, 1)}
	p := newRemote(true)
	g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", slow), gateway.WithDeviceFile(path))
	<-slow.host
	require.Len(t, g.Devices(), 4)
	require.False(t, p.isOnline("d"), "not before its connector runs")
	eventually(t, "it runs", func() bool { return p.started.Load() == 1 })
	p.mu.Lock()
	d := p.downlink
	p.mu.Unlock()
	_, err = d.HandleRPC(t.Context(), connector.RPCRequest{Device: "d"})
	require.ErrorIs(t, err, gateway.ErrUnsupported, "commands reach its connector")
	_, err = d.HandleRPC(t.Context(), connector.RPCRequest{Device: "e"})
	require.ErrorIs(t, err, gateway.ErrNoDevice, "that of this one is not there")
	close(ready)
	eventually(t, "they are announced", func() bool { return p.isOnline("d") && p.isOnline("removed") })
	p.mu.Lock()
	require.Equal(t, map[string]string{"d": "meter", "removed": "meter"}, p.online)
	p.mu.Unlock()
	require.NoError(t, g.RemoveDevice(t.Context(), "removed"))
	require.NoError(t, stop())
	raw, err = os.ReadFile(path)
	require.NoError(t, err)
	var left map[string]any
	require.NoError(t, json.Unmarshal(raw, &left))
	require.NotContains(t, left, "removed")
	require.Contains(t, left, "e", "of a connector that may come back")
}

// gated is a connector that is ready when a test says so.
type gated struct {
	ready chan struct{}
	host  chan connector.Host
}

func (c *gated) Run(ctx context.Context, h connector.Host) error {
	c.host <- h
	select {
	case <-c.ready:
		h.Ready()
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

func TestOlderFilesOfDevicesAreRead(t *testing.T) {
	path := deviceFile(t, `{
		"one": ["a", "thermometer"],
		"two": ["a", "thermometer", "Renamed"],
		"three": {"connectorId": "6f", "connectorName": "a", "deviceType": null, "renaming": null, "more": 1},
		"bad": "text", "worse": ["a"], "": ["a", "b"], "number": 5, "null": [null, null]
	}`)
	var log logged
	p, f := newRemote(true), newFeed()
	g, stop := run(t, log.option(), gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithDeviceFile(path))
	<-f.host
	var names []string
	for _, d := range g.Devices() {
		names = append(names, d.Name+":"+d.Profile+":"+d.Connector)
	}
	require.Equal(t, []string{"one:thermometer:a", "three::a", "two:thermometer:a"}, names)
	require.Equal(t, 5, log.count("makes no sense"))
	require.Equal(t, map[string]string{"two": "Renamed"}, p.learned())
	require.NoError(t, g.RemoveDevice(t.Context(), "one"))
	require.NoError(t, stop())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"connectorId":"6f"`)
}

func TestABrokenFileOfDevicesIsSetAside(t *testing.T) {
	content := `{"d": {"connectorName"`
	path := deviceFile(t, content)
	var log logged
	f := newFeed()
	_, stop := run(t, log.option(), gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", f), gateway.WithDeviceFile(path))
	require.Equal(t, 1, log.count("level=ERROR"))
	submit(t, <-f.host, "d", 1)
	require.NoError(t, stop())
	raw, err := os.ReadFile(path + ".broken")
	require.NoError(t, err)
	require.Equal(t, content, string(raw))
	raw, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"d":`)
}

// Many new devices cost few writes, and none if nothing changes.
func TestTheFileOfDevicesIsWrittenLater(t *testing.T) {
	path := deviceFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		_, stop := run(t, gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", f), gateway.WithDeviceFile(path))
		h := <-f.host
		var last os.FileInfo
		writes := 0
		look := func() {
			if info, err := os.Stat(path); err == nil && (last == nil || !os.SameFile(info, last)) {
				last = info
				writes++
			}
		}
		for i := range 1000 {
			submit(t, h, fmt.Sprint("d", i), 1)
			time.Sleep(10 * time.Millisecond)
			look()
		}
		time.Sleep(time.Minute)
		look()
		require.Greater(t, writes, 1)
		require.Less(t, writes, 10)
		before := writes
		for range 100 {
			submit(t, h, "d1", 2)
			time.Sleep(time.Second)
			look()
		}
		require.Equal(t, before, writes)
		for range 10 { // and none if all is as it was
			require.NoError(t, h.DeviceOffline(t.Context(), "d1"))
			require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "d1"}))
			time.Sleep(5 * time.Second)
			look()
		}
		require.Equal(t, before, writes)
		require.NoError(t, stop())
	})
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1000, strings.Count(string(raw), `"connectorName":"a"`))
}

func TestAFileOfDevicesThatCannotBeWrittenIsTriedOn(t *testing.T) {
	path := deviceFile(t, "")
	dir := filepath.Dir(path)
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600)) // where the folder should be
	synctest.Test(t, func(t *testing.T) {
		var log logged
		f := newFeed()
		_, stop := run(t, log.option(), gateway.WithPlatform(newPlatform()), gateway.WithConnector("a", f), gateway.WithDeviceFile(path))
		submit(t, <-f.host, "d", 1)
		time.Sleep(10 * time.Minute)
		require.Equal(t, 1, log.count("cannot be written"))
		require.NoError(t, os.Remove(dir))
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, log.count("is written again"))
		require.NoError(t, stop())
	})
	require.FileExists(t, path)
}

func TestTheDeviceFilter(t *testing.T) {
	path := deviceFile(t, `{"forbidden": ["a", "x"], "meter-1": ["a", "x"]}`)
	filter := gateway.DeviceFilter{
		Allow: map[string][]string{"a": {"meter-.*", "boiler"}, "c": {}},
		Deny:  map[string][]string{"a": {".*-9"}, "b": {"secret"}},
	}
	var log logged
	p, a, b, c := newRemote(true), newFeed(), newFeed(), newFeed()
	g, stop := run(t, log.option(), gateway.WithPlatform(p), gateway.WithDeviceFilter(filter), gateway.WithDeviceFile(path),
		gateway.WithConnector("a", a), gateway.WithConnector("b", b), gateway.WithConnector("c", c))
	ha, hb, hc := <-a.host, <-b.host, <-c.host
	for h, devices := range map[connector.Host][]string{
		ha: {"meter-1", "boiler", "meter-9", "my boiler", "boiler 2", "other"},
		hb: {"secret", "secret 2"},
		hc: {"anything"},
	} {
		for range 2 {
			for _, d := range devices {
				require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: d}))
				submit(t, h, d, 1)
			}
		}
	}
	var names []string
	for _, d := range g.Devices() {
		if d.Online {
			names = append(names, d.Name)
		}
	}
	require.Equal(t, []string{"anything", "boiler", "meter-1", "secret 2"}, names)
	require.EqualValues(t, 8, g.Stats().Connectors["a"].Denied)
	require.EqualValues(t, 2, g.Stats().Connectors["b"].Denied)
	require.Zero(t, g.Stats().Connectors["c"].Denied)
	require.Equal(t, 6, log.count("does not pass the device filter"), "one of them was in the file")
	require.False(t, p.isOnline("forbidden"))

	mixed := reading("meter-1", 2) // one batch with both
	mixed.Device("other", "")
	mixed.Telemetry("n", telemetry.Int(2))
	_, err := ha.Submit(t.Context(), mixed)
	require.NoError(t, err)
	require.NoError(t, stop())
	require.Equal(t, []int64{1, 1, 2}, p.ints("meter-1"))
	for _, d := range []string{"other", "secret", "meter-9", "my boiler"} {
		require.Empty(t, p.ints(d))
		require.False(t, p.isOnline(d))
	}

	_, err = gateway.New(gateway.WithPlatform(p), gateway.WithDeviceFilter(gateway.DeviceFilter{Deny: map[string][]string{"a": {"("}}}))
	require.ErrorContains(t, err, `deny: connector "a"`)
}

func TestIdleDevicesAreAnnouncedAsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newRemote(true), newFeed()
		g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithIdleTimeout(time.Minute),
			gateway.WithReportPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChange}))
		h := <-f.host
		require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "mute"}))
		submit(t, h, "quiet", 1)
		for range 10 { // data that is held back counts
			submit(t, h, "busy", 1)
			time.Sleep(15 * time.Second)
		}
		require.True(t, p.wentOffline("mute"))
		require.True(t, p.wentOffline("quiet"))
		require.False(t, p.wentOffline("busy"))
		online := map[string]bool{}
		for _, d := range g.Devices() {
			online[d.Name] = d.Online
		}
		require.Equal(t, map[string]bool{"mute": false, "quiet": false, "busy": true}, online)
		submit(t, h, "quiet", 1)
		require.True(t, p.isOnline("quiet"), "its next data announces it again")
		require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: "mute"}))
		time.Sleep(50 * time.Second)
		synctest.Wait()
		require.True(t, p.isOnline("mute"), "it was announced less than the time-out ago")
		require.NoError(t, stop())
	})
}

// Devices whose connector is not there, or has said that they are gone, are not
// announced as gone.
func TestDevicesThatAreNotOnlineAreNotIdle(t *testing.T) {
	path := deviceFile(t, `{"of another": ["b", "x"]}`)
	synctest.Test(t, func(t *testing.T) {
		p, f := newRemote(true), newFeed()
		_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithDeviceFile(path), gateway.WithIdleTimeout(time.Minute))
		h := <-f.host
		submit(t, h, "left", 1)
		require.NoError(t, h.DeviceOffline(t.Context(), "left"))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{"left"}, p.offline, "once, by its connector")
		require.NoError(t, stop())
	})
}

// Silence counts from before the call; a time-out of zero ends the search.
func TestTheIdleTimeoutChangesWhileTheGatewayRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newRemote(true), newFeed()
		g, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
		h := <-f.host
		for _, d := range []string{"old", "new"} {
			require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: d}))
		}
		time.Sleep(time.Hour)
		require.Empty(t, p.offline, "there is no time-out")
		submit(t, h, "new", 1)
		time.Sleep(time.Second)
		g.SetIdleTimeout(time.Minute)
		synctest.Wait()
		require.True(t, p.wentOffline("old"), "at once")
		require.False(t, p.wentOffline("new"))
		time.Sleep(30 * time.Second)
		require.False(t, p.wentOffline("new"))
		g.SetIdleTimeout(time.Hour) // longer than before
		time.Sleep(time.Minute)
		require.False(t, p.wentOffline("new"))
		g.SetIdleTimeout(10 * time.Second)
		synctest.Wait()
		require.True(t, p.wentOffline("new"))
		submit(t, h, "new", 2)
		g.SetIdleTimeout(0)
		time.Sleep(time.Hour)
		require.True(t, p.isOnline("new"), "there is no time-out any more")
		require.NoError(t, stop())
	})
}

// Devices are not looked for more often than needed, nor too seldom.
func TestIdleDevicesAreNoticedInTime(t *testing.T) {
	for timeout, within := range map[time.Duration]time.Duration{
		20 * time.Millisecond: 10 * time.Millisecond, time.Second: 250 * time.Millisecond, time.Hour: 10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			p, f := newRemote(true), newFeed()
			_, stop := run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f), gateway.WithIdleTimeout(timeout))
			time.Sleep(within * 7 / 10) // not when they are looked for
			submit(t, <-f.host, "d", 1)
			time.Sleep(timeout - time.Nanosecond)
			synctest.Wait()
			require.False(t, p.wentOffline("d"))
			time.Sleep(within + time.Millisecond)
			synctest.Wait()
			require.True(t, p.wentOffline("d"))
			require.NoError(t, stop())
		})
	}
}
