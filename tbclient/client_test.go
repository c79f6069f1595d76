package tbclient_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestEveryPointArrivesInOrderThoughTheLinkIsCut(t *testing.T) {
	const devices, points, perBatch = 10, 20_000, 20
	srv := serve(t, tbtest.Config{})
	srv.Delay(3 * time.Millisecond)
	cfg := config(t, srv)
	cfg.Suspect = 1 << 30 // it is the line that is bad
	c := connected(t, cfg, downlink{})

	var batches [][]telemetry.Group
	for n := 0; n < points; n += perBatch {
		var groups []telemetry.Group
		for i := range perBatch {
			ts := int64(n + i + 1)
			groups = append(groups, group(fmt.Sprintf("dev%d", (n+i)%devices), "v", ts, telemetry.Int(ts)))
		}
		batches = append(batches, groups)
	}

	stop := make(chan struct{})
	var cutter sync.WaitGroup
	cutter.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(20+rand.IntN(80)) * time.Millisecond):
				srv.Cut()
			}
		}
	})
	err := feed(within(t, 9*patience), c, batches)
	close(stop)
	cutter.Wait()
	require.NoError(t, err)

	last, seen := make(map[string]int64), make(map[int64]bool)
	for _, r := range srv.Readings() {
		if seen[r.TS] {
			continue
		}
		seen[r.TS] = true
		require.Greater(t, r.TS, last[r.Device], "device %s", r.Device)
		last[r.Device] = r.TS
		require.Equal(t, r.TS, r.Value)
	}
	require.Len(t, seen, points)
	require.Greater(t, srv.Stats().Connects, uint64(3), "the link was cut")
}

func TestSlowAcknowledgementsDoNotLowerThroughput(t *testing.T) {
	const packets, delay = 400, 50 * time.Millisecond
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	publish(t, c, group("d", "k", 1, telemetry.Int(1)))
	srv.Delay(delay)
	began := time.Now()
	ctx := within(t, patience)
	var last interface{ Wait(context.Context) error }
	for i := range packets {
		d, err := c.Publish(ctx, []telemetry.Group{group("d", "k", int64(i+2), telemetry.Int(1))})
		require.NoError(t, err)
		last = d
	}
	require.NoError(t, last.Wait(ctx))
	require.Less(t, time.Since(began), packets*delay/8, "one by one it would take %v", packets*delay)
}

func TestWindowBoundsWhatIsUnderWay(t *testing.T) {
	srv := serve(t, tbtest.Config{MaxInflight: 10})
	c := connected(t, config(t, srv), downlink{})
	srv.Delay(5 * time.Millisecond)
	var batches [][]telemetry.Group
	for i := range 100 {
		batches = append(batches, []telemetry.Group{group("d", "k", int64(i+1), telemetry.Int(1))})
	}
	require.NoError(t, feed(within(t, patience), c, batches))
	most := srv.Stats().MaxUnacked
	require.LessOrEqual(t, most, 10)
	require.Greater(t, most, 3, "the window is used")
}

func TestWindowIsBoundedInBytes(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.WindowBytes = 10_000
	c := connected(t, cfg, downlink{})
	publish(t, c, group("d", "k", 1, telemetry.Int(1)))
	srv.Delay(5 * time.Millisecond)
	big := telemetry.String(strings.Repeat("x", 4000))
	var batches [][]telemetry.Group
	for i := range 20 {
		batches = append(batches, []telemetry.Group{group("d", "k", int64(i+2), big)})
	}
	require.NoError(t, feed(within(t, patience), c, batches))
	require.LessOrEqual(t, srv.Stats().MaxUnacked, 2)
}

func TestLostAcknowledgementsArePublishedAgain(t *testing.T) {
	for _, lose := range []string{"messages", "acknowledgements"} {
		t.Run(lose, func(t *testing.T) {
			srv := serve(t, tbtest.Config{})
			cfg := config(t, srv)
			cfg.Timeout = 200 * time.Millisecond
			c := connected(t, cfg, downlink{})
			if lose == "messages" {
				srv.Lose(2, 0)
			} else {
				srv.DropAcks(2)
			}
			ctx := within(t, patience)
			d, err := c.Publish(ctx, []telemetry.Group{group("d", "k", 1, telemetry.Int(1))})
			require.NoError(t, err)
			err = d.Wait(ctx)
			require.Error(t, err, "no acknowledgement, no success")
			require.NoError(t, ctx.Err())
			require.NoError(t, feed(ctx, c, [][]telemetry.Group{{group("d", "k", 1, telemetry.Int(1))}}))
			require.NotEmpty(t, srv.Readings())
			require.GreaterOrEqual(t, srv.Stats().Connects, uint64(2))
		})
	}
}

