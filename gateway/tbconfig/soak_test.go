package tbconfig_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The full proof is -tbconfig.soak 10m.
var soak = flag.Duration("tbconfig.soak", 5*time.Second, "time that the soak test takes")

const (
	soakDevices = 200
	soakGroups  = 4 // connectors that share them
)

// A ledger notes which records were submitted and which have arrived. The value
// of a record is its device's number times a billion, and its own number.
type ledger struct {
	mu      sync.Mutex
	sent    [soakDevices]int64
	arrived [soakDevices][]uint64 // bits
	total   atomic.Int64
}

const billion = 1_000_000_000

func (l *ledger) arrive(r tbtest.Reading) {
	v, ok := r.Value.(int64)
	if !ok || r.Key != "n" {
		return
	}
	device, n := v/billion, v%billion
	l.mu.Lock()
	defer l.mu.Unlock()
	bits := &l.arrived[device]
	for int64(len(*bits)) <= n/64 {
		*bits = append(*bits, 0)
	}
	(*bits)[n/64] |= 1 << (n % 64)
	l.total.Add(1)
}

// missing returns how many records have not arrived.
func (l *ledger) missing() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for device, sent := range l.sent {
		for i := range sent {
			if at := i / 64; at >= int64(len(l.arrived[device])) || l.arrived[device][at]&(1<<(i%64)) == 0 {
				n++
			}
		}
	}
	return n
}

func (l *ledger) next(device int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent[device]
}

func (l *ledger) stored(device int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[device]++
}

// Type is a connector that submits records of every soakGroups-th device, from its
// "group" on. Each device is silent now and then.
func (l *ledger) Type() connector.Type {
	return connector.Type{Name: "herd", New: func(raw json.RawMessage, _ connector.Env) (connector.Connector, error) {
		var c struct{ Group int }
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return connector.Func(func(ctx context.Context, h connector.Host) error {
			h.Ready()
			var b telemetry.Batch
			for round := 0; ctx.Err() == nil; round++ {
				for device := c.Group; device < soakDevices; device += soakGroups {
					if (round/50+device)%7 == 0 { // idle for a while
						continue
					}
					b.Reset()
					b.Device(fmt.Sprintf("d%03d", device), "herd")
					b.Telemetry("n", telemetry.Int(int64(device)*billion+l.next(device)))
					if _, err := h.Submit(ctx, &b); err != nil {
						return nil //nolint:nilerr // it ends
					}
					l.stored(device)
				}
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
			return nil
		}), nil
	}}
}

// memory returns the resident set in MB, where the system tells it.
func memory() float64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident float64
	_, _ = fmt.Sscan(string(raw), &size, &resident)
	return resident * float64(os.Getpagesize()) / 1e6
}

// TestSoak runs 200 devices that come, go idle, are renamed and are deleted while
// the configuration changes all the time: not a record is lost, nothing is left
// running, and the memory stays.
func TestSoak(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	l := new(ledger)
	var srvs []*tbtest.Server
	for range 2 {
		srv, err := tbtest.NewServer(tbtest.Config{Token: token, OnTelemetry: l.arrive, Keep: 1000})
		require.NoError(t, err)
		t.Cleanup(srv.Close)
		srvs = append(srvs, srv)
	}
	r := startSoak(t, l, srvs[0])
	u := &upheaval{rig: r, srvs: srvs, done: make(map[string]int)}
	began, next := time.Now(), time.Duration(0)
	for time.Since(began) < *soak {
		u.step()
		if at := time.Since(began); at >= next {
			t.Logf("%v: RSS %.1f MB, %d goroutines, %d records", at.Round(time.Second), memory(), runtime.NumGoroutine(), l.total.Load())
			next = at + *soak/10
		}
	}
	eventually(t, "everything has arrived", func() bool { return l.missing() == 0 })
	t.Logf("end: RSS %.1f MB, %d goroutines, %d records, %v", memory(), runtime.NumGoroutine(), l.total.Load(), u.done)
	r.stop()
	for _, srv := range srvs {
		srv.Close()
	}
	require.Zero(t, l.missing())
	for what, n := range u.done {
		require.Positive(t, n, what)
	}
	eventually(t, "nothing is left running", func() bool { return runtime.NumGoroutine() <= goroutines })
	raw, err := json.Marshal(srvs[0].Attributes(tbtest.Gateway))
	require.NoError(t, err)
	require.NotContains(t, string(raw)+r.log.String(), "CANARY")
}

