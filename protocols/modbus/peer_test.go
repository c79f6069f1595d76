package modbus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// pymodbusServer is a server with 400 of everything: holding register n holds 1000+n.
const pymodbusServer = `
import sys
from pymodbus.datastore import ModbusSequentialDataBlock as B, ModbusSlaveContext as S, ModbusServerContext as C
from pymodbus.server import StartTcpServer, StartSerialServer, StartUdpServer, StartTlsServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer, ModbusAsciiFramer
st = S(di=B(0, [1, 0] * 200), co=B(0, [0] * 400), hr=B(0, list(range(1000, 1400))), ir=B(0, list(range(2000, 2400))), zero_mode=True)
ctx = C(slaves=st, single=True)
mode, addr = sys.argv[1], sys.argv[2]
if mode in ("rtu", "ascii"):
    StartSerialServer(context=ctx, port=addr, baudrate=19200, framer=ModbusRtuFramer if mode == "rtu" else ModbusAsciiFramer, timeout=0.1)
host, port = addr.split(":")
at = (host, int(port))
if mode == "udp":
    StartUdpServer(context=ctx, address=at, framer=ModbusSocketFramer)
elif mode == "tls":
    StartTlsServer(context=ctx, address=at, framer=ModbusSocketFramer, certfile=sys.argv[3], keyfile=sys.argv[4])
else:
    framers = {"tcp": ModbusSocketFramer, "rtuovertcp": ModbusRtuFramer, "asciiovertcp": ModbusAsciiFramer}
    StartTcpServer(context=ctx, address=at, framer=framers[mode])
`

// start starts a peer, and ends it with the test.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // was killed
	})
}

func needPymodbus(t *testing.T) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.CommandContext(t.Context(), python, "-c", "import pymodbus.server").Run(); err != nil {
		t.Skipf("peer not installed: pymodbus (Debian: python3-pymodbus, python3-serial-asyncio)")
	}
	return python
}

// line returns the two ends of a serial line.
func line(t *testing.T) (a, b string) {
	t.Helper()
	if _, err := exec.LookPath("socat"); err != nil {
		t.Skipf("peer not installed: socat")
	}
	dir := t.TempDir()
	a, b = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	start(t, "socat", "pty,raw,echo=0,link="+a, "pty,raw,echo=0,link="+b)
	await(t, "socat's line", func() bool {
		_, err1 := os.Stat(a)
		_, err2 := os.Stat(b)
		return err1 == nil && err2 == nil
	})
	return a, b
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestPeerPymodbusTCP(t *testing.T)          { overTCP(t, "tcp", "") }
func TestPeerPymodbusRTUOverTCP(t *testing.T)   { overTCP(t, "rtuovertcp", "") }
func TestPeerPymodbusASCIIOverTCP(t *testing.T) { overTCP(t, "asciiovertcp", "") }

func TestPeerPymodbusTLS(t *testing.T) {
	certs := peer.NewCerts(t)
	overTCP(t, "tls", "?"+url.Values{"ca": {certs.CA}}.Encode(), certs.ServerCert, certs.ServerKey)
	_, err := modbus.Dial(t.Context(), lastTLS(t, certs))
	require.ErrorContains(t, err, "certificate", "a server that nobody vouches for is trusted")
}

// lastTLS starts one more server, and returns its URL without its authority.
func lastTLS(t *testing.T, certs peer.Certs) string {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, needPymodbus(t), "-c", pymodbusServer, "tls", addr, certs.ServerCert, certs.ServerKey)
	peer.Listening(t, addr)
	return "tls://" + addr
}

// A server that has not got every register of a range: the others are read all the same.
func TestPeerPymodbusWithHoles(t *testing.T) {
	const holes = `
import sys
from pymodbus.datastore import ModbusSequentialDataBlock as B, ModbusSparseDataBlock as P, ModbusSlaveContext as S, ModbusServerContext as C
from pymodbus.server import StartTcpServer
st = S(di=B(0, [0] * 400), co=B(0, [0] * 400), ir=B(0, [0] * 400), hr=P({a: 1000 + a for a in range(60) if a not in (7, 8, 30)}), zero_mode=True)
host, port = sys.argv[1].split(":")
StartTcpServer(context=C(slaves=st, single=True), address=(host, int(port)))
`
	python := needPymodbus(t)
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, python, "-c", holes, addr)
	peer.Listening(t, addr)
	d := modbus.Device{Name: "m", Unit: 1, Poll: 50 * time.Millisecond, Registers: words(60)}
	for _, gap := range []int{0, -1} { // that are read over, and not
		d.MaxGap = gap
		d.Registers = slices.DeleteFunc(d.Registers, func(r modbus.Register) bool { return gap < 0 && r.Address == 8 })
		h, stop := run(t, modbus.New(modbus.Config{URL: "tcp://" + addr, Timeout: 10 * time.Second, Devices: []modbus.Device{d}}))
		h.Eventually(t, "several polls", func() bool { return len(h.series("m", "r59")) > 2 })
		stop()
		for _, r := range d.Registers {
			if r.Address == 7 || r.Address == 8 || r.Address == 30 {
				require.Empty(t, h.series("m", r.Key))
				require.Equal(t, 1, h.log.count(`msg="register is refused" device=m key=`+r.Key+" "))
				continue
			}
			require.Equal(t, fmt.Sprint(1000+int(r.Address)), h.last("m", r.Key))
		}
		require.Zero(t, h.log.count("device does not answer"))
	}
}

