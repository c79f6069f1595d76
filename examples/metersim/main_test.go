package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
)

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the simulator until the test ends, and returns the first match of a
// pattern in its output.
func start(t *testing.T, pattern string, args ...string) string {
	t.Helper()
	var out output
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, &out, args) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(out.String()); m != nil {
			return m[1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %q", pattern, out.String())
		}
	}
}

// read polls the units of a bus until each has a voltage.
func read(t *testing.T, url, profile string, units ...uint8) {
	t.Helper()
	var devices []modbus.Device
	for _, unit := range units {
		devices = append(devices, meter.Device(profile, "meter-"+string(rune('a'+unit%26)), unit, 100*time.Millisecond))
	}
	h := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := meter.New(modbus.Config{URL: url, Timeout: 10 * time.Second, Devices: devices})
	go func() { done <- c.Run(ctx, h) }()
	h.Eventually(t, "a voltage of each meter", func() bool {
		seen := make(map[string]bool)
		for _, r := range h.Readings(false) {
			if v := r.Value.Float(); r.Key == "voltage_l1" && 225 < v && v < 235 {
				seen[r.Device.Name] = true
			}
		}
		return len(seen) == len(units)
	})
	cancel()
	require.NoError(t, <-done)
}

func TestMetersOverTCP(t *testing.T) {
	url := start(t, `(tcp://[^ ]+): 50 of acrel-adw300`, "-tcp", "127.0.0.1:0", "-n", "50")
	read(t, url, meter.ADW300, 1, 25, 50)
}

func TestMetersOnAPseudoTerminal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pseudo terminals are made on Linux only")
	}
	path := filepath.Join(t.TempDir(), "line")
	start(t, `(3) of eastron-sdm630`, "-profile", meter.SDM630, "-rtu", path, "-n", "3")
	read(t, "rtu://"+path+"?baud=115200", meter.SDM630, 1, 3)
}

func TestManyMetersTakeSeveralPorts(t *testing.T) {
	start(t, `(3) of eastron-sdm120`, "-profile", meter.SDM120, "-tcp", "127.0.0.1:0", "-n", "250")
}

func TestMistakesAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"one of -tcp and -rtu":   nil,
		`no profile "x"`:         {"-profile", "x", "-tcp", "127.0.0.1:0"},
		"-n 248 is not in":       {"-rtu", "x", "-n", "248"},
		"-n 0 is not in":         {"-tcp", "127.0.0.1:0", "-n", "0"},
		`port "modbus" is not`:   {"-tcp", "127.0.0.1:modbus"},
		"missing port":           {"-tcp", "127.0.0.1"},
		`unknown argument "now"`: {"-tcp", "127.0.0.1:0", "now"},
		"is not positive":        {"-tcp", "127.0.0.1:0", "-peak", "-1"},
	} {
		require.ErrorContains(t, run(t.Context(), &output{}, args), want)
	}
}
