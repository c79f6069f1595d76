package tbconfig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
)

// write writes files to a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// logs captures the default logger's output.
func logs(t *testing.T) func() string {
	t.Helper()
	var mu sync.Mutex
	var buf bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return buf.Write(p)
	}), nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return buf.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// echo is a connector type that reports that it runs.
func echo(started chan<- string) connector.Type {
	return connector.Type{Name: "echo", New: func(cfg json.RawMessage, env connector.Env) (connector.Connector, error) {
		var c struct {
			Fail string `json:"fail"`
		}
		if err := json.Unmarshal(cfg, &c); err != nil {
			return nil, err
		}
		if c.Fail != "" {
			return nil, errors.New("fail: " + c.Fail)
		}
		return connector.Func(func(ctx context.Context, h connector.Host) error {
			h.Ready()
			started <- env.Name
			<-ctx.Done()
			return nil
		}), nil
	}}
}

const base = `"thingsboard":{"host":"localhost","security":{"type":"accessToken","accessToken":"s3cret"}},"storage":{"type":"memory"}`

func TestAFileBecomesAGateway(t *testing.T) {
	logs(t)
	data := filepath.Join(t.TempDir(), "data")
	dir := write(t, map[string]string{
		"tb_gateway.json": `{"thingsboard":{"host":"localhost","port":1,"security":{"accessToken":"x"},"reportStrategy":{"type":"ON_CHANGE"}},
			"storage":{"type":"file","data_folder_path":` + string(must(json.Marshal(data))) + `},
			"connectors":[{"type":"Echo","name":"one","configuration":"one.json"},{"type":"echo","name":"two","configurationJson":{"x":1}},
				{"type":"custom","class":"Echo","name":"three","configurationJson":{"x":1}}]}`,
		"one.json": "\xef\xbb\xbf" + `{"name":"one","reportStrategy":{"type":"ON_REPORT_PERIOD","reportPeriod":1000}}`,
	})
	started := make(chan string, 2)
	opts, err := tbconfig.Load(dir, echo(started)) // the folder is enough
	require.NoError(t, err)
	g, err := gateway.New(append(opts, gateway.WithDrainTimeout(0))...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	require.ElementsMatch(t, []string{"one", "two", "three"}, []string{<-started, <-started, <-started})
	require.DirExists(t, data)
	cancel()
	require.NoError(t, <-done)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What is wrong with one connector stops that connector only, and the log says
// where it is.
func TestABadConnectorStopsItselfOnly(t *testing.T) {
	out := logs(t)
	dir := write(t, map[string]string{
		"tb_gateway.json": `{` + base + `,"connectors":[
			{"type":"echo","name":"good","configuration":"good.json"},
			{"type":"echo","name":"missing","configuration":"missing.json"},
			{"type":"echo","name":"torn","configuration":"torn.json"},
			{"type":"echo","name":"wrong","configuration":"wrong.json"},
			{"type":"echo","name":"strategy","configuration":"strategy.json"},
			{"type":"opcua","name":"unknown","configuration":"good.json"},
			{"type":"echo","name":"empty"},
			{"type":"echo","name":"good","configuration":"good.json"}]}`,
		"good.json":     `{}`,
		"torn.json":     "{\n  \"a\": ,\n}",
		"wrong.json":    `{"fail":"value 7 is too high"}`,
		"strategy.json": `{"reportStrategy":{"type":"SOMETIMES"}}`,
	})
	started := make(chan string, 1)
	opts, err := tbconfig.Load(filepath.Join(dir, "tb_gateway.json"), echo(started))
	require.NoError(t, err)
	g, err := gateway.New(append(opts, gateway.WithDrainTimeout(0))...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	require.Equal(t, "good", <-started)
	failed := func() (n int) {
		for _, c := range g.Stats().Connectors {
			if c.State == gateway.Failed {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(10 * time.Second); failed() < 7 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	require.Equal(t, 7, failed())
	cancel()
	require.NoError(t, <-done)
	for _, want := range []string{
		"missing.json", "torn.json:2:8", "wrong.json", "value 7 is too high", "is not one of on_received",
		"is not linked into this program (it has: echo)", "neither configuration nor configurationJson", "is used twice",
	} {
		require.Contains(t, out(), want)
	}
	require.NotContains(t, out(), "s3cret")
}

func TestABadFileIsRefusedByKey(t *testing.T) {
	logs(t)
	security := `"security":{"type":"accessToken","accessToken":"s3cret"}`
	for name, c := range map[string]struct{ text, want string }{
		"syntax":         {"{\n\"thingsboard\": {,\n", ":2:17: invalid character"},
		"kind":           {`{"thingsboard":{"port":"high"}}`, "thingsboard.port: a string where an integer belongs"},
		"host":           {`{"thingsboard":{` + security + `},"storage":{"type":"memory"}}`, "thingsboard.host: is missing"},
		"port":           {`{"thingsboard":{"host":"h","port":70000,` + security + `},"storage":{"type":"memory"}}`, "thingsboard.port: 70000"},
		"no security":    {`{"thingsboard":{"host":"h"},"storage":{"type":"memory"}}`, "thingsboard.security.type: is missing"},
		"security type":  {`{"thingsboard":{"host":"h","security":{"type":"magic"}},"storage":{"type":"memory"}}`, `"magic"`},
		"token":          {`{"thingsboard":{"host":"h","security":{"type":"accessToken"}},"storage":{"type":"memory"}}`, "accessToken: is missing"},
		"certificate":    {`{"thingsboard":{"host":"h","security":{"type":"tlsPrivateKey","cert":"c.pem","privateKey":"k.pem"}},"storage":{"type":"memory"}}`, "c.pem"},
		"ca":             {`{"thingsboard":{"host":"h","security":{"type":"tlsAccessToken","accessToken":"s3cret","caCert":"ca.pem"}},"storage":{"type":"memory"}}`, "ca.pem"},
		"strategy":       {`{"thingsboard":{"host":"h",` + security + `,"reportStrategy":{"type":"ON_REPORT_PERIOD","reportPeriod":0}},"storage":{"type":"memory"}}`, "thingsboard.reportStrategy.reportPeriod: is not a positive"},
		"storage":        {`{"thingsboard":{"host":"h",` + security + `},"storage":{"type":"tape"}}`, `storage.type: "tape"`},
		"no storage":     {`{"thingsboard":{"host":"h",` + security + `}}`, "storage.type: is missing"},
		"overflow":       {`{"thingsboard":{"host":"h",` + security + `},"storage":{"type":"memory","overflow":"spill"}}`, `"spill"`},
		"proxy":          {`{"thingsboard":{"host":"h","proxy_host":"p","proxy_port":-1,` + security + `},"storage":{"type":"memory"}}`, "thingsboard.proxy_port: -1"},
		"rates":          {`{"thingsboard":{"host":"h","deviceDpRateLimits":"10",` + security + `},"storage":{"type":"memory"}}`, `thingsboard.deviceDpRateLimits: rate limit "10"`},
		"version":        {`{"thingsboard":{"host":"h","mqttVersion":3,` + security + `},"storage":{"type":"memory"}}`, "thingsboard.mqttVersion: 3"},
		"confirm":        {`{"thingsboard":{"host":"h","confirmSeconds":-1,` + security + `},"storage":{"type":"memory"}}`, "thingsboard.confirmSeconds: -1"},
		"idle":           {`{"thingsboard":{"host":"h","checkingDeviceActivity":{"checkDeviceInactivity":true,"inactivityTimeoutSeconds":-5},` + security + `},"storage":{"type":"memory"}}`, "inactivityTimeoutSeconds: -5"},
		"provisioning":   {`{"thingsboard":{"host":"h","provisioning":{"provisionDeviceKey":"k"}},"storage":{"type":"memory"}}`, "provisionDeviceSecret"},
		"provision type": {`{"thingsboard":{"host":"h","provisioning":{"provisionDeviceKey":"k","provisionDeviceSecret":"s3cret","type":"X"}},"storage":{"type":"memory"}}`, `thingsboard.provisioning.type: "X"`},
		"negative":       {`{"thingsboard":{"host":"h",` + security + `},"storage":{"type":"memory","max_bytes":-1}}`, "storage.max_bytes: -1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(write(t, map[string]string{"tb_gateway.json": c.text}), "tb_gateway.json")
			_, err := tbconfig.Load(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "tb_gateway.json")
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
	_, err := tbconfig.Load(filepath.Join(t.TempDir(), "absent.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSettingsWithoutEffectAreNamedOnce(t *testing.T) {
	out := logs(t)
	dir := write(t, map[string]string{"tb_gateway.json": `{"thingsboard":{"host":"h","remoteShell":true,"qos":0,
		"security":{"accessToken":"x"}},"storage":{"type":"memory"},"grpc":{"enabled":false}}`})
	_, err := tbconfig.Load(filepath.Join(dir, "tb_gateway.json"))
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count([]byte(out()), []byte("thingsboard.remoteShell")))
	require.Contains(t, out(), "thingsboard.qos")
	require.NotContains(t, out(), "grpc.enabled")
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{` + base + `,"connectors":[{"type":"echo","name":"a","configurationJson":{}}]}`))
	f.Add([]byte(`{"thingsboard":{"security":[]},"connectors":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if low := bytes.ToLower(raw); bytes.Contains(low, []byte(`file`)) || bytes.Contains(low, []byte(`sqlite`)) || bytes.ContainsRune(raw, '\\') {
			return // it would open files where it says
		}
		path := filepath.Join(t.TempDir(), "tb_gateway.json")
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		opts, err := tbconfig.Load(path, echo(make(chan string, 10)))
		if err == nil {
			_, _ = gateway.New(opts...)
		}
	})
}
