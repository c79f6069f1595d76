package statistics_test

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/statistics"
)

func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// The keys are those that the dashboards of the Python gateway read.
func TestTheKeysAreThoseOfTheDashboards(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the figures of the machine are there on Linux")
	}
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		s.stats.Connectors["M1"] = gateway.ConnectorStats{Received: 9, Records: 8, Invalid: 1, Bytes: 120, Telemetry: 18, Attributes: 3}
		run(t, statistics.New(s.config()), p)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		machine := p.docs(t, "machineStats")
		require.Len(t, machine, 2, "one at once, and one each minute")
		for _, key := range []string{
			"diskUsage", "freeMemory", "availableMemory", "freeDisk", "gwMemory",
			"gwProcessMemoryFullInfo", "msgsSentToPlatform", "msgsReceivedFromPlatform",
		} {
			require.Contains(t, machine[0], key)
			require.Contains(t, machine[1], key)
		}
		full := machine[1]["gwProcessMemoryFullInfo"].(map[string]any)
		for _, key := range []string{"rss", "vms", "shared", "text", "data"} {
			require.Contains(t, full, key)
		}
		require.Greater(t, full["rss"], 1e6)
		require.Greater(t, full["vms"], full["rss"])
		for _, key := range []string{"diskUsage", "freeMemory", "gwMemory"} {
			require.Greater(t, machine[1][key], -0.1)
			require.LessOrEqual(t, machine[1][key], 100.0)
		}
		require.Regexp(t, `^\d+\.\d[BKMGTPE]$`, machine[1]["freeDisk"])
		require.Equal(t, []string{"platformAttrProduced", "platformMsgPushed", "platformTsProduced", "storageMsgCount", "storageMsgPulled"}, keys(p.docs(t, "serviceStats")[0]))
		connectors := p.docs(t, "connectorsStats")[0]
		require.Equal(t, map[string]any{"connectorMsgsReceived": 9.0, "connectorBytesReceived": 120.0, "storageMsgPushed": 8.0}, connectors["M1"])
		require.Equal(t, map[string]any{
			"convertersMsgProcessed": 9.0, "convertersTsProduced": 18.0, "convertersAttrProduced": 3.0, "convertersMsgDropped": 1.0,
		}, connectors["M1_converter"])

		var attributes []string
		for _, a := range p.attributes {
			attributes = append(attributes, a.Key)
			if a.Key == "cpuCount" {
				require.EqualValues(t, runtime.NumCPU(), a.Value.Int())
			} else {
				require.Regexp(t, `^\d+\.\d[KMGTPE]$`, a.Value.String())
			}
		}
		require.ElementsMatch(t, []string{"totalMemory", "totalDisk", "cpuCount"}, attributes, "once")
	})
}

func TestUsageOfTheProcessorIsOfThePeriod(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the figures of the machine are there on Linux")
	}
	s, p := newSource(), new(platform)
	c := statistics.New(s.config())
	stop := run(t, c, p)
	require.Eventually(t, func() bool { return len(p.all("machineStats")) == 1 }, 20*time.Second, time.Millisecond)
	stop()
	for began := time.Now(); time.Since(began) < 200*time.Millisecond; { // keep a core busy
		_ = strings.Repeat("x", 1000)
	}
	run(t, c, p)
	require.Eventually(t, func() bool { return len(p.all("machineStats")) == 2 }, 20*time.Second, time.Millisecond)
	first, second := p.docs(t, "machineStats")[0], p.docs(t, "machineStats")[1]
	require.NotContains(t, first, "totalCpuUsage", "there was no period before the first message")
	require.NotContains(t, first, "gwProcessCpuUsage")
	require.Greater(t, second["totalCpuUsage"], 0.0)
	require.LessOrEqual(t, second["totalCpuUsage"], 100.0)
	require.Greater(t, second["gwProcessCpuUsage"], 0.0)
}

