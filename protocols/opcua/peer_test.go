//go:build unix

package opcua_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// atPeer is a configuration for the device Dev of a real server.
func atPeer(s *peer.OPCUAServer, items ...string) opcua.Config {
	m := opcua.Mapping{
		Node: `Root\.Objects\.Dev`, DeviceName: "dev ${Name}",
		Updates: []opcua.Update{{Key: "setpoint", Node: "Setpoint"}, {Key: "small", Node: `Root\.Objects\.Dev\.Small`}},
		Methods: []opcua.Method{{Name: "Add"}},
	}
	for _, name := range items {
		m.Telemetry = append(m.Telemetry, opcua.Item{Key: name, Node: name})
	}
	return opcua.Config{URL: s.URL(), Mappings: []opcua.Mapping{m}}
}

func TestPeerValuesOfAllTypesCallsAndWrites(t *testing.T) {
	s := peer.OPCUA{}.Start(t)
	for _, poll := range []bool{false, true} {
		cfg := atPeer(s, "Setpoint", "Small", "Flag", "Füllstand Öl %", "Text", "Moment", "Bytes", "Arr", "Sample", "Broken")
		cfg.Poll, cfg.PollPeriod = poll, 100*time.Millisecond
		c := opcua.New(cfg)
		h, stop := run(t, c)
		want := map[string]string{
			"Setpoint": "21.5", "Small": "5", "Flag": "true", "Füllstand Öl %": "0.5", "Text": "hallo", "Bytes": "01feff",
			"Moment": "2024-01-02T03:04:05.678000+00:00", "Arr": "[1.0,2.5,3.0]",
			"Sample": `{"Level":1.5,"Label":"x","Counts":[1,2]}`, "Broken_status": "BadSensorFailure",
		}
		until(t, long, "all values", func() bool {
			for key, value := range want {
				if h.last("dev pump", key).String() != value {
					return false
				}
			}
			return true
		})
		require.Empty(t, h.series("dev pump", "Broken"))

		call := func(method, params string) (string, error) {
			v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "dev pump", Method: method, Params: []byte(params)})
			return v.String(), err
		}
		sum, err := call("Add", "[2, 40]")
		require.NoError(t, err)
		require.Equal(t, "42", sum)
		_, err = call("Add", "[2, 3000000000]")
		require.ErrorContains(t, err, "argument 2: 3000000000 is outside the range of Int32")
		_, err = call("set", `"Small; 200"`)
		require.ErrorContains(t, err, "outside the range of SByte")
		_, err = call("set", `"ns=1;s=Füllstand Öl %; 0.75"`)
		require.NoError(t, err)
		level, err := call("get", `"Füllstand Öl %"`)
		require.NoError(t, err)
		require.Equal(t, "0.75", level)
		_, err = call("set", `{"node": "Arr", "value": [4, 5]}`)
		require.NoError(t, err)
		require.NoError(t, c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "dev pump", Attributes: []telemetry.Point{
			{Key: "setpoint", Value: telemetry.Int(7)}, {Key: "small", Value: telemetry.String("-3")},
		}}))
		until(t, long, "what was written comes back", func() bool {
			return h.last("dev pump", "Setpoint") == telemetry.Float(7) && h.last("dev pump", "Small") == telemetry.Int(-3) &&
				h.last("dev pump", "Arr").String() == "[4.0,5.0]"
		})
		for _, undo := range []string{`"Setpoint; 21.5"`, `"Small; 5"`, `"ns=1;s=Füllstand Öl %; 0.5"`, `{"node":"Arr","value":[1,2.5,3]}`} {
			_, err := call("set", undo)
			require.NoError(t, err)
		}
		stop()
	}
}

