package serial_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/serial"
)

// A line by socat is a real one to the operating system; pyserial writes to it.
func TestPeerSocatAndPyserial(t *testing.T) {
	socat := peer.Need(t, "socat")
	python := peer.Need(t, "/usr/bin/python3")
	dir := t.TempDir()
	near, far := filepath.Join(dir, "near"), filepath.Join(dir, "far")
	peer.Start(t, dir, socat, "pty,raw,echo=0,link="+near, "pty,raw,echo=0,link="+far)
	require.Eventually(t, func() bool {
		_, err1 := os.Stat(near)
		_, err2 := os.Stat(far)
		return err1 == nil && err2 == nil
	}, 10*time.Second, 5*time.Millisecond)

	d := scale("a")
	d.Port, d.RTSCTS = near, false
	c := serial.New(serial.Config{Devices: []serial.Device{d}})
	host := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	defer func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}()
	host.Eventually(t, "it is ready", host.IsReady)

	script := `
import serial, sys
p = serial.Serial(sys.argv[1], 9600, timeout=10)
for i in range(200):
    p.write(("W=%d.5 kg\r\n" % i).encode())
q = p.read_until(b"?")
p.write(b"V 2.0\r\n")
p.flush()
p.read(1)
`
	peer.Start(t, dir, python, "-c", script, far)
	host.Eventually(t, "all readings", func() bool { return len(values(host, "w")) == 200 })
	got := values(host, "w")
	assert.Equal(t, "0.5", got[0])
	assert.Equal(t, "199.5", got[199])
	v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "a", Method: "version", Params: json.RawMessage(`"?"`)})
	require.NoError(t, err)
	assert.Equal(t, "2.0", v.String())
}

// A line that is unplugged is opened again when it is back.
func TestPeerSocatLineComesBack(t *testing.T) {
	socat := peer.Need(t, "socat")
	dir := t.TempDir()
	near, far := filepath.Join(dir, "near"), filepath.Join(dir, "far")
	link := peer.Start(t, dir, socat, "pty,raw,echo=0,link="+near, "pty,raw,echo=0,link="+far)
	d := scale("a")
	d.Port = near
	c := serial.New(serial.Config{Devices: []serial.Device{d}})
	host := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	defer func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}()
	for round := 1; round <= 2; round++ {
		host.Eventually(t, "the line is open", func() bool { return c.Health().OK })
		f, err := os.OpenFile(far, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = io.WriteString(f, "W=1kg\r\n")
		require.NoError(t, err)
		host.Eventually(t, "a reading", func() bool { return len(values(host, "w")) == round })
		require.NoError(t, f.Close())
		if round == 1 {
			link.Kill()
			host.Eventually(t, "the line is gone", func() bool { return !c.Health().OK })
			link.Start()
		}
	}
}
