//go:build linux

package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

var idleFor = flag.Duration("idle.for", 10*time.Second, "how long the idle gateway is measured")

// A gateway with ten connectors, to which nothing happens, takes less than a
// hundredth of a core.
func TestIdleConnectorsTakeLessThanAHundredthOfACore(t *testing.T) {
	platform, broker := newPlatform(t), newBroker(t)
	connectors := make(map[string]any)
	for i := range 5 {
		host, port, err := net.SplitHostPort(broker)
		require.NoError(t, err)
		connectors[fmt.Sprintf("mqtt %d", i)] = map[string]any{
			"broker": map[string]any{"host": host, "port": json.Number(port), "clientId": fmt.Sprintf("idle-%d", i), "security": map[string]any{"type": "anonymous"}},
			"mapping": []any{map[string]any{"topicFilter": "sensor/+/data", "subscriptionQos": 1, "converter": map[string]any{
				"type": "json", "deviceInfo": map[string]any{
					"deviceNameExpressionSource": "topic", "deviceNameExpression": "(?<=sensor/)(.*?)(?=/data)",
					"deviceProfileExpressionSource": "constant", "deviceProfileExpression": "sensor",
				},
				"timeseries": []any{map[string]any{"type": "double", "key": "t", "value": "${t}"}},
			}}},
		}
		srv, err := modbustest.Listen("127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = srv.Close() })
		slow := meters(t, srv.Addr())
		slow["master"].(map[string]any)["slaves"].([]any)[0].(map[string]any)["pollPeriod"] = 60_000
		connectors[fmt.Sprintf("modbus %d", i)] = slow
	}
	dir := configure(t, platform.Addr(), connectors)
	p := start(t, nil, "-config", dir, "-http", "127.0.0.1:0")
	url := p.address()
	eventually(t, "all connectors run", func() bool {
		_, text := get(t, url+"/metrics")
		return strings.Count(text, `state="running"} 1`) == 10
	})
	eventually(t, "everything is published", func() bool { return metric(t, url, "gateway_store_records") == 0 })

	cpu, began := usage(t, p.cmd.Process.Pid), time.Now()
	time.Sleep(*idleFor)
	share := (usage(t, p.cmd.Process.Pid) - cpu).Seconds() / time.Since(began).Seconds()
	t.Logf("10 idle connectors: %.3f %% of a core, %.1f MB resident", 100*share, metric(t, url, "process_resident_memory_bytes")/1e6)
	require.Less(t, share, 0.01)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.code())
}

// newBroker starts a broker in the process to which nobody publishes.
func newBroker(t *testing.T) (addr string) {
	t.Helper()
	srv := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, srv.AddHook(new(auth.AllowHook), nil))
	ln := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	require.NoError(t, srv.AddListener(ln))
	require.NoError(t, srv.Serve())
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Address()
}

// usage returns the processor time of a process so far, of all its threads, which
// the kernel keeps in nanoseconds.
func usage(t *testing.T, pid int) (sum time.Duration) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	require.NoError(t, err)
	require.NotEmpty(t, threads)
	for _, thread := range threads {
		raw, err := os.ReadFile(thread)
		require.NoError(t, err)
		var ns int64
		_, err = fmt.Sscan(string(raw), &ns)
		require.NoError(t, err)
		sum += time.Duration(ns)
	}
	return sum
}