func TestCountersAreOfThePeriodAndNoneIsLostWhenPublishingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		cfg := s.config()
		cfg.Period = 30 * time.Second
		run(t, statistics.New(cfg), p)
		synctest.Wait()
		work := func(n uint64) {
			s.change(func() {
				c := s.stats.Connectors["M1"]
				c.Received, c.Records = c.Received+n, c.Records+n
				c.Telemetry, c.Attributes, c.Bytes = c.Telemetry+3*n, c.Attributes+n, c.Bytes+40*n
				s.stats.Connectors["M1"] = c
				s.stats.Published += 10 * n
				s.stats.Attributes += 4 * n
				s.stats.Store = eventstore.Stats{Appended: c.Records, Pending: 2, Dropped: 1}
				s.client.Sent += n
				s.client.Received += 2 * n
			})
			time.Sleep(30 * time.Second)
			synctest.Wait()
		}
		work(5)
		p.fail(errors.New("the platform is away"))
		work(7)
		work(11)
		p.fail(nil)
		work(13)
		work(0)

		service := p.docs(t, "serviceStats")
		require.Len(t, service, 4)
		for i, n := range []float64{0, 5, 7 + 11 + 13, 0} {
			require.Equal(t, 6*n, service[i]["platformTsProduced"])
			require.Equal(t, 4*n, service[i]["platformAttrProduced"])
			require.Equal(t, n, service[i]["platformMsgPushed"])
			machine := p.docs(t, "machineStats")[i]
			require.Equal(t, n, machine["msgsSentToPlatform"])
			require.Equal(t, 2*n, machine["msgsReceivedFromPlatform"])
			if i > 0 {
				connectors := p.docs(t, "connectorsStats")[i]
				require.Equal(t, map[string]any{"connectorMsgsReceived": n, "connectorBytesReceived": 40 * n, "storageMsgPushed": n}, connectors["M1"])
				require.Equal(t, map[string]any{
					"convertersMsgProcessed": n, "convertersTsProduced": 3 * n, "convertersAttrProduced": n, "convertersMsgDropped": 0.0,
				}, connectors["M1_converter"])
				require.Equal(t, 2.0, service[i]["storageMsgCount"])
			}
		}
		require.Equal(t, 2.0, service[1]["storageMsgPulled"], "of 5, 2 are there and 1 was dropped")
		require.Equal(t, 31.0, service[2]["storageMsgPulled"])
	})
}

// A connector that was replaced counts from zero.
func TestACounterThatBeginsAnewIsNotNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		s.stats.Connectors["M1"] = gateway.ConnectorStats{Received: 100}
		run(t, statistics.New(s.config()), p)
		synctest.Wait()
		s.change(func() { s.stats.Connectors["M1"] = gateway.ConnectorStats{Received: 3} })
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 3.0, p.docs(t, "connectorsStats")[1]["M1"].(map[string]any)["connectorMsgsReceived"])
	})
}

func TestThePlatformThatIsAwayHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), &platform{down: make(chan struct{})}
		stop := run(t, statistics.New(s.config()), p)
		time.Sleep(10 * time.Hour)
		require.Empty(t, p.messages)
		close(p.down)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.NotEmpty(t, p.messages)
		began := time.Now()
		stop()
		require.Zero(t, time.Since(began), "it ends at once")
	})
}

func TestSettingsChangeWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		c := statistics.New(s.config())
		run(t, c, p)
		count := func(d time.Duration) int {
			synctest.Wait()
			before := len(p.all("serviceStats"))
			time.Sleep(d)
			synctest.Wait()
			return len(p.all("serviceStats")) - before
		}
		require.Equal(t, 1, count(65*time.Second))
		c.Set(statistics.Settings{Period: time.Second}) // below the shortest
		require.InDelta(t, 6, count(time.Minute), 1)
		c.Set(statistics.Settings{Period: -1})
		require.Zero(t, count(time.Hour))
		c.Set(statistics.Settings{Period: time.Hour})
		require.InDelta(t, 10, count(10*time.Hour), 1)
	})
}

func TestErrorsAreCountedInMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		s.stats.Connectors["M1"] = gateway.ConnectorStats{}
		cfg := s.config()
		cfg.Errors = s.countErrors
		run(t, statistics.New(cfg), p)
		step := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		step(7 * time.Second)
		require.Empty(t, p.all("ALL_ERRORS_COUNT"), "there was none")
		s.change(func() { s.errors["service"], s.errors["M1"] = 4, 2 })
		step(5 * time.Second)
		s.change(func() { s.errors["M1"] = 3 })
		step(40 * time.Second)
		values := func(key string) (out []int64) {
			for _, v := range p.all(key) {
				out = append(out, v.Int())
			}
			return out
		}
		require.Equal(t, []int64{6, 7}, values("ALL_ERRORS_COUNT"), "published when they have changed")
		require.Equal(t, []int64{4, 4}, values("service_ERRORS_COUNT"))
		require.Equal(t, []int64{2, 3}, values("M1_ERRORS_COUNT"))
		step(time.Hour)
		require.Equal(t, []int64{6, 7, 0}, values("ALL_ERRORS_COUNT"), "and again when the minute is over")
		p.fail(errors.New("away"))
		s.change(func() { s.errors["M1"] = 5 })
		step(30 * time.Second)
		p.fail(nil)
		step(10 * time.Second)
		require.Equal(t, []int64{6, 7, 0, 2}, values("ALL_ERRORS_COUNT")[:4], "what failed is published later")
		step(time.Minute)
		sum := 0.0
		for _, doc := range p.docs(t, "connectorsStats") {
			n, _ := doc["M1"].(map[string]any)["connectorsErrors"].(float64)
			sum += n
		}
		require.Equal(t, 5.0, sum)
	})
}