func TestFrozenPlatformIsNoticed(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.Timeout = 200 * time.Millisecond
	c := connected(t, cfg, downlink{})
	srv.Freeze(true)
	ctx := within(t, patience)
	d, err := c.Publish(ctx, []telemetry.Group{group("d", "k", 1, telemetry.Int(1))})
	require.NoError(t, err)
	require.Error(t, d.Wait(ctx))
	require.NoError(t, ctx.Err())
	srv.Freeze(false)
	require.NoError(t, feed(ctx, c, [][]telemetry.Group{{group("d", "k", 1, telemetry.Int(1))}}))
}

func TestCredentialsOfAPlainDeviceAreExplained(t *testing.T) {
	srv := serve(t, tbtest.Config{NotGateway: true})
	var log logBuffer
	cfg := config(t, srv)
	cfg.Timeout, cfg.Logger = 200*time.Millisecond, log.logger()
	c := connected(t, cfg, downlink{})
	ctx := within(t, patience)
	d, err := c.Publish(ctx, []telemetry.Group{group("d", "k", 1, telemetry.Int(1))})
	require.NoError(t, err)
	require.ErrorContains(t, d.Wait(ctx), "not those of a gateway")
	eventually(t, "logged", func() bool { return strings.Contains(log.String(), "not those of a gateway") })
}

func TestWrongTokenIsReportedOnceAndTriedOn(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "another"})
	var log logBuffer
	cfg := config(t, srv)
	cfg.Logger = log.logger()
	_, stop := run(t, cfg, downlink{})
	eventually(t, "tried several times", func() bool { return srv.Stats().Refused >= 5 })
	stop()
	require.Equal(t, 1, strings.Count(log.String(), "refuses the credentials, trying on"))
	require.NotContains(t, log.String(), token)
}

func TestUserAndPassword(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "-", Username: "gw", Password: "pAsSwOrD"})
	cfg := config(t, srv)
	cfg.AccessToken, cfg.Username, cfg.Password, cfg.ClientID = "", "gw", "pAsSwOrD", "gw-1"
	publish(t, connected(t, cfg, downlink{}), group("d", "k", 1, telemetry.Int(1)))
	require.Zero(t, srv.Stats().Refused)
}

func TestSecretsAreInNoLogAndNoError(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "x", Username: "gw", Password: "pAsSwOrD"})
	var log logBuffer
	cfg := config(t, srv)
	cfg.Logger = log.logger()
	cfg.AccessToken = ""
	for _, broker := range []string{
		"tcp://" + token + ":pAsSwOrD2@" + srv.Addr(), // refused
		"tcp://" + token + ":pAsSwOrD2@127.0.0.1:1",   // out of reach
		"nonsense://" + token + ":pAsSwOrD2@h:1",
		"tcp://" + token + ":pAsSwOrD2@h:port",
	} {
		before := len(log.String())
		cfg.Broker = broker
		_, stop := run(t, cfg, downlink{})
		eventually(t, "logged", func() bool { return len(log.String()) > before })
		stop()
	}
	require.NotContains(t, log.String(), token)
	require.NotContains(t, log.String(), "pAsSwOrD")
}

func TestPublishWaitsForTheConnectionAndHonoursItsContext(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	srv.SetLink(false)
	c, _ := run(t, config(t, srv), downlink{})
	_, err := c.Publish(within(t, 50*time.Millisecond), []telemetry.Group{group("d", "k", 1, telemetry.Int(1))})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	srv.SetLink(true)
	publish(t, c, group("d", "k", 1, telemetry.Int(1)))
	require.Len(t, srv.Readings(), 1)
}

func TestPlainBrokerThatTellsNoLimits(t *testing.T) {
	srv := serve(t, tbtest.Config{NoLimits: true})
	c := connected(t, config(t, srv), downlink{})
	publish(t, c, group("d", "k", 1, telemetry.Int(1)))
}

func TestNothingToSendIsDelivered(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	publish(t, c)
	publish(t, c,
		telemetry.Group{Device: telemetry.Device{Name: "empty"}},
		group("", "k", 1, telemetry.Int(1)),
		group("d", "nan", 1, telemetry.Float(math.NaN())),
		group("d", "none", 1, telemetry.Value{}))
	require.Equal(t, uint64(3), c.Stats().Skipped)
	require.Zero(t, c.Stats().Packets)
	require.Zero(t, srv.Stats().Announced)
}

