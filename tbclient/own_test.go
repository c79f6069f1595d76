package tbclient_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestTheGatewaysOwnDataIsPublished(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		srv := serve(t, tbtest.Config{})
		cfg := config(t, srv)
		cfg.Version = version
		c := connected(t, cfg, downlink{})
		require.NoError(t, c.PublishOwn(within(t, patience), nil, nil))
		require.NoError(t, c.PublishOwn(within(t, patience), []telemetry.Point{
			{Key: "sent", TS: 5, Value: telemetry.Int(1)}, {Key: "nothing"}, {Key: "now", Value: telemetry.Float(2)},
		}, []telemetry.Point{{Key: "Version", Value: telemetry.String("v1.0")}, {Key: "n"}, {Key: "cpu", Value: telemetry.Int(4)}}))
		got := srv.Readings()
		require.Len(t, got, 2)
		require.Equal(t, tbtest.Reading{Device: tbtest.Gateway, Key: "sent", TS: 5, Value: int64(1), Seq: 1}, got[0])
		require.InDelta(t, time.Now().UnixMilli(), got[1].TS, 60_000)
		require.Equal(t, map[string]any{"Version": "v1.0", "cpu": int64(4)}, srv.Attributes(tbtest.Gateway))
	})
}

func TestTheGatewaysOwnAttributesAreAskedFor(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	require.NoError(t, c.PublishOwn(within(t, patience), nil, []telemetry.Point{{Key: "c", Value: telemetry.Int(1)}}))
	srv.SetShared(tbtest.Gateway, map[string]any{"s": "x", "t": true})
	client, shared, err := c.OwnAttributes(within(t, patience), []string{"c", "none"}, []string{"s"})
	require.NoError(t, err)
	require.Equal(t, []telemetry.Point{{Key: "c", Value: telemetry.Int(1)}}, client)
	require.Equal(t, []telemetry.Point{{Key: "s", Value: telemetry.String("x")}}, shared)
	client, shared, err = c.OwnAttributes(within(t, patience), nil, nil)
	require.NoError(t, err)
	require.Len(t, client, 1)
	require.Len(t, shared, 2, "no keys mean all")
}

// A change that the client missed while it was away is told after the next
// connection.
func TestWatchersOfOwnAttributesMissNothing(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	var mu sync.Mutex
	state := make(map[string]string)
	cancel := c.WatchOwnAttributes(func(points []telemetry.Point, deleted []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range points {
			state[p.Key] = p.Value.String()
		}
		for _, key := range deleted {
			delete(state, key)
		}
	})
	is := func(want map[string]string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return fmt.Sprint(state) == fmt.Sprint(want)
		}
	}
	require.NoError(t, srv.PushAttributes(tbtest.Gateway, map[string]any{"a": 1, "b": 2}))
	eventually(t, "told", is(map[string]string{"a": "1", "b": "2"}))
	require.NoError(t, srv.DeleteAttributes(tbtest.Gateway, "a"))
	eventually(t, "told of the deletion", is(map[string]string{"b": "2"}))
	srv.SetLink(false)
	srv.SetShared(tbtest.Gateway, map[string]any{"b": 3})
	srv.SetLink(true)
	eventually(t, "told after the reconnection", is(map[string]string{"b": "3"}))
	cancel()
	require.NoError(t, srv.PushAttributes(tbtest.Gateway, map[string]any{"b": 4}))
	_, err := srv.CallGateway(within(t, patience), "gateway_ping", nil)
	require.NoError(t, err)
	require.True(t, is(map[string]string{"b": "3"})(), "not any more")
}

func TestFirmwareComesInChunks(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		srv := serve(t, tbtest.Config{})
		cfg := config(t, srv)
		cfg.Version, cfg.Timeout = version, 300*time.Millisecond
		c := connected(t, cfg, downlink{})
		image := bytes.Repeat([]byte("0123456789"), 1050)
		require.NoError(t, srv.SetFirmware("fw", "app", "2.0", image, "SHA256"))
		var got []byte
		for n := 0; ; n++ {
			chunk, err := c.FirmwareChunk(within(t, patience), "fw", 7, n, 1000)
			require.NoError(t, err)
			if len(chunk) == 0 {
				break
			}
			got = append(got, chunk...)
		}
		require.Equal(t, image, got)
		srv.LoseChunks(1)
		_, err := c.FirmwareChunk(within(t, patience), "fw", 7, 0, 1000)
		require.ErrorContains(t, err, "does not answer")
		_, err = c.FirmwareChunk(within(t, patience), "fw", 7, 0, 1000)
		require.NoError(t, err)
		_, err = c.FirmwareChunk(within(t, patience), "xx", 7, 0, 1000)
		require.ErrorContains(t, err, "xx")
	})
}

func TestTheGatewaysOwnRateLimitsAreKept(t *testing.T) {
	srv := serve(t, tbtest.Config{RateLimits: tbtest.RateLimits{
		Gateway:       tbtest.Rates{TelemetryMessages: "1:3600"},
		GatewayDevice: tbtest.Rates{Messages: "10:1", TelemetryMessages: "10:1"},
	}})
	c := connected(t, config(t, srv), downlink{})
	for i := range 20 {
		require.NoError(t, c.PublishOwn(within(t, patience), []telemetry.Point{{Key: "k", TS: int64(i), Value: telemetry.Int(1)}},
			[]telemetry.Point{{Key: "a", Value: telemetry.Int(int64(i))}}))
	}
	require.Zero(t, srv.Stats().RateLimited)
	require.Len(t, srv.Readings(), 20)
}

func TestDevicesCanBeClaimed(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	require.NoError(t, c.Claim(within(t, patience), "d\"1", "se\"cret", time.Minute))
	claim, ok := srv.Claim("d\"1")
	require.True(t, ok)
	require.Equal(t, "se\"cret", claim.SecretKey)
	require.EqualValues(t, 60_000, claim.DurationMS)
	require.NoError(t, c.Claim(within(t, patience), "", "own", time.Second))
	_, ok = srv.Claim(tbtest.Gateway)
	require.True(t, ok)
	require.True(t, connector.IsInvalid(c.Claim(within(t, patience), "d", "s", 0)))
}
