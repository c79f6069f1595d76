package snmp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// A logbook is a logger's text.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logbook) count(text string) int { return strings.Count(l.String(), text) }

// A host is a connectortest.Host whose log can be read.
type host struct {
	*connectortest.Host

	log logbook
}

// Logger implements connector.Host.
func (h *host) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(&h.log, nil)) }

// series returns the readings of a key of a device.
func (h *host) series(device, key string) (list []connectortest.Reading) {
	for _, r := range h.Readings(false) {
		if r.Device.Name == device && r.Key == key {
			list = append(list, r)
		}
	}
	return list
}

// last returns the latest reading of a key, as JSON.
func (h *host) last(device, key string) string {
	s := h.series(device, key)
	if len(s) == 0 {
		return ""
	}
	return string(s[len(s)-1].Value.AppendJSON(nil))
}

// wants waits until the latest reading of a key is value, as JSON.
func (h *host) wants(t testing.TB, device, key, value string) {
	t.Helper()
	h.Eventually(t, fmt.Sprintf("%s of %s is %s", key, device, value), func() bool { return h.last(device, key) == value })
}

// run runs c until the test ends or the returned function is called.
func run(t testing.TB, c connector.Connector) (*host, func()) {
	t.Helper()
	h := &host{Host: connectortest.NewHost(t)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return h, stop
}

// get returns an object that is read by Get.
func get(key, oid string) snmp.Object { return snmp.Object{Key: key, OIDs: []string{oid}} }