func TestBadValuesDoNotTakeOthersWithThem(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	g := group("d", "good", 1, telemetry.Int(1))
	g.Telemetry = append(g.Telemetry, telemetry.Point{Key: "bad", TS: 1, Value: telemetry.Float(math.Inf(1))},
		telemetry.Point{Key: "fine", TS: 1, Value: telemetry.Bool(true)})
	g.Attributes = []telemetry.Point{{Key: "none"}, {Key: "a", Value: telemetry.String("x")}}
	publish(t, c, g, group("", "k", 1, telemetry.Int(1)), group("e", "k", 1, telemetry.Int(2)))
	require.Equal(t, map[string]any{"a": "x"}, srv.Attributes("d"))
	var keys []string
	for _, r := range srv.Readings() {
		keys = append(keys, r.Device+"."+r.Key)
	}
	require.Equal(t, []string{"d.good", "d.fine", "e.k"}, keys)
}

func TestNoPayloadIsLargerThanTheLimit(t *testing.T) {
	const limit = 2000
	var mu sync.Mutex
	largest := 0
	srv := serve(t, tbtest.Config{MaxPayload: limit, OnPublish: func(m tbtest.Message) {
		mu.Lock()
		defer mu.Unlock()
		largest = max(largest, len(m.Payload))
	}})
	c := connected(t, config(t, srv), downlink{})
	var groups []telemetry.Group
	want := 0
	for i := range 300 {
		name := fmt.Sprintf("Wärmepumpe №%d 熱泵", i%7)
		g := group(name, "température 🌡", int64(i+1), telemetry.String(strings.Repeat("ж\n\"🔥", i%60)))
		g.Attributes = []telemetry.Point{{Key: fmt.Sprintf("ключ%d", i), Value: telemetry.String(strings.Repeat("é", i%100))}}
		groups = append(groups, g)
		want++
	}
	publish(t, c, groups...)
	require.Len(t, srv.Readings(), want)
	require.Equal(t, uint64(want), srv.Stats().Attributes)
	require.Zero(t, srv.Stats().TooLarge)
	require.LessOrEqual(t, largest, limit*8/10)
	require.Greater(t, largest, limit*6/10, "payloads are filled")
}

func TestValueThatIsTooLargeIsLeftOutAlone(t *testing.T) {
	srv := serve(t, tbtest.Config{MaxPayload: 1000})
	var log logBuffer
	cfg := config(t, srv)
	cfg.Logger = log.logger()
	c := connected(t, cfg, downlink{})
	g := group("d", "before", 1, telemetry.Int(1))
	huge := telemetry.String(strings.Repeat("x", 5000))
	g.Telemetry = append(g.Telemetry, telemetry.Point{Key: "huge", TS: 1, Value: huge},
		telemetry.Point{Key: "after", TS: 1, Value: telemetry.Int(2)})
	g.Attributes = []telemetry.Point{{Key: "hugeA", Value: huge}, {Key: "a", Value: telemetry.Int(3)}}
	publish(t, c, g, group("e", "k", 1, telemetry.Int(4)),
		group(strings.Repeat("n", 5000), "k", 1, telemetry.Int(5)))
	require.Len(t, srv.Readings(), 3)
	require.Equal(t, map[string]any{"a": int64(3)}, srv.Attributes("d"))
	require.Zero(t, srv.Stats().TooLarge)
	require.GreaterOrEqual(t, c.Stats().Oversize, uint64(3))
	require.Contains(t, log.String(), "key=hugeA")
	require.Contains(t, log.String(), "device=d")
}

func TestRunEndsPromptly(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	t.Run("connected", func(t *testing.T) {
		connected(t, config(t, srv), downlink{})
	})
	t.Run("waiting to reconnect", func(t *testing.T) {
		cfg := config(t, srv)
		cfg.Broker, cfg.ShortestBackoff, cfg.LongestBackoff = "tcp://127.0.0.1:1", time.Hour, time.Hour
		_, stop := run(t, cfg, downlink{})
		time.Sleep(20 * time.Millisecond)
		stop()
	})
	t.Run("in the handshake", func(t *testing.T) {
		frozen := serve(t, tbtest.Config{})
		frozen.Freeze(true)
		_, stop := run(t, config(t, frozen), downlink{})
		time.Sleep(50 * time.Millisecond)
		began := time.Now()
		stop()
		require.Less(t, time.Since(began), 5*time.Second)
	})
}

func TestRunTwiceAtATimeIsRefused(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	require.Error(t, c.Run(t.Context(), downlink{}))
}

func TestChangesOfTheConnectionAreLoggedOnce(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	var log logBuffer
	cfg := config(t, srv)
	cfg.Logger = log.logger()
	c := connected(t, cfg, downlink{})
	srv.SetLink(false)
	eventually(t, "lost", func() bool { return strings.Count(log.String(), "level=DEBUG") >= 5 })
	srv.SetLink(true)
	eventually(t, "connected again", func() bool { return c.Stats().Connected && strings.Count(log.String(), "level=INFO") >= 2 })
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	require.Equal(t, 2, strings.Count(log.String(), "level=INFO"), log.String())
}
