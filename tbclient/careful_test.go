package tbclient_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// versions runs f for each version of MQTT.
func versions(t *testing.T, f func(t *testing.T, version int)) {
	t.Helper()
	for _, v := range []int{4, 5} {
		t.Run(map[int]string{4: "MQTT 3.1.1", 5: "MQTT 5"}[v], func(t *testing.T) { f(t, v) })
	}
}

// quarantined returns the lines of a quarantine file.
func quarantined(t *testing.T, path string) (lines []map[string]any) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var line map[string]any
		require.NoError(t, json.Unmarshal(s.Bytes(), &line), s.Text())
		lines = append(lines, line)
	}
	return lines
}

// thousand returns a batch of 1,000 values of 50 devices.
func thousand() (groups []telemetry.Group) {
	for dev := range 50 {
		g := telemetry.Group{Device: telemetry.Device{Name: fmt.Sprintf("dev%d", dev), Profile: "meter"}}
		for i := range 20 {
			g.Telemetry = append(g.Telemetry, telemetry.Point{Key: fmt.Sprintf("k%d", i%5), TS: int64(i/5 + 1), Value: telemetry.Int(int64(dev*20 + i))})
		}
		groups = append(groups, g)
	}
	return groups
}

// distinct counts the readings of a server that differ in their values.
func distinct(srv *tbtest.Server) int {
	got := make(map[any]bool)
	for _, r := range srv.Readings() {
		got[r.Value] = true
	}
	return len(got)
}

func TestPoisonIsFoundAndQuarantinedAndAllElseArrives(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		for _, poisons := range []int{1, 2, 10} {
			t.Run(fmt.Sprint(poisons), func(t *testing.T) {
				bad := func(v int64) bool { return v%97 == 13 && v < int64(97*poisons) }
				srv := serve(t, tbtest.Config{Refuse: func(_, _ string, _ int64, v any) bool {
					n, ok := v.(int64)
					return ok && bad(n)
				}})
				cfg := config(t, srv)
				cfg.Version = version
				cfg.Quarantine = filepath.Join(t.TempDir(), "data", "quarantine.jsonl")
				var log logBuffer
				cfg.Logger = log.logger()
				c := connected(t, cfg, downlink{})
				publish(t, c, group("other", "k", 1, telemetry.Int(-1)))
				began := time.Now()
				require.NoError(t, feed(within(t, 3*patience), c, [][]telemetry.Group{thousand(), {group("other", "k", 2, telemetry.Int(-2))}}))
				t.Logf("%d poison values of 1,000: %d connections, %v", poisons, srv.Stats().Connects, time.Since(began))

				arrived := make(map[int64]bool)
				for _, r := range srv.Readings() {
					arrived[r.Value.(int64)] = true
				}
				found := make(map[int64]bool)
				for _, line := range quarantined(t, cfg.Quarantine) {
					v := int64(line["value"].(float64))
					require.True(t, bad(v), "%v is innocent", line)
					require.Equal(t, fmt.Sprintf("dev%d", v/20), line["device"])
					require.Equal(t, fmt.Sprintf("k%d", v%20%5), line["key"])
					require.Equal(t, "telemetry", line["kind"])
					require.EqualValues(t, v%20/5+1, line["ts"])
					require.NotEmpty(t, line["reason"])
					found[v] = true
				}
				require.Len(t, found, poisons)
				require.Len(t, arrived, 1002-poisons)
				require.EqualValues(t, poisons, c.Stats().Quarantined)
				info, err := os.Stat(cfg.Quarantine)
				require.NoError(t, err)
				require.Zero(t, info.Mode().Perm()&0o077, "others may not read it")
				require.Equal(t, 1, strings.Count(log.String(), "looking for the part"), "it is said once")
			})
		}
	})
}

func TestNothingIsQuarantinedWhileThePlatformTakesNothing(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		var broken atomic.Bool
		srv := serve(t, tbtest.Config{Refuse: func(string, string, int64, any) bool { return broken.Load() }})
		cfg := config(t, srv)
		cfg.Version = version
		cfg.Quarantine = filepath.Join(t.TempDir(), "quarantine.jsonl")
		c := connected(t, cfg, downlink{})
		publish(t, c, group("other", "k", 1, telemetry.Int(-1)))
		broken.Store(true)
		fed := make(chan error, 1)
		ctx := within(t, 3*patience)
		go func() { fed <- feed(ctx, c, [][]telemetry.Group{thousand()}) }()
		refused := func() uint64 { s := srv.Stats(); return s.Rejected + s.Refusals }
		eventually(t, "the client tries on", func() bool { return refused() > 60 })
		require.Empty(t, fed)
		broken.Store(false)
		require.NoError(t, <-fed)
		require.Zero(t, c.Stats().Quarantined)
		require.NoFileExists(t, cfg.Quarantine)
		require.Equal(t, 1001, distinct(srv))
	})
}

func TestDataOfADeviceThatThePlatformRefusesIsQuarantined(t *testing.T) {
	srv := serve(t, tbtest.Config{RefuseDevice: func(name, _ string) byte {
		if name == "dev7" {
			return 128
		}
		return 0
	}})
	cfg := config(t, srv)
	cfg.Version = 5
	cfg.Quarantine = filepath.Join(t.TempDir(), "quarantine.jsonl")
	c := connected(t, cfg, downlink{})
	publish(t, c, group("other", "k", 1, telemetry.Int(-1)))
	require.NoError(t, feed(within(t, 3*patience), c, [][]telemetry.Group{thousand()}))
	lines := quarantined(t, cfg.Quarantine)
	require.Len(t, lines, 20)
	for _, line := range lines {
		require.Equal(t, "dev7", line["device"])
		require.Contains(t, line["reason"], "device")
	}
	require.Equal(t, 1001-20, distinct(srv))
}

// Looking for poison costs messages, so limits are reached soon; they are no
// sign of poison.
func TestALimitThatIsReachedWhileLookingBlamesNothing(t *testing.T) {
	srv := serve(t, tbtest.Config{
		NoLimits: true, RateLimits: tbtest.RateLimits{Gateway: tbtest.Rates{TelemetryMessages: "6:1"}},
		Refuse: func(_, _ string, _ int64, v any) bool { return v == int64(13) },
	})
	cfg := config(t, srv)
	cfg.Version = 5
	cfg.Quarantine = filepath.Join(t.TempDir(), "quarantine.jsonl")
	c := connected(t, cfg, downlink{})
	publish(t, c, group("other", "k", 1, telemetry.Int(-1)))
	require.NoError(t, feed(within(t, 3*patience), c, [][]telemetry.Group{thousand()[:2]}))
	require.NotZero(t, srv.Stats().RateLimited)
	require.Len(t, quarantined(t, cfg.Quarantine), 1)
	require.Equal(t, 40, distinct(srv))
}

func TestQuarantineFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 25 {
		require.NoError(t, tbclient.AppendFile(path, line, 1000))
	}
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(1000))
		require.Zero(t, info.Size()%100, "whole lines")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
