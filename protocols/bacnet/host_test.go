package bacnet_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// load makes a connector of a configuration file, whose links are in the network.
func load(n *bacnettest.Network, file any, log io.Writer) (connector.Connector, error) {
	doc, ok := file.(json.RawMessage)
	if !ok {
		var err error
		if doc, err = json.Marshal(file); err != nil {
			return nil, err
		}
	}
	if log == nil {
		log = io.Discard
	}
	return bacnet.Type(bacnet.WithOpener(n.Open)).New(doc, connector.Env{Name: "plant", Logger: slog.New(slog.NewTextHandler(log, nil))})
}

// start runs c until the test ends.
func start(tb testing.TB, c connector.Connector, host connector.Host) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				require.NoError(tb, err)
			case <-time.After(20 * time.Second):
				tb.Error("Run did not end")
			}
		})
	}
	tb.Cleanup(stop)
	return stop
}

// eventually waits until cond is true.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never happened: %s", what)
		}
	}
}

// online reports whether a device was announced.
func online(h *connectortest.Host, name string) func() bool {
	return func() bool {
		for _, d := range h.Online() {
			if d.Name == name {
				return true
			}
		}
		return false
	}
}

// latest returns the last value of a key of a device.
func latest(h *connectortest.Host, device, key string) telemetry.Value {
	var v telemetry.Value
	for _, r := range h.Readings(false) {
		if r.Device.Name == device && r.Key == key {
			v = r.Value
		}
	}
	return v
}

// is reports whether the last value of a key of a device is the wanted one.
func is(h *connectortest.Host, device, key string, want telemetry.Value) func() bool {
	return func() bool { return latest(h, device, key) == want }
}

// A logBook keeps what was logged.
type logBook struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

// String returns what was logged.
func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// A logged host logs to a book.
type logged struct {
	*connectortest.Host
	book logBook
}

func newLogged(tb testing.TB) *logged {
	tb.Helper()
	return &logged{Host: connectortest.NewHost(tb)}
}

// Logger implements connector.Host.
func (l *logged) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(&l.book, nil)) }
