//go:build unix

package main_test

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// meters is the file of a Modbus connector that reads a register each second.
func meters(t *testing.T, address string) map[string]any {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return map[string]any{"master": map[string]any{"slaves": []any{map[string]any{
		"type": "tcp", "method": "socket", "host": host, "port": json.Number(port), "unitId": 1, "deviceName": "meter " + port, "deviceType": "meter",
		"pollPeriod": 1000,
		"timeseries": []any{map[string]any{"tag": "power", "type": "16uint", "functionCode": 3, "objectsCount": 1, "address": 0}},
	}}}}
}

// simulator is a Modbus device with one register.
func simulator(t *testing.T) string {
	t.Helper()
	srv, err := modbustest.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = srv.Close() })
	srv.Unit(1).SetWords(modbus.Holding, 0, 230)
	return srv.Addr()
}

func TestTheServiceTellsSystemdHowItFares(t *testing.T) {
	platform, systemd := newPlatform(t), newSupervisor(t)
	dir := configure(t, platform.Addr(), map[string]any{"modbus": meters(t, simulator(t))})
	p := start(t, []string{"NOTIFY_SOCKET=" + systemd.path, "WATCHDOG_USEC=200000"}, "-config", dir, "-http", "127.0.0.1:0")

	systemd.awaits(t, "READY=1", 1)
	systemd.awaits(t, "WATCHDOG=1", 3)
	eventually(t, "data arrives", func() bool { return len(platform.Readings()) > 0 })
	systemd.awaits(t, "STATUS=1 of 1 connectors run", 1)

	url := p.address()
	code, text := get(t, url+"/metrics")
	require.Equal(t, 200, code)
	require.Contains(t, text, `gateway_build_info{version="v9.8.7"`)
	require.Contains(t, text, `gateway_connector_state{connector="modbus",type="modbus",state="running"} 1`)
	require.Contains(t, text, "gateway_platform_connected 1")
	for _, path := range []string{"/healthz", "/readyz", "/livez"} {
		code, text = get(t, url+path)
		require.Equal(t, 200, code, text)
	}
	ask := start(t, nil, "-health", url+"/livez")
	require.Zero(t, ask.code())

	p.signal(syscall.SIGHUP)
	systemd.awaits(t, "RELOADING=1", 1)
	systemd.awaits(t, "READY=1", 2)
	if runtime.GOOS == "linux" {
		systemd.awaits(t, "MONOTONIC_USEC=", 1)
	}

	p.signal(syscall.SIGTERM)
	systemd.awaits(t, "STOPPING=1", 1)
	require.Zero(t, p.code())
	ask = start(t, nil, "-health", url+"/livez")
	require.Equal(t, 1, ask.code())
}

// A process that is started by the one that is watched has its variables, and is
// not the one that is watched.
func TestTheWatchdogOfAnotherProcessIsNotTold(t *testing.T) {
	platform, systemd := newPlatform(t), newSupervisor(t)
	dir := configure(t, platform.Addr(), nil)
	p := start(t, []string{"NOTIFY_SOCKET=" + systemd.path, "WATCHDOG_USEC=100000", "WATCHDOG_PID=1"}, "-config", dir)
	systemd.awaits(t, "READY=1", 1)
	time.Sleep(300 * time.Millisecond)
	require.Zero(t, systemd.count("WATCHDOG=1"), "the watchdog is for another process")
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.code())
}

