package meter_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// pymodbusMeters serves the register images of a folder as units 1, 2 and so on. An
// image holds all of the unit's holding and input registers.
const pymodbusMeters = `
import sys, array, os
from pymodbus.datastore import ModbusSequentialDataBlock as B, ModbusSlaveContext as S, ModbusServerContext as C
from pymodbus.server import StartTcpServer
units = {}
for name in os.listdir(sys.argv[2]):
    words = array.array("H")
    with open(os.path.join(sys.argv[2], name), "rb") as f:
        words.frombytes(f.read())
    if sys.byteorder == "little":
        words.byteswap()
    block = B(0, words.tolist())
    units[int(name)] = S(di=B(0, [0]), co=B(0, [0]), hr=block, ir=block, zero_mode=True)
host, port = sys.argv[1].split(":")
StartTcpServer(context=C(slaves=units, single=False), address=(host, int(port)))
`

func TestPeerPymodbusHoldsEveryProfile(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.CommandContext(t.Context(), python, "-c", "import pymodbus.server").Run(); err != nil {
		t.Skip("peer not installed: pymodbus (Debian: python3-pymodbus)")
	}
	dir := filepath.Join(t.TempDir(), "images")
	require.NoError(t, os.Mkdir(dir, 0o755))
	addr := "127.0.0.1:" + peer.FreePort(t)
	images := make(map[string][]uint16)
	var devices []modbus.Device
	for i, name := range meter.Names() {
		f := readProfile(t, name)
		image := randomImage(f, rand.New(rand.NewPCG(uint64(i), 11)))
		images[name] = image
		var raw []byte
		for _, w := range image {
			raw = binary.BigEndian.AppendUint16(raw, w)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i+1)), raw, 0o644))
		devices = append(devices, meter.Device(name, name, uint8(i+1), time.Hour, meter.Groups(meter.AllGroups()...)))
	}
	peer.Start(t, t.TempDir(), python, "-c", pymodbusMeters, addr, dir)
	peer.Listening(t, addr)

	h := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := meter.New(modbus.Config{URL: "tcp://" + addr, Timeout: 20 * time.Second, Devices: devices})
	go func() { done <- c.Run(ctx, h) }()
	readings := func() map[string]map[string]telemetry.Value {
		m := make(map[string]map[string]telemetry.Value)
		for _, r := range h.Readings(false) {
			if m[r.Device.Name] == nil {
				m[r.Device.Name] = make(map[string]telemetry.Value)
			}
			m[r.Device.Name][r.Key] = r.Value
		}
		return m
	}
	h.Eventually(t, "readings of all meters", func() bool { return len(readings()) == len(images) })
	cancel()
	require.NoError(t, <-done)
	total := 0
	for name, values := range readings() {
		total += compare(t, name, images[name], values)
	}
	t.Logf("%d values of %d profiles compared", total, len(images))
}