func startSoak(t *testing.T, l *ledger, srv *tbtest.Server) *rig {
	t.Helper()
	files := map[string]string{"tb_gateway.json": soakMain(srv, inMemory)}
	for i := range soakGroups {
		files[fmt.Sprintf("g%d.json", i)] = fmt.Sprintf(`{"group":%d}`, i)
	}
	r := &rig{T: t, srv: srv, dir: write(t, files), field: newField(), log: new(journal)}
	r.begin(tbconfig.Config{
		Types: []connector.Type{r.field.Type(), l.Type()}, Debounce: 50 * time.Millisecond, PlatformTrial: 5 * time.Second, ConnectorTrial: 5 * time.Second,
		Getenv: func(string) string { return "" }, Logger: slog.New(slog.NewTextHandler(io.MultiWriter(r.log), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	return r
}

func soakMain(srv *tbtest.Server, storage string) string {
	text := mainFile(srv, remote+`,"checkingDeviceActivity":{"checkDeviceInactivity":true,"inactivityTimeoutSeconds":2}`, storage, "g0", "g1", "g2", "g3")
	return strings.ReplaceAll(text, `"type":"field"`, `"type":"herd"`)
}

// An upheaval changes everything, step by step.
type upheaval struct {
	*rig
	srvs []*tbtest.Server
	at   int // the server that is used
	n    int
	done map[string]int
}

func (u *upheaval) step() {
	u.n++
	device := fmt.Sprintf("d%03d", rand.IntN(soakDevices))
	ctx, cancel := context.WithTimeout(u.Context(), patience)
	defer cancel()
	srv := u.srvs[u.at]
	switch u.n % 10 {
	case 0:
		u.move()
	case 1, 2:
		if _, err := srv.Rename(ctx, device, fmt.Sprintf("%s-%d", device, u.n)); err == nil {
			u.done["renamed"]++
		}
	case 3, 4:
		if _, err := srv.Delete(ctx, device); err == nil {
			u.done["deleted"]++
		}
	case 5: // the file of a connector
		u.write(fmt.Sprintf("g%d.json", u.n/10%soakGroups), fmt.Sprintf(`{"group":%d,"n":%d}`, u.n/10%soakGroups, u.n))
		u.done["file"]++
	case 6: // a connector, by the platform; it may be the other one that is listened to
		name := fmt.Sprintf("g%d", u.n/10%soakGroups)
		v := connectorAttribute(name, now(), map[string]any{"type": "herd"}, fmt.Sprintf(`{"group":%d,"m":%d}`, u.n/10%soakGroups, u.n))
		u.tell(srv, v)
		u.done["connector"]++
	case 7: // one that comes and goes
		u.tell(srv, connectorAttribute("extra", now(), nil, fmt.Sprintf(`{"x":%d}`, u.n)))
		u.tell(srv, map[string]any{"active_connectors": []string{"g0", "g1", "g2", "g3"}})
		u.done["list"]++
	case 8: // the storage
		storage := map[string]any{"type": "memory", "max_records_count": 10_000 + u.n}
		if u.n/10%2 == 0 {
			storage = map[string]any{"type": "file", "data_folder_path": filepath.Join(u.dir, "data", fmt.Sprint(u.n/10%3))}
		}
		u.tell(srv, map[string]any{"storage_configuration": storage})
		u.done["storage"]++
	case 9: // what is wrong
		u.tell(srv, map[string]any{"active_connectors": u.n, "storage_configuration": map[string]any{"type": u.n}, "g0": map[string]any{"configurationJson": u.n}})
		u.done["malformed"]++
	}
	time.Sleep(time.Duration(20+rand.IntN(100)) * time.Millisecond)
}

// tell sets attributes. If the gateway is not there it finds them when it is back.
func (u *upheaval) tell(srv *tbtest.Server, values map[string]any) {
	_ = srv.PushAttributes(tbtest.Gateway, values)
}

// move sends the gateway to the other platform.
func (u *upheaval) move() {
	u.Helper()
	to := u.srvs[1-u.at]
	connects := to.Stats().Connects
	order := general(u.T, to, token)
	order["general_configuration"].(map[string]any)["ts"] = now()
	u.tell(u.srvs[u.at], order)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		_, port := address(u.T, to)
		if to.Stats().Connects > connects && strings.Contains(u.file("tb_gateway.json"), fmt.Sprintf(`"port": %d`, port)) {
			u.at = 1 - u.at
			u.done["moved"]++
			return
		}
	}
	u.Errorf("the gateway did not move: %s", u.told("configuration_errors"))
}