// What is stored when SIGTERM comes is published, and acknowledged, before the
// end.
func TestSIGTERMPublishesWhatIsStored(t *testing.T) {
	platform := newPlatform(t)
	dir := configure(t, platform.Addr(), map[string]any{"modbus": meters(t, simulator(t))})
	p := start(t, nil, "-config", dir, "-http", "127.0.0.1:0")
	url := p.address()
	eventually(t, "data arrives", func() bool { return len(platform.Readings()) > 0 })
	platform.Freeze(true)
	t.Cleanup(func() { platform.Freeze(false) })
	eventually(t, "readings wait", func() bool { return metric(t, url, "gateway_store_records") >= 2 })
	stored := metric(t, url, "gateway_store_appended_records_total")
	p.signal(syscall.SIGTERM)
	p.says("told to end signal=terminated")
	platform.Freeze(false)
	require.Zero(t, p.code())
	require.GreaterOrEqual(t, len(platform.Readings()), int(stored))

	// Started again without connectors and without the platform, it has nothing.
	platform.SetLink(false)
	var file map[string]any
	raw, err := os.ReadFile(filepath.Join(dir, "tb_gateway.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &file))
	file["connectors"] = []any{}
	write(t, filepath.Join(dir, "tb_gateway.json"), file)
	p = start(t, nil, "-config", dir, "-http", "127.0.0.1:0")
	require.Zero(t, metric(t, p.address(), "gateway_store_records"))
}

// metric returns a metric without labels, or with all that it has.
func metric(t *testing.T, url, name string) (value float64) {
	t.Helper()
	_, text := get(t, url+"/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, err := fmt.Sscan(rest, &value)
			require.NoError(t, err)
			return value
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	platform := newPlatform(t)
	dir := configure(t, platform.Addr(), map[string]any{"modbus": meters(t, simulator(t))})
	p := start(t, nil, "-config", dir, "-http", "127.0.0.1:0")
	url := p.address()
	eventually(t, "readings are stored", func() bool { return metric(t, url, "gateway_store_appended_records_total") >= 1 })
	platform.Freeze(true) // it takes what is sent and does not answer, so publishing takes its time
	t.Cleanup(func() { platform.Freeze(false) })
	stored := metric(t, url, "gateway_store_appended_records_total")
	eventually(t, "something waits", func() bool { return metric(t, url, "gateway_store_appended_records_total") > stored })
	p.signal(syscall.SIGTERM)
	p.says("told to end signal=terminated")
	p.signal(syscall.SIGTERM)
	require.Equal(t, 3, p.code())
}

func TestCheckReportsWhatIsWrong(t *testing.T) {
	dir := configure(t, "127.0.0.1:1883", map[string]any{"modbus": meters(t, "127.0.0.1:502")})
	p := start(t, nil, "-check", "-config", dir)
	require.Zero(t, p.code())
	require.Contains(t, p.out.String(), "the configuration is good")

	bad := filepath.Join(dir, "modbus.json")
	require.NoError(t, os.WriteFile(bad, []byte("{\n  \"master\": oops}"), 0o600))
	p = start(t, nil, "-check", "-config", filepath.Join(dir, "tb_gateway.json"))
	require.Equal(t, 2, p.code())
	require.Contains(t, p.out.String(), bad+":2:13:")
	require.NotContains(t, p.out.String(), "good")
}

func TestTheExitCodeSaysWhetherARestartHelps(t *testing.T) {
	dir := configure(t, "127.0.0.1:1883", nil)
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer occupied.Close()
	for _, c := range []struct {
		what string
		args []string
		code int
		text string
	}{
		{"a version", []string{"-version"}, 0, "v9.8.7"},
		{"an unknown flag", []string{"-nonsense"}, 2, "nonsense"},
		{"an argument", []string{"nonsense"}, 2, "nonsense"},
		{"no configuration", []string{"-config", filepath.Join(dir, "none.json")}, 2, "none.json"},
		{"no such level", []string{"-config", dir, "-log-level", "LOUD"}, 2, "LOUD"},
		{"an address in use", []string{"-config", dir, "-http", occupied.Addr().String()}, 1, "in use"},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := start(t, nil, c.args...)
			require.Equal(t, c.code, p.code())
			require.Contains(t, p.out.String(), c.text)
		})
	}
}

func TestTheCommandLineComesBeforeTheFilesAboutLogging(t *testing.T) {
	platform := newPlatform(t)
	dir := configure(t, platform.Addr(), nil)
	write(t, filepath.Join(dir, "logs.json"), map[string]any{"loggers": map[string]any{"service": map[string]any{"level": "ERROR"}}})
	file := filepath.Join(dir, "log", "gateway.log")
	p := start(t, nil, "-config", dir, "-log-file", file, "-log-level", "info", "-log-json")
	eventually(t, "the file is written", func() bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), `"msg":"connected to the platform"`)
	})
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.code())
	require.Empty(t, p.out.String())
}

// A connector that is broken is named, and the service goes on.
func TestABrokenConnectorIsUnhealthyAndEndsNothing(t *testing.T) {
	platform := newPlatform(t)
	dir := configure(t, platform.Addr(), map[string]any{"modbus": meters(t, simulator(t)), "mqtt": map[string]any{"broker": 5}})
	p := start(t, nil, "-config", dir, "-http", "127.0.0.1:0")
	url := p.address()
	eventually(t, "data arrives", func() bool { return len(platform.Readings()) > 0 })
	eventually(t, "it is unhealthy", func() bool {
		code, text := get(t, url+"/healthz")
		return code == 503 && strings.Contains(text, `connector \"mqtt\" failed for good`)
	})
	code, _ := get(t, url+"/readyz")
	require.Equal(t, 200, code)
	p.signal(syscall.SIGINT)
	require.Zero(t, p.code())
}

// The folder of the store is taken away, and then the files name another one.
func TestAStoreThatCannotBeWrittenIsUnhealthyUntilAnotherIsInUse(t *testing.T) {
	platform := newPlatform(t)
	dir := configure(t, platform.Addr(), map[string]any{"modbus": meters(t, simulator(t))})
	p := start(t, nil, "-config", dir, "-http", "127.0.0.1:0")
	url := p.address()
	eventually(t, "data arrives", func() bool { return len(platform.Readings()) > 0 })
	require.Zero(t, metric(t, url, "gateway_store_failing"))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "data")))
	eventually(t, "it is unhealthy", func() bool {
		code, text := get(t, url+"/healthz")
		return code == 503 && strings.Contains(text, "the store cannot be written")
	})
	code, _ := get(t, url+"/readyz")
	require.Equal(t, 503, code)
	require.EqualValues(t, 1, metric(t, url, "gateway_store_failing"))

	raw, err := os.ReadFile(filepath.Join(dir, "tb_gateway.json"))
	require.NoError(t, err)
	var file map[string]any
	require.NoError(t, json.Unmarshal(raw, &file))
	file["storage"] = map[string]any{"type": "memory"}
	write(t, filepath.Join(dir, "tb_gateway.json"), file)
	eventually(t, "it is well", func() bool { code, _ := get(t, url+"/healthz"); return code == 200 })
	require.Zero(t, metric(t, url, "gateway_store_failing"))
}

// The image is made from scratch, which has no libraries.
func TestTheBinaryIsStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the image is one of Linux")
	}
	f, err := elf.Open(binary(t))
	require.NoError(t, err)
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
	for _, prog := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, prog.Type)
	}
}

func TestPeerSystemdTakesTheUnit(t *testing.T) {
	tool := peer.Need(t, "systemd-analyze")
	dir := t.TempDir()
	unit, err := os.ReadFile("gridlinks-gateway.service")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(unit), "/usr/local/bin/gridlinks-gateway", "/bin/true")
	path := filepath.Join(dir, "gridlinks-gateway.service")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	out, err := exec.CommandContext(t.Context(), tool, "verify", path).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "gridlinks-gateway.service", "it says what it does not understand")
}