func TestPeerAllPoliciesModesAndIdentities(t *testing.T) {
	s := peer.OPCUA{}.Start(t)
	dir := t.TempDir()
	identities := map[string]opcua.Identity{"anonymous": {}, "user": {User: "user", Password: "pass"}, "certificate": {Certificate: true}}
	for _, policy := range []string{"", "Basic256", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256_Sha256_RsaPss"} {
		for _, mode := range []string{"Sign", "SignAndEncrypt"} {
			for who, id := range identities {
				if policy == "" && (mode == "Sign" || who == "certificate") {
					continue
				}
				t.Run(policy+"/"+mode+"/"+who, func(t *testing.T) {
					cfg := atPeer(s, "Setpoint")
					cfg.Identity = id
					cfg.Security = opcua.Security{Policy: policy, Mode: mode, Dir: dir, ServerCert: s.Certificate()}
					if policy == "" {
						cfg.Security = opcua.Security{}
					}
					h, _ := run(t, opcua.New(cfg))
					until(t, long, "a value", func() bool { return h.last("dev pump", "Setpoint") == telemetry.Float(21.5) })
				})
			}
		}
	}
}

func TestPeerStrangersAreRefused(t *testing.T) {
	s := peer.OPCUA{NoAnonymous: true}.Start(t)
	refused := func(cfg opcua.Config, why string) {
		t.Helper()
		h, stop := run(t, opcua.New(cfg))
		until(t, long, why, func() bool { return h.log.count(why) > 0 })
		stop()
		require.Empty(t, h.Readings(false))
	}
	cfg := atPeer(s, "Setpoint")
	refused(cfg, "the server does not accept anonymous sessions")
	cfg.Identity = opcua.Identity{User: "user", Password: "wrong"}
	refused(cfg, "log in")

	// A server that is not trusted gets nothing, until somebody moves its certificate.
	cfg.Identity.Password = "pass"
	dir := t.TempDir()
	cfg.Security = opcua.Security{Policy: "Basic256Sha256", Dir: dir}
	refused(cfg, "is not trusted")
	pki := filepath.Join(dir, opcua.DefaultPKI)
	files, err := filepath.Glob(filepath.Join(pki, "rejected", "*.pem"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.Mkdir(filepath.Join(pki, "trusted"), 0o700))
	require.NoError(t, os.Rename(files[0], filepath.Join(pki, "trusted", "server.pem")))
	own, err := os.ReadFile(filepath.Join(pki, "own.pem"))
	require.NoError(t, err)
	h, stop := run(t, opcua.New(cfg))
	until(t, long, "a value", func() bool { return h.last("dev pump", "Setpoint").Valid() })
	stop()
	again, err := os.ReadFile(filepath.Join(pki, "own.pem"))
	require.NoError(t, err)
	require.Equal(t, string(own), string(again), "the own certificate is not kept")
}

func TestPeerThousandValues(t *testing.T) {
	s := peer.OPCUA{Variables: 1000, Limits: map[string]int{"maxNodesPerRead": 100, "maxMonitoredItemsPerCall": 100, "maxNodesPerBrowse": 100}}.Start(t)
	for _, poll := range []bool{true, false} {
		cfg := atPeer(s)
		cfg.Poll = poll
		for i := range 1000 {
			cfg.Mappings[0].Telemetry = append(cfg.Mappings[0].Telemetry, opcua.Item{Key: fmt.Sprintf("k%d", i), Node: fmt.Sprintf("v%d", i)})
		}
		start := time.Now()
		h, stop := run(t, opcua.New(cfg))
		until(t, 2*long, "ready", h.IsReady)
		t.Logf("poll=%t: connected, and found 1,000 values, within %v", poll, time.Since(start).Round(time.Millisecond))
		until(t, 2*long, "all values", func() bool { return correct(h) == 1000 })
		t.Logf("poll=%t: had all values within %v", poll, time.Since(start).Round(time.Millisecond))
		stop()
	}
}

// number returns the number in an environment variable, or def.
func number(tb testing.TB, name string, def int) int {
	tb.Helper()
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	require.NoError(tb, err)
	return n
}

// TestPeerRestarts restarts the server as often as OPCUA_RESTARTS says, once if it
// says nothing.
func TestPeerRestarts(t *testing.T) {
	s := peer.OPCUA{}.Start(t)
	c := opcua.New(atPeer(s, "Counter", "Setpoint"))
	h, _ := run(t, c)
	until(t, long, "values", func() bool { return len(h.series("dev pump", "Counter")) > 3 })
	for i := range number(t, "OPCUA_RESTARTS", 1) {
		if i%2 == 0 {
			s.Kill()
		} else {
			s.Stop()
		}
		s.Restart()
		back := time.Now()
		before := len(h.series("dev pump", "Counter"))
		until(t, long, "values after the restart", func() bool { return len(h.series("dev pump", "Counter")) > before+3 })
		t.Logf("restart %d: values %v after the server was back", i+1, time.Since(back).Round(time.Millisecond))
	}
	until(t, long, "connections are counted", func() bool { return int(c.Stats().Reconnects) >= number(t, "OPCUA_RESTARTS", 1) })
}

func TestPeerThatIsFrozenIsLeftAndFoundAgain(t *testing.T) {
	s := peer.OPCUA{}.Start(t)
	c := opcua.New(atPeer(s, "Counter"))
	h, _ := run(t, c)
	until(t, long, "values", func() bool { return len(h.series("dev pump", "Counter")) > 3 })
	s.Signal(syscall.SIGSTOP)
	until(t, long, "the loss is noticed", func() bool { return !c.Health().OK })
	s.Signal(syscall.SIGCONT)
	back, before := time.Now(), len(h.series("dev pump", "Counter"))
	until(t, long, "values", func() bool { return len(h.series("dev pump", "Counter")) > before+3 })
	t.Logf("values %v after the server went on", time.Since(back).Round(time.Millisecond))
}

// quietHost counts instead of keeping.
type quietHost struct {
	*connectortest.Host
	points, late atomic.Int64
	worst        atomic.Int64
}

// Submit implements connector.Sink.
func (h *quietHost) Submit(_ context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	now := time.Now().UnixMilli()
	for _, g := range b.Groups() {
		for _, p := range g.Telemetry {
			h.points.Add(1)
			if d := now - p.TS; d > h.worst.Load() {
				h.worst.Store(d)
			}
			if now-p.TS > 2000 {
				h.late.Add(1)
			}
		}
	}
	return connector.Receipt{}, nil
}

// TestPeerManyMonitoredItems monitors as many values as OPCUA_ITEMS says, 500 if it
// says nothing, each of which changes every second, for OPCUA_SECONDS, and reports
// what that takes.
func TestPeerManyMonitoredItems(t *testing.T) {
	n, seconds := number(t, "OPCUA_ITEMS", 500), number(t, "OPCUA_SECONDS", 4)
	s := peer.OPCUA{Variables: n, Period: time.Second}.Start(t)
	cfg := atPeer(s)
	cfg.Publish = time.Second
	cfg.Timeout = 30 * time.Second
	for i := range n {
		cfg.Mappings[0].Telemetry = append(cfg.Mappings[0].Telemetry, opcua.Item{Key: "v", Node: fmt.Sprintf("v%d", i), Time: opcua.SourceTime})
	}
	c := opcua.New(cfg)
	h := &quietHost{Host: connectortest.NewHost(t)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	start := time.Now()
	until(t, 4*long, "ready", h.IsReady)
	t.Logf("%d items: connected, found and monitored within %v", n, time.Since(start).Round(time.Millisecond))
	until(t, 4*long, "all values came once", func() bool { return h.points.Load() >= int64(n) })
	h.late.Store(0)
	h.worst.Store(0)
	points, cpu, from := h.points.Load(), processTime(t), time.Now()
	until(t, time.Duration(seconds)*time.Second+4*long, "the values of all seconds", func() bool {
		return h.points.Load()-points >= int64(n*seconds)*8/10
	})
	took := time.Since(from)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	stats := c.Stats()
	t.Logf("%.0f values/s, CPU %.0f%% of a core, RSS %s, heap %d MB, worst lag %d ms, %d later than 2 s, %d overflows, %d stalls, %d lost, %d reconnects",
		float64(h.points.Load()-points)/took.Seconds(), 100*(processTime(t)-cpu).Seconds()/took.Seconds(), residentSize(t), m.HeapInuse>>20,
		h.worst.Load(), h.late.Load(), stats.Overflows, stats.Stalls, stats.Lost, stats.Reconnects)
	require.Zero(t, stats.Reconnects)
	require.Zero(t, stats.Lost)
	cancel()
	require.NoError(t, <-done)
}

func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func residentSize(tb testing.TB) string {
	tb.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return "unknown"
}
