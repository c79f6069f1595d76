package tbclient_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

const token = "sEcReT-token"

// downlink is a gateway.Downlink made of functions.
type downlink struct {
	call   func(context.Context, connector.RPCRequest) (telemetry.Value, error)
	update func(context.Context, connector.AttributeUpdate) error
	shared []string
}

func (d downlink) SharedAttributes(string) []string { return d.shared }

func (d downlink) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	if r.Device == "" { // of the gateway's own device
		return telemetry.Value{}, fmt.Errorf("%q: %w", r.Method, gateway.ErrMethod)
	}
	if d.call == nil {
		return telemetry.Value{}, nil
	}
	return d.call(ctx, r)
}

func (d downlink) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	if d.update == nil {
		return nil
	}
	return d.update(ctx, u)
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func serve(tb testing.TB, cfg tbtest.Config) *tbtest.Server {
	tb.Helper()
	if cfg.Token == "" && cfg.TLS == nil {
		cfg.Token = token
	}
	srv, err := tbtest.NewServer(cfg)
	require.NoError(tb, err)
	tb.Cleanup(srv.Close)
	return srv
}

// config is for a client of srv that reconnects fast.
func config(tb testing.TB, srv *tbtest.Server) tbclient.Config {
	tb.Helper()
	return tbclient.Config{
		Broker:          srv.URL(),
		AccessToken:     token,
		ShortestBackoff: 5 * time.Millisecond,
		LongestBackoff:  20 * time.Millisecond,
		Logger:          slog.New(slog.NewTextHandler(tb.Output(), nil)),
	}
}

// run runs a client until the test ends, or stop is called.
func run(tb testing.TB, cfg tbclient.Config, d gateway.Downlink) (c *tbclient.Client, stop func()) {
	tb.Helper()
	c = tbclient.Dial(cfg)
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, d) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(patience):
			tb.Error("Run did not return")
		}
	})
	tb.Cleanup(stop)
	return c, stop
}

// connected runs a client and waits until it is connected.
func connected(tb testing.TB, cfg tbclient.Config, d gateway.Downlink) *tbclient.Client {
	tb.Helper()
	c, _ := run(tb, cfg, d)
	eventually(tb, "connected", func() bool { return c.Stats().Connected })
	return c
}

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if cond() {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("it never came true: %s", what)
		}
	}
}

func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}

// group is a telemetry group of one point.
func group(device, key string, ts int64, v telemetry.Value) telemetry.Group {
	return telemetry.Group{
		Device:    telemetry.Device{Name: device, Profile: "meter"},
		Telemetry: []telemetry.Point{{Key: key, TS: ts, Value: v}},
	}
}

func publish(tb testing.TB, c *tbclient.Client, groups ...telemetry.Group) {
	tb.Helper()
	ctx := within(tb, patience)
	d, err := c.Publish(ctx, groups)
	require.NoError(tb, err)
	require.NoError(tb, d.Wait(ctx))
}

// feed publishes batches in order, with several under way, as a gateway does:
// after an error it goes back to the first batch that is not known to be
// delivered.
func feed(ctx context.Context, c *tbclient.Client, batches [][]telemetry.Group) error {
	type flight struct {
		at int
		d  gateway.Delivery
	}
	var under []flight
	for next := 0; next < len(batches) || len(under) > 0; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("at batch %d of %d: %w", next, len(batches), err)
		}
		failed := false
		if next < len(batches) && len(under) < 20 {
			d, err := c.Publish(ctx, batches[next])
			if err == nil {
				under = append(under, flight{next, d})
				next++
				continue
			}
			failed = true
		}
		for len(under) > 0 {
			if under[0].d.Wait(ctx) != nil {
				next, under = under[0].at, nil
				break
			}
			under = under[1:]
			if !failed {
				break
			}
		}
	}
	return nil
}

// next returns what ch gets next.
func next[T any](tb testing.TB, ch <-chan T) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		tb.Fatal("nothing came")
		panic("unreachable")
	}
}
