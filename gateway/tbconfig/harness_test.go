package tbconfig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// token and canary are secrets that no test may find where they do not belong.
const (
	token  = "CANARY-token-1"
	canary = "CANARY-secret-2"
)

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("it never came true: %s", what)
		}
	}
}

// A journal is a log that can be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// field is where the connectors of these tests report what happens to them. A
// connector's configuration may have the keys
//
//	invalid  the configuration is refused, with this text
//	dead     it fails for good
//	mute     it never becomes ready
//	device   it submits a counter of this device, every 5 ms
type field struct {
	mu     sync.Mutex
	starts map[string]int
	live   map[string]string // the configuration that runs
	stored map[string]int64  // counters by device, as far as they are stored
}

func newField() *field {
	return &field{starts: make(map[string]int), live: make(map[string]string), stored: make(map[string]int64)}
}

func (f *field) Type() connector.Type {
	return connector.Type{Name: "field", New: func(raw json.RawMessage, env connector.Env) (connector.Connector, error) {
		var c struct {
			Invalid, Device string
			Dead, Mute      bool
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		if c.Invalid != "" {
			return nil, errors.New("invalid: " + c.Invalid)
		}
		return connector.Func(func(ctx context.Context, h connector.Host) error {
			f.enter(env.Name, string(raw))
			defer f.leave(env.Name, string(raw))
			switch {
			case c.Dead:
				return connector.Permanent(errors.New("the port is gone"))
			case !c.Mute:
				h.Ready()
			}
			return f.submit(ctx, h, c.Device)
		}), nil
	}}
}

func (f *field) enter(name, raw string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts[name]++
	f.live[name] = raw
}

func (f *field) leave(name, raw string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live[name] == raw {
		delete(f.live, name)
	}
}

// submit submits the counter of a device until ctx is done.
func (f *field) submit(ctx context.Context, h connector.Host, device string) error {
	if device == "" {
		<-ctx.Done()
		return nil
	}
	var b telemetry.Batch
	for ctx.Err() == nil {
		f.mu.Lock()
		n := f.stored[device] + 1
		f.mu.Unlock()
		b.Reset()
		b.Device(device, "counter")
		b.Telemetry("n", telemetry.Int(n))
		if _, err := h.Submit(ctx, &b); err == nil {
			f.mu.Lock()
			f.stored[device] = n
			f.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func (f *field) count(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts[name]
}

func (f *field) running() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.live)
}

func (f *field) runs(name, part string) bool {
	raw, ok := f.running()[name]
	return ok && strings.Contains(raw, part)
}

func (f *field) sent(device string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[device]
}

// A rig is a gateway that a Service runs, with a platform.
type rig struct {
	*testing.T
	srv   *tbtest.Server
	dir   string
	field *field
	log   *journal
	svc   *tbconfig.Service
	g     *gateway.Gateway
	stop  func()
}

// section returns the section thingsboard for a server, with more keys.
func section(srv *tbtest.Server, more string) string {
	u, _ := url.Parse(srv.URL())
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"host":%q,"port":%s,"security":{"type":"accessToken","accessToken":%q},"statistics":{"enable":false}%s}`, u.Hostname(), u.Port(), token, more)
}

// mainFile returns tb_gateway.json with connectors of the type field, whose files
// are their names.
func mainFile(srv *tbtest.Server, more, storage string, connectors ...string) string {
	var list []string
	for _, name := range connectors {
		list = append(list, fmt.Sprintf(`{"type":"field","name":%q,"configuration":%q}`, name, name+".json"))
	}
	return fmt.Sprintf(`{"thingsboard":%s,"storage":%s,"connectors":[%s],"notOurs":[1,{"x":2.50}]}`, section(srv, more), storage, strings.Join(list, ","))
}

const inMemory = `{"type":"memory"}`

func serve(tb testing.TB) *tbtest.Server {
	tb.Helper()
	srv, err := tbtest.NewServer(tbtest.Config{Token: token})
	require.NoError(tb, err)
	tb.Cleanup(srv.Close)
	return srv
}

// start runs a gateway from files, which begin with tb_gateway.json.
func start(t *testing.T, srv *tbtest.Server, files map[string]string, change ...func(*tbconfig.Config)) *rig {
	t.Helper()
	r := &rig{T: t, srv: srv, dir: write(t, files), field: newField(), log: new(journal)}
	cfg := tbconfig.Config{
		Types: []connector.Type{r.field.Type()}, Version: "v1.2.3", Debounce: 20 * time.Millisecond,
		ConnectorTrial: 300 * time.Millisecond, PlatformTrial: 2 * time.Second,
		Getenv: func(string) string { return "" },
		Logger: slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	r.begin(cfg)
	return r
}

func (r *rig) begin(cfg tbconfig.Config) {
	r.Helper()
	var err error
	r.svc, err = tbconfig.Open(r.dir, cfg)
	require.NoError(r, err)
	opts, err := r.svc.Options()
	require.NoError(r, err)
	r.g, err = gateway.New(append(opts, gateway.WithBackoff(5*time.Millisecond, 50*time.Millisecond), gateway.WithDrainTimeout(0))...)
	require.NoError(r, err)
	ctx, cancel := context.WithCancel(r.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.g.Run(ctx); err != nil {
			r.Errorf("the gateway ended: %v", err)
		}
	})
	wg.Go(func() {
		if err := r.svc.Run(ctx, r.g); err != nil {
			r.Errorf("the service ended: %v", err)
		}
	})
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	r.Cleanup(r.stop)
}

// told returns a client attribute as JSON, or nothing.
func (r *rig) told(key string) string { return toldBy(r.srv, key) }

func toldBy(srv *tbtest.Server, key string) string {
	v, ok := srv.Attributes(tbtest.Gateway)[key]
	if !ok {
		return ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// problem waits until the platform is told of a problem, and returns it.
func (r *rig) problem(key string) string {
	r.Helper()
	var text string
	eventually(r, "a problem of "+key+" is told", func() bool {
		var problems map[string]string
		_ = json.Unmarshal([]byte(r.told("configuration_errors")), &problems)
		text = problems[key]
		return text != ""
	})
	return text
}

// well waits until the platform is told that all is well.
func (r *rig) well() {
	r.Helper()
	eventually(r, "all is well", func() bool { return r.told("configuration_errors") == "{}" })
}

// push sets shared attributes.
func (r *rig) push(values map[string]any) {
	r.Helper()
	require.NoError(r, r.srv.PushAttributes(tbtest.Gateway, values))
}

// connectorAttribute is the configuration of a connector from the platform.
func connectorAttribute(name string, ts int64, more map[string]any, configuration string) map[string]any {
	v := map[string]any{"name": name, "type": "field", "logLevel": "INFO", "ts": ts, "configurationJson": json.RawMessage(configuration)}
	maps.Copy(v, more)
	return map[string]any{name: v}
}

func (r *rig) file(name string) string {
	raw, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		return ""
	}
	return string(raw)
}

func (r *rig) write(name, text string) {
	r.Helper()
	require.NoError(r, os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600))
}

// names returns the connectors of the gateway.
func (r *rig) names() []string {
	var names []string
	for name := range r.g.Stats().Connectors {
		names = append(names, name)
	}
	return names
}

// noSecret guards that no secret is in the log or in a client attribute.
func (r *rig) noSecret() {
	r.Helper()
	require.NotContains(r, r.log.String(), "CANARY")
	raw, err := json.Marshal(r.srv.Attributes(tbtest.Gateway))
	require.NoError(r, err)
	require.NotContains(r, string(raw), "CANARY")
}

// now is a time stamp after that of every file that exists.
func now() int64 { return time.Now().UnixMilli() + 1000 }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func rawJSON(text string) json.RawMessage { return json.RawMessage(text) }

func canonicalJSON(text string) string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}
