package meter_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// A journal is a host whose log can be read.
type journal struct {
	*connectortest.Host
	mu  sync.Mutex
	log bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.Write(b)
}

func (j *journal) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func TestUncertainProfilesAreLoggedOnce(t *testing.T) {
	var bus modbustest.Bus
	var devices []modbus.Device
	for i, name := range []string{meter.ADW300, "schneider-iem3000", "schneider-iem3000", meter.SDM630} {
		d := meter.Device(name, "m"+string(rune('0'+i)), uint8(i+1), time.Hour)
		d.URL = "tcp://bus"
		bus.Unit(uint8(i + 1))
		devices = append(devices, d)
	}
	j := &journal{Host: connectortest.NewHost(t)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := meter.New(modbus.Config{Open: bus.Open, Devices: devices})
	go func() { done <- c.Run(ctx, j) }()
	j.Eventually(t, "readings", func() bool { return len(j.Readings(false)) > 0 })
	cancel()
	require.NoError(t, <-done)
	text := j.log.String()
	require.Equal(t, 1, strings.Count(text, "is not certain"), text)
	require.Contains(t, text, "profile=schneider-iem3000 confidence=medium-high why=")
}