func TestPeerPymodbusUDP(t *testing.T) {
	python := needPymodbus(t)
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, python, "-c", pymodbusServer, "udp", addr)
	tr := dial(t, "udp://"+addr)
	await(t, "pymodbus answers", func() bool { _, err := read(tr, 1, 10, 1, 200*time.Millisecond); return err == nil })
	exercise(t, "udp://"+addr, 1)
}

func TestPeerPymodbusASCII(t *testing.T) {
	python := needPymodbus(t)
	a, b := line(t)
	start(t, python, "-c", pymodbusServer, "ascii", b)
	exercise(t, "ascii://"+a+"?baud=19200", 1)
}

func overTCP(t *testing.T, scheme, settings string, args ...string) {
	t.Helper()
	python := needPymodbus(t)
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, python, append([]string{"-c", pymodbusServer, scheme, addr}, args...)...)
	await(t, "pymodbus listens", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	exercise(t, scheme+"://"+addr+settings, 1)
}

func TestPeerPymodbusRTU(t *testing.T) {
	python := needPymodbus(t)
	a, b := line(t)
	start(t, python, "-c", pymodbusServer, "rtu", b)
	exercise(t, "rtu://"+a+"?baud=19200", 1)
}

// libmodbusServer builds libmodbus' unit-test-server for a serial line.
func libmodbusServer(t *testing.T, tty string) string {
	t.Helper()
	const examples = "/usr/share/doc/libmodbus-dev/examples"
	src, err := os.ReadFile(filepath.Join(examples, "unit-test-server.c"))
	if err != nil {
		t.Skipf("peer not installed: libmodbus-dev")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skipf("peer not installed: gcc")
	}
	dir := t.TempDir()
	text := strings.ReplaceAll(strings.ReplaceAll(string(src), "/dev/ttyUSB0", tty), "115200", "19200")
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	write("server.c", text)
	write("config.h", "#define LIBMODBUS_VERSION_STRING \"\"\n")
	out := filepath.Join(dir, "server")
	cmd := exec.CommandContext(t.Context(), "gcc", "-I", dir, "-I", examples, "-I/usr/include/modbus", "-o", out, filepath.Join(dir, "server.c"), "-lmodbus")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building libmodbus' server: %v\n%s", err, msg)
	}
	return out
}

// TestPeerLibmodbusRTUAnswersLate reads a register of libmodbus' server that it
// answers half a second late, and then others: none may have that one's value.
func TestPeerLibmodbusRTUAnswersLate(t *testing.T) {
	a, b := line(t)
	start(t, libmodbusServer(t, b), "rtu")
	const unit, normal, sleeps = 17, 0x161, 0x172
	tr := dial(t, "rtu://"+a+"?baud=19200&parity=N")
	write := func(addr, value uint16) {
		await(t, "libmodbus answers", func() bool {
			pdu := []byte{6, byte(addr >> 8), byte(addr), byte(value >> 8), byte(value)}
			_, err := tr.Exchange(context.Background(), unit, pdu, time.Second)
			return err == nil
		})
	}
	write(normal, 1001)
	write(sleeps, 2002)
	for range 3 {
		_, err := read(tr, unit, sleeps, 1, 200*time.Millisecond)
		require.ErrorIs(t, err, modbus.ErrTimeout)
		data, err := read(tr, unit, normal, 1, time.Second)
		require.NoError(t, err)
		require.Equal(t, []byte{1001 >> 8, 1001 & 0xFF}, data, "the value of another register")
	}
	_, err := read(tr, unit, 0x170, 1, time.Second)
	require.ErrorContains(t, err, "exception 6")
}

func TestPeerALineThatIsUnpluggedIsReopened(t *testing.T) {
	python := needPymodbus(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	plug := func() (unplug func()) {
		ctx, cancel := context.WithCancel(t.Context())
		socat := exec.CommandContext(ctx, "socat", "pty,raw,echo=0,link="+a, "pty,raw,echo=0,link="+b)
		if err := socat.Start(); err != nil {
			t.Skipf("peer not installed: socat")
		}
		await(t, "line", func() bool { _, err := os.Stat(b); return err == nil })
		py := exec.CommandContext(ctx, python, "-c", pymodbusServer, "rtu", b)
		require.NoError(t, py.Start())
		return func() {
			cancel()
			_ = socat.Wait() // was killed
			_ = py.Wait()    // was killed
			_ = os.Remove(a)
			_ = os.Remove(b)
		}
	}
	unplug := plug()
	c := modbus.New(modbus.Config{URL: "rtu://" + a + "?baud=19200", Devices: []modbus.Device{{
		Name: "m", Unit: 1, Poll: 100 * time.Millisecond, Registers: []modbus.Register{{Key: "r", Address: 5, Writable: true}},
	}}})
	h, stop := run(t, c)
	h.Eventually(t, "first reading", func() bool { return h.last("m", "r") == "1005" })
	unplug()
	h.Eventually(t, "the loss is noticed", func() bool { return h.log.count("bus is not reachable") == 1 })
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "m", Method: "r", Params: json.RawMessage("1")})
	require.Error(t, err)
	unplug = plug()
	n := len(h.series("m", "r"))
	await(t, "readings after the line is back", func() bool { return len(h.series("m", "r")) > n })
	stop()
	unplug()
}
