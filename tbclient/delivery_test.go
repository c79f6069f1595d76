package tbclient_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func singles(n int) (batches [][]telemetry.Group) {
	for i := range n {
		batches = append(batches, []telemetry.Group{group(fmt.Sprintf("d%d", i%5), "k", int64(i+1), telemetry.Int(int64(i)))})
	}
	return batches
}

// The platform acknowledges over MQTT 3.1.1 what it drops for a rate limit, and
// closes the connection a moment later.
func TestConfirmedDeliveriesSurviveTheRateLimitTrap(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.Confirm = 400 * time.Millisecond
	c := connected(t, cfg, downlink{})
	srv.Trap(3, 50*time.Millisecond)
	require.NoError(t, feed(within(t, patience), c, singles(60)))
	require.Equal(t, 60, distinct(srv))
	require.Zero(t, c.Stats().Quarantined)
	t.Run("without a confirmation they do not", func(t *testing.T) {
		srv := serve(t, tbtest.Config{})
		c := connected(t, config(t, srv), downlink{})
		srv.Trap(1, 50*time.Millisecond)
		require.NoError(t, feed(within(t, patience), c, singles(1)))
		require.Zero(t, distinct(srv))
	})
}

func TestRateLimitsThatThePlatformTellsAreKept(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		srv := serve(t, tbtest.Config{RateLimits: tbtest.RateLimits{
			Gateway: tbtest.Rates{Messages: "10:1", TelemetryMessages: "25:1", DataPoints: "200:1,2000:60"},
		}})
		cfg := config(t, srv)
		cfg.Version = version
		c := connected(t, cfg, downlink{})
		batches := [][]telemetry.Group{thousand()[:20]} // 400 values
		require.NoError(t, feed(within(t, patience), c, append(batches, singles(50)...)))
		require.Zero(t, srv.Stats().RateLimited)
		require.Equal(t, uint64(450), srv.Stats().Readings, "nothing was sent twice")
	})
}

func TestConfiguredRateLimitsAreKept(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.Rates = tbclient.Rates{DataPoints: "50:1"}
	var log logBuffer
	cfg.Logger = log.logger()
	cfg.OwnRates = tbclient.Rates{Messages: "nonsense"}
	c := connected(t, cfg, downlink{})
	require.Contains(t, log.String(), "nonsense")
	began := time.Now()
	require.NoError(t, feed(within(t, patience), c, singles(100)))
	require.Greater(t, time.Since(began), 1400*time.Millisecond, "40 at once, then 40 a second")
}

// With MQTT 5 the platform says that its limit is exceeded, and the message
// counts as not delivered.
func TestReasonOfALimitIsAFailure(t *testing.T) {
	srv := serve(t, tbtest.Config{NoLimits: true, RateLimits: tbtest.RateLimits{Gateway: tbtest.Rates{TelemetryMessages: "10:1"}}})
	cfg := config(t, srv)
	cfg.Version = 5
	c := connected(t, cfg, downlink{})
	require.NoError(t, feed(within(t, 2*patience), c, singles(40)))
	require.NotZero(t, srv.Stats().RateLimited)
	require.Equal(t, 40, distinct(srv))
	require.Zero(t, c.Stats().Quarantined, "a limit is not the fault of the data")
}

func TestAcknowledgementsInAnyOrderAreUnderstood(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		srv := serve(t, tbtest.Config{})
		srv.Reorder(7)
		cfg := config(t, srv)
		cfg.Version = version
		c := connected(t, cfg, downlink{})
		require.NoError(t, feed(within(t, 2*patience), c, singles(200)))
		require.Equal(t, 200, distinct(srv))
		require.Equal(t, uint64(200), srv.Stats().Readings)
	})
}

func TestLimitsOfTheConnectionAreKept(t *testing.T) {
	srv := serve(t, tbtest.Config{ReceiveMaximum: 3, MaximumPacketSize: 2000})
	cfg := config(t, srv)
	cfg.Version = 5
	c := connected(t, cfg, downlink{})
	srv.Delay(2 * time.Millisecond)
	require.NoError(t, feed(within(t, patience), c, append(singles(30), thousand())))
	require.LessOrEqual(t, srv.Stats().MaxUnacked, 3)
	require.Zero(t, srv.Stats().TooLarge)
	require.EqualValues(t, 1, c.Stats().Connects)
}

