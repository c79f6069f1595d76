package modbus_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
)

// output runs a program that ends by itself.
func output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%s: %s", strings.Join(args, " "), out)
	return string(out)
}

func TestPeerMbpollIsAMasterOverTCP(t *testing.T) {
	mbpoll := peer.Need(t, "mbpoll")
	h, _, addr := serverLoopback(t, "tcp", "socket", "")
	reach(t, "tcp://"+addr)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	mbpollExercise(t, h, mbpoll, "127.0.0.1", "-m", "tcp", "-p", port)
}

func TestPeerMbpollIsAMasterOnALine(t *testing.T) {
	mbpoll := peer.Need(t, "mbpoll")
	a, b := line(t)
	c, _, err := load(t, serverFile(fmt.Sprintf(`"type": "serial", "method": "rtu", "port": %q, "baudrate": 19200, "parity": "N"`, a)))
	require.NoError(t, err)
	h, _ := run(t, c)
	h.Eventually(t, "the line is open", h.IsReady)
	h.Eventually(t, "first reading", func() bool { return h.last("Own", "level") == "-7" })
	await(t, "the line is served", func() bool {
		return exec.CommandContext(t.Context(), mbpoll, "-m", "rtu", "-b", "19200", "-P", "none", "-a", "1", "-0", "-r", "10", "-1", b).Run() == nil
	})
	mbpollExercise(t, h, mbpoll, b, "-m", "rtu", "-b", "19200", "-P", "none")
}

func mbpollExercise(t *testing.T, h *host, mbpoll, place string, mode ...string) {
	t.Helper()
	call := func(args ...string) string {
		return output(t, append(append([]string{mbpoll}, mode...), args...)...)
	}
	require.Contains(t, call("-a", "1", "-0", "-t", "4", "-r", "10", "-1", place), "[10]: \t65529 (-7)")
	require.Contains(t, call("-a", "1", "-0", "-t", "3", "-r", "7", "-1", place), "[7]: \t42")
	require.Contains(t, call("-a", "1", "-0", "-t", "0", "-r", "5", "-c", "2", "-1", place), "[6]: \t1")
	require.Contains(t, call("-a", "1", "-0", "-t", "1", "-r", "0", "-1", place), "[0]: \t1")
	require.Contains(t, call("-a", "1", "-0", "-t", "4:float", "-B", "-r", "20", "-1", place), "2.5")
	call("-a", "1", "-0", "-t", "4", "-r", "10", place, "77")
	h.Eventually(t, "the register is published", func() bool { return h.last("Own", "level") == "77" })
	call("-a", "1", "-0", "-t", "0", "-r", "5", place, "1", "0")
	h.Eventually(t, "the coils are published", func() bool { return h.last("Own", "on") == "[true,false]" })
}

// pymodbusMaster reads, writes, and provokes an exception, over the transport that
// its first argument names.
const pymodbusMaster = `
import sys
from pymodbus.client import ModbusTcpClient, ModbusUdpClient, ModbusSerialClient, ModbusTlsClient
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer, ModbusAsciiFramer
mode, at = sys.argv[1], sys.argv[2]
host, _, port = at.partition(":")
if mode == "tcp": c = ModbusTcpClient(host, int(port))
elif mode == "udp": c = ModbusUdpClient(host, int(port))
elif mode == "rtuovertcp": c = ModbusTcpClient(host, int(port), framer=ModbusRtuFramer)
elif mode == "asciiovertcp": c = ModbusTcpClient(host, int(port), framer=ModbusAsciiFramer)
elif mode == "rtu": c = ModbusSerialClient(at, framer=ModbusRtuFramer, baudrate=19200, timeout=5)
elif mode == "ascii": c = ModbusSerialClient(at, framer=ModbusAsciiFramer, baudrate=19200, timeout=5)
assert c.connect()
assert c.read_holding_registers(10, 1, slave=1).registers == [65529]
assert c.read_input_registers(7, 1, slave=1).registers == [42]
assert c.read_coils(5, 2, slave=1).bits[:2] == [False, True]
assert c.read_discrete_inputs(0, 1, slave=1).bits[0]
assert not c.write_registers(20, [1, 2], slave=1).isError()
assert c.read_holding_registers(20, 2, slave=1).registers == [1, 2]
assert not c.write_coils(5, [True, False], slave=1).isError()
assert c.read_coils(5, 2, slave=1).bits[:2] == [True, False]
bad = c.read_holding_registers(11, 1, slave=1)
assert bad.isError() and bad.exception_code == 2, bad
assert not c.write_register(10, 77, slave=1).isError()
c.close()
`

func TestPeerPymodbusIsAMaster(t *testing.T) {
	python := needPymodbus(t)
	for _, tt := range []struct{ mode, typ, method string }{
		{"tcp", "tcp", "socket"}, {"udp", "udp", "socket"}, {"rtuovertcp", "tcp", "rtu"}, {"asciiovertcp", "tcp", "ascii"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			h, _, addr := serverLoopback(t, tt.typ, tt.method, "")
			tr := reach(t, tt.mode+"://"+addr)
			require.NoError(t, tr.Close())
			output(t, python, "-c", pymodbusMaster, tt.mode, addr)
			h.Eventually(t, "what the master wrote is published", func() bool { return h.last("Own", "level") == "77" })
		})
	}
	for _, method := range []string{"rtu", "ascii"} {
		t.Run(method, func(t *testing.T) {
			a, b := line(t)
			c, _, err := load(t, serverFile(fmt.Sprintf(`"type": "serial", "method": %q, "port": %q, "parity": "N"`, method, a)))
			require.NoError(t, err)
			h, _ := run(t, c)
			tr := reach(t, method+"://"+b)
			require.NoError(t, tr.Close())
			time.Sleep(10 * time.Millisecond) // the silence between frames
			output(t, python, "-c", pymodbusMaster, method, b)
			h.Eventually(t, "what the master wrote is published", func() bool { return h.last("Own", "level") == "77" })
		})
	}
}
