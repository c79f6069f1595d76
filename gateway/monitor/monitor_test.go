package monitor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/monitor"
	"github.com/gridlinks/iot-gateway/gateway/monitor/tbmetrics"
	"github.com/gridlinks/iot-gateway/tbclient"
)

// full is a configuration that shows everything there is.
func full() monitor.Config {
	return monitor.Config{
		Version: "1.2.3",
		Gateway: func() gateway.Stats {
			return gateway.Stats{
				Published: 100, Attributes: 30, Discarded: 1,
				Store: eventstore.Stats{Pending: 5, Bytes: 500, Appended: 105, Dropped: 2, Syncs: 7},
				Connectors: map[string]gateway.ConnectorStats{
					"meters":  {State: gateway.Running, Type: "modbus", Received: 11, Records: 10, Stored: 90, Filtered: 8, Invalid: 1, Denied: 4, Telemetry: 101, Attributes: 2, Bytes: 700, Health: &connector.Health{OK: true}},
					"sensors": {State: gateway.Failed, Type: "mqtt", Restarts: 3, LastError: errors.New("no broker")},
				},
			}
		},
		Devices: func() []gateway.DeviceInfo {
			return []gateway.DeviceInfo{
				{Name: "hall 3", Connector: "meters", Online: true, LastData: time.UnixMilli(1_700_000_000_500), Messages: 4, Points: 12, RPCs: 2, AttributeUpdates: 1},
				{Name: "annex", Connector: "meters"},
			}
		},
		Errors:       func() map[string]uint64 { return map[string]uint64{"meters": 6, "service": 1} },
		StoreFailure: func() error { return nil },
		Connected:    func() bool { return true },
		Collectors:   []monitor.Collector{tbmetrics.Client(func() tbclient.Stats { return tbclient.Stats{Packets: 42, Malformed: 3} })},
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func scrape(t *testing.T, cfg monitor.Config) *scraped {
	t.Helper()
	code, text := get(t, monitor.New(cfg), "/metrics")
	require.Equal(t, http.StatusOK, code)
	s, err := parse(text)
	require.NoError(t, err, text)
	return s
}

func TestAScrapeSaysWhatTheGatewayCounts(t *testing.T) {
	s := scrape(t, full())
	for key, want := range map[string]float64{
		"gateway_published_points_total":                                            100,
		"gateway_discarded_records_total":                                           1,
		"gateway_store_records":                                                     5,
		"gateway_store_bytes":                                                       500,
		"gateway_store_appended_records_total":                                      105,
		"gateway_store_dropped_records_total":                                       2,
		"gateway_store_syncs_total":                                                 7,
		"gateway_store_failing":                                                     0,
		"gateway_platform_connected":                                                1,
		"gateway_platform_publications_total":                                       42,
		"gateway_platform_malformed_messages_total":                                 3,
		"gateway_connector_state{connector=meters,type=modbus,state=running}":       1,
		"gateway_connector_state{connector=meters,type=modbus,state=failed}":        0,
		"gateway_connector_state{connector=sensors,type=mqtt,state=failed}":         1,
		"gateway_connector_healthy{connector=meters}":                               1,
		"gateway_connector_restarts_total{connector=sensors}":                       3,
		"gateway_connector_batches_total{connector=meters}":                         11,
		"gateway_connector_records_total{connector=meters}":                         10,
		"gateway_connector_points_total{connector=meters,result=stored}":            90,
		"gateway_connector_points_total{connector=meters,result=filtered}":          8,
		"gateway_connector_points_total{connector=meters,result=invalid}":           1,
		"gateway_connector_points_total{connector=meters,result=denied}":            4,
		"gateway_connector_submitted_points_total{connector=meters,kind=telemetry}": 101,
		"gateway_connector_submitted_points_total{connector=meters,kind=attribute}": 2,
		"gateway_connector_record_bytes_total{connector=meters}":                    700,
		"gateway_published_attributes_total":                                        30,
		"gateway_log_errors_total{source=meters}":                                   6,
		"gateway_devices": 2,
		"gateway_device_online{device=hall 3,connector=meters}":                  1,
		"gateway_device_online{device=annex,connector=meters}":                   0,
		"gateway_device_last_data_time_seconds{device=hall 3,connector=meters}":  1_700_000_000.5,
		"gateway_device_batches_total{device=hall 3,connector=meters}":           4,
		"gateway_device_points_total{device=hall 3,connector=meters}":            12,
		"gateway_device_calls_total{device=hall 3,connector=meters}":             2,
		"gateway_device_updates_total{device=hall 3,connector=meters}":           1,
		"gateway_build_info{version=1.2.3,go_version=" + runtime.Version() + "}": 1,
		"gateway_monitor_failed_collectors":                                      0,
		"gateway_monitor_rejected_samples":                                       0,
	} {
		got, ok := s.values[key]
		require.True(t, ok, key)
		require.Equal(t, want, got, key)
	}
	require.NotContains(t, s.values, "gateway_connector_healthy{connector=sensors}", "it does not report its health")
	require.NotContains(t, s.values, "gateway_device_last_data_time_seconds{device=annex,connector=meters}", "it never had data")
	require.Greater(t, s.values["go_goroutines"], 0.0)
	require.Greater(t, s.values["go_memory_total_bytes"], 1e5)
	if runtime.GOOS == "linux" {
		require.Greater(t, s.values["process_resident_memory_bytes"], 1e6)
		require.Greater(t, s.values["process_virtual_memory_bytes"], s.values["process_resident_memory_bytes"])
		require.Greater(t, s.values["process_open_fds"], 0.0)
		require.Contains(t, s.values, "process_cpu_seconds_total")
	}
	for name, typ := range s.types {
		require.Equal(t, strings.HasSuffix(name, "_total"), typ == "counter", name)
		require.NotEmpty(t, s.help[name])
	}
}

func TestEveryMetricIsDocumentedAndNoOther(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("some metrics are there on Linux only")
	}
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)[`{]").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
	}
	shown := slices.Clone(scrape(t, full()).order)
	slices.Sort(documented)
	slices.Sort(shown)
	require.Equal(t, shown, documented)
}

func TestWithoutOptionsThereAreNoDevices(t *testing.T) {
	cfg := full()
	cfg.Devices = nil
	for key := range scrape(t, cfg).values {
		require.NotContains(t, key, "device")
	}
}

func TestTheMetricsOfDevicesAreBounded(t *testing.T) {
	cfg := full()
	cfg.DeviceLimit = 10
	cfg.Devices = func() (all []gateway.DeviceInfo) {
		for i := range 5000 {
			all = append(all, gateway.DeviceInfo{Name: fmt.Sprintf("d%04d", 4999-i), Connector: "meters"})
		}
		return all
	}
	s := scrape(t, cfg)
	n := 0
	for key := range s.values {
		if strings.HasPrefix(key, "gateway_device_online") {
			n++
		}
	}
	require.Equal(t, 10, n)
	require.Equal(t, 5000.0, s.values["gateway_devices"])
	require.Contains(t, s.values, "gateway_device_online{device=d0000,connector=meters}", "always the same ones")
}

func TestLabelsAreEscaped(t *testing.T) {
	cfg := full()
	name := "a\"b\\c\nd}e,f=\"x\" \xff ü"
	cfg.Collectors = []monitor.Collector{monitor.CollectorFunc(func(m *monitor.Metrics) {
		m.Gauge("x_bytes", "one\\two\nthree \"four\"", 1, "name", name)
		m.Gauge("x_nan", "h", math.NaN())
		m.Gauge("x_inf", "h", math.Inf(1))
		m.Gauge("x_ninf", "h", math.Inf(-1))
		m.Gauge("x_small", "h", 1.5e-9)
		m.Gauge("x_large", "h", 1e300)
	})}
	s := scrape(t, cfg)
	require.Equal(t, 1.0, s.values["x_bytes{name="+strings.ToValidUTF8(name, string(utf8.RuneError))+"}"])
	require.Equal(t, `one\\two\nthree "four"`, s.help["x_bytes"])
	require.True(t, math.IsNaN(s.values["x_nan"]))
	require.True(t, math.IsInf(s.values["x_inf"], 1))
	require.True(t, math.IsInf(s.values["x_ninf"], -1))
	require.Equal(t, 1.5e-9, s.values["x_small"])
	require.Equal(t, 1e300, s.values["x_large"])
}

// One bad sample would make Prometheus drop the whole scrape.
func TestWhatPrometheusDoesNotTakeIsLeftOutAndCounted(t *testing.T) {
	cfg := full()
	cfg.Collectors = []monitor.Collector{
		monitor.CollectorFunc(func(m *monitor.Metrics) {
			m.Gauge("good", "h", 1, "a", "x")
			for _, bad := range []string{"", "1x", "a-b", "ü", "a b"} {
				m.Gauge(bad, "h", 1)
				m.Gauge("good", "h", 1, bad, "y")
			}
			m.Gauge("good", "h", 2, "a", "x")           // again
			m.Counter("good", "h", 2, "a", "z")         // of another type
			m.Gauge("good", "h", 2, "a")                // half a label
			m.Gauge("good", "h", 2, "a", "x", "a", "y") // twice the same label
			m.Gauge("good", "h", 2, "__a", "x")         // reserved
		}),
		monitor.CollectorFunc(func(*monitor.Metrics) { panic("oops") }),
		monitor.CollectorFunc(func(m *monitor.Metrics) { m.Gauge("good", "h", 3, "a", "later") }),
	}
	s := scrape(t, cfg)
	require.Equal(t, 1.0, s.values["good{a=x}"])
	require.Equal(t, 3.0, s.values["good{a=later}"], "a collector that panics costs no other")
	require.Equal(t, 15.0, s.values["gateway_monitor_rejected_samples"])
	require.Equal(t, 1.0, s.values["gateway_monitor_failed_collectors"])
}

func TestManySamplesAreBounded(t *testing.T) {
	cfg := full()
	cfg.Collectors = []monitor.Collector{monitor.CollectorFunc(func(m *monitor.Metrics) {
		for i := range 150_000 {
			m.Gauge("many", "h", 1, "i", fmt.Sprint(i))
		}
	})}
	s := scrape(t, cfg)
	require.LessOrEqual(t, len(s.values), 100_100)
	require.Greater(t, s.values["gateway_monitor_rejected_samples"], 50_000.0)
}

func TestScrapesAtOnceAreBounded(t *testing.T) {
	cfg := full()
	inside, leave := make(chan struct{}), make(chan struct{})
	cfg.Collectors = []monitor.Collector{monitor.CollectorFunc(func(*monitor.Metrics) {
		inside <- struct{}{}
		<-leave
	})}
	m := monitor.New(cfg)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { get(t, m, "/metrics") })
		<-inside
	}
	code, _ := get(t, m, "/metrics")
	require.Equal(t, http.StatusServiceUnavailable, code)
	close(leave)
	wg.Wait()
	go func() { <-inside }()
	code, _ = get(t, m, "/metrics")
	require.Equal(t, http.StatusOK, code)
}

// check returns the code and the reasons of a check.
func check(t *testing.T, cfg monitor.Config, path string) (int, []string) {
	t.Helper()
	code, text := get(t, monitor.New(cfg), path)
	var body struct {
		Status  string
		Reasons []string
	}
	require.NoError(t, json.Unmarshal([]byte(text), &body), text)
	require.Equal(t, code == http.StatusOK, body.Status == "ok")
	return code, body.Reasons
}

func TestHealthReadinessAndLivenessDiffer(t *testing.T) {
	good := full()
	good.Gateway = func() gateway.Stats {
		return gateway.Stats{Connectors: map[string]gateway.ConnectorStats{"a": {State: gateway.Backoff, LastError: errors.New("x")}, "b": {State: gateway.Running}}}
	}
	with := func(change func(*monitor.Config)) monitor.Config {
		cfg := good
		change(&cfg)
		return cfg
	}
	away := with(func(c *monitor.Config) { c.Connected = func() bool { return false } })
	for _, c := range []struct {
		name                 string
		cfg                  monitor.Config
		health, ready, alive bool
		reason               string
	}{
		{"good", good, true, true, true, ""},
		{"a connector failed for good", with(func(c *monitor.Config) { c.Gateway = full().Gateway }), false, true, true, `connector "sensors" failed for good: no broker`},
		{"the store fails", with(func(c *monitor.Config) { c.StoreFailure = func() error { return errors.New("no room") } }), false, false, true, "the store cannot be written: no room"},
		{"the platform is away", away, true, true, true, ""},
		{"the platform is away and needed", with(func(c *monitor.Config) { *c = away; c.NeedPlatform = true }), true, false, true, "the platform is not connected"},
		{"the program stops", with(func(c *monitor.Config) { c.Ready = func() error { return errors.New("it stops") } }), true, false, true, "it stops"},
		{"only the gateway is known", monitor.Config{Gateway: good.Gateway}, true, true, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all []string
			for path, want := range map[string]bool{"/healthz": c.health, "/readyz": c.ready, "/livez": c.alive} {
				code, reasons := check(t, c.cfg, path)
				require.Equal(t, want, code == http.StatusOK, "%s: %v", path, reasons)
				require.Equal(t, want, len(reasons) == 0)
				all = append(all, reasons...)
			}
			if c.reason != "" {
				require.Contains(t, all, c.reason)
			}
		})
	}
}

// A gateway that hangs is found out, and being asked again and again costs nothing.
func TestAGatewayThatHangsIsNotAlive(t *testing.T) {
	cfg := full()
	leave := make(chan struct{})
	cfg.Gateway = func() gateway.Stats { <-leave; return gateway.Stats{} }
	cfg.Patience = 10 * time.Millisecond
	m := monitor.New(cfg)
	code, text := get(t, m, "/livez")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, "hangs")
	before := runtime.NumGoroutine()
	for range 20 {
		require.Error(t, m.Alive(t.Context()))
		code, _ = get(t, m, "/healthz")
		require.Equal(t, http.StatusServiceUnavailable, code)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before+1)
	close(leave)
	require.Eventually(t, func() bool { return m.Alive(t.Context()) == nil }, 20*time.Second, time.Millisecond)
}

func TestOnlyWhatIsAskedForIsShown(t *testing.T) {
	m := monitor.New(full())
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap", "/metrics/x"} {
		code, _ := get(t, m, path)
		require.Equal(t, http.StatusNotFound, code, path)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	w = httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/", nil))
	require.Equal(t, http.StatusNotFound, w.Code, "importing the package shows nothing")
}

func TestProfilesAreThoseThatPprofReads(t *testing.T) {
	cfg := full()
	cfg.Profiling = true
	m := monitor.New(cfg)
	code, text := get(t, m, "/debug/pprof/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, "goroutine ")
	code, text = get(t, m, "/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, "TestProfilesAreThoseThatPprofReads")
	code, text = get(t, m, "/debug/pprof/heap")
	require.Equal(t, http.StatusOK, code)
	require.True(t, strings.HasPrefix(text, "\x1f\x8b"), "a profile is gzipped")
	code, text = get(t, m, "/debug/pprof/profile?seconds=0.05")
	require.Equal(t, http.StatusOK, code)
	require.True(t, strings.HasPrefix(text, "\x1f\x8b"))
	code, _ = get(t, m, "/debug/pprof/trace?seconds=0.05")
	require.Equal(t, http.StatusOK, code)
	for _, bad := range []string{"/debug/pprof/profile?seconds=3600", "/debug/pprof/profile?seconds=-1", "/debug/pprof/trace?seconds=x"} {
		code, _ = get(t, m, bad)
		require.Equal(t, http.StatusBadRequest, code, bad)
	}
	code, _ = get(t, m, "/debug/pprof/none")
	require.Equal(t, http.StatusNotFound, code)
}

func TestServeEndsWithItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- monitor.Serve(ctx, ln, monitor.New(full())) }()
	resp, err := http.Get("http://" + ln.Addr().String() + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	_, err = parse(string(text))
	require.NoError(t, err)
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", resp.Header.Get("Content-Type"))
	cancel()
	require.NoError(t, <-ended)

	ln, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.Error(t, monitor.Serve(t.Context(), ln, monitor.New(full())))
}

func FuzzText(f *testing.F) {
	f.Add("name", "help", "label", "value", 1.5)
	f.Add("x", "a\nb\\", "l", "\"}\n\xff", math.Inf(1))
	f.Fuzz(func(t *testing.T, name, help, label, value string, number float64) {
		cfg := monitor.Config{Gateway: func() gateway.Stats {
			return gateway.Stats{Connectors: map[string]gateway.ConnectorStats{value: {}}}
		}}
		cfg.Collectors = []monitor.Collector{monitor.CollectorFunc(func(m *monitor.Metrics) {
			m.Gauge(name, strings.ToValidUTF8(help, ""), number, label, value)
			m.Gauge(name, help, number)
			m.Counter(name, help, number, label, value)
		})}
		_, text := get(t, monitor.New(cfg), "/metrics")
		_, err := parse(text)
		require.NoError(t, err)
		require.True(t, utf8.ValidString(strings.ToValidUTF8(text, "")))
	})
}