func TestIdleDevicesAreDisconnectedAndActiveOnesAreNot(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.IdleTimeout = 400 * time.Millisecond
	c := connected(t, cfg, downlink{})
	publish(t, c, group("idle", "k", 1, telemetry.Int(1)), group("active", "k", 1, telemetry.Int(1)))
	require.NoError(t, c.DeviceOnline(t.Context(), telemetry.Device{Name: "silent"}))
	online := func(name string) bool { d, _ := srv.Device(name); return d.Online }
	eventually(t, "announced", func() bool { return online("silent") })
	var lost atomic.Bool
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ts := int64(2); ; ts++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if d, err := c.Publish(t.Context(), []telemetry.Group{group("active", "k", ts, telemetry.Int(1))}); err != nil || d.Wait(t.Context()) != nil {
				return
			}
			if !online("active") {
				lost.Store(true)
			}
		}
	}()
	eventually(t, "idle devices go", func() bool { return !online("idle") && !online("silent") })
	time.Sleep(cfg.IdleTimeout)
	close(stop)
	<-done
	require.False(t, lost.Load(), "an active device was disconnected")
	require.EqualValues(t, 3, srv.Stats().Announced, "the active one never went")
	srv.Cut()
	eventually(t, "connected again", func() bool { return c.Stats().Connects == 2 && c.Stats().Connected })
	require.False(t, online("idle"), "nor does a reconnection wake them")
	publish(t, c, group("idle", "k", 2, telemetry.Int(1)))
	require.True(t, online("idle"), "their data does")
}

func TestSharedAttributesAreToldWheneverADeviceIsAnnounced(t *testing.T) {
	for _, protobuf := range []bool{false, true} {
		srv := serve(t, tbtest.Config{Protobuf: protobuf})
		srv.SetShared("d", map[string]any{"limit": 5, "other": 1})
		updates := make(chan connector.AttributeUpdate, 100)
		cfg := config(t, srv)
		cfg.Protobuf = protobuf
		d := downlink{shared: []string{"limit", "absent"}, update: func(_ context.Context, u connector.AttributeUpdate) error {
			updates <- u
			return nil
		}}
		c := connected(t, cfg, d)
		publish(t, c, group("d", "k", 1, telemetry.Int(1)))
		want := connector.AttributeUpdate{Device: "d", Attributes: []telemetry.Point{{Key: "limit", Value: telemetry.Int(5)}}}
		require.Equal(t, want, next(t, updates))
		srv.SetLink(false)
		srv.SetShared("d", map[string]any{"limit": 6})
		srv.SetLink(true)
		want.Attributes[0].Value = telemetry.Int(6)
		require.Equal(t, want, next(t, updates), "what changed while the link was down")
		publish(t, c, group("d", "k", 2, telemetry.Int(1)))
		require.Empty(t, updates, "data alone tells nothing again")
	}
}

func TestProtobufKeepsKindsAndCarriesCommands(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		srv := serve(t, tbtest.Config{Protobuf: true})
		cfg := config(t, srv)
		cfg.Version, cfg.Protobuf = version, true
		updates := make(chan connector.AttributeUpdate, 10)
		c := connected(t, cfg, downlink{call: echo, update: func(_ context.Context, u connector.AttributeUpdate) error {
			updates <- u
			return nil
		}})
		g := group("dev", "serial", 5, telemetry.String("0012"))
		g.Telemetry = append(g.Telemetry, telemetry.Point{Key: "whole", TS: 5, Value: telemetry.Float(5)},
			telemetry.Point{Key: "tiny", TS: 6, Value: telemetry.Float(5e-324)})
		g.Attributes = []telemetry.Point{{Key: "on", Value: telemetry.Bool(true)}}
		publish(t, c, g)
		require.Equal(t, "meter", srv.Devices()["dev"].Type)
		values := make(map[string]any)
		for _, r := range srv.Readings() {
			values[r.Key] = r.Value
		}
		require.Equal(t, map[string]any{"serial": "0012", "whole": 5.0, "tiny": 5e-324}, values)
		require.Equal(t, map[string]any{"on": true}, srv.Attributes("dev"))

		reply, err := srv.Call(within(t, patience), "dev", "m", map[string]int{"p": 1})
		require.NoError(t, err)
		require.JSONEq(t, `"dev"`, string(reply))
		require.NoError(t, srv.PushAttributes("dev", map[string]any{"a": "x"}))
		require.Equal(t, connector.AttributeUpdate{Device: "dev", Attributes: []telemetry.Point{{Key: "a", Value: telemetry.String("x")}}}, next(t, updates))
		require.NoError(t, srv.DeleteAttributes("dev", "a"))
		require.Equal(t, []string{"a"}, next(t, updates).Deleted)
		points, err := c.Attributes(within(t, patience), connector.AttributeQuery{Device: "dev", Keys: []string{"on", "none"}})
		require.NoError(t, err)
		require.Equal(t, []telemetry.Point{{Key: "on", Value: telemetry.Bool(true)}}, points)
		require.NoError(t, feed(within(t, patience), c, [][]telemetry.Group{thousand()}))
		require.Len(t, srv.Readings(), 1003)
		require.True(t, connector.IsInvalid(c.Claim(within(t, patience), "dev", "s", time.Minute)))
	})
}

func TestAllAttributesCanBeAskedFor(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	srv.SetShared("d", map[string]any{"a": 1, "b": 2})
	c := connected(t, config(t, srv), downlink{})
	points, err := c.Attributes(within(t, patience), connector.AttributeQuery{Device: "d", Shared: true, Keys: []string{connector.AllAttributes}})
	require.NoError(t, err)
	require.Len(t, points, 2)
}
