package mqttxtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Mosquitto configures a Mosquitto broker with one listener.
type Mosquitto struct {
	Websocket bool
	Certs     *Certs // encrypt, and demand a client certificate
	User      string // with Password: demand them
	Password  string
}

// A Broker is a Mosquitto broker that runs as a process of its own.
type Broker struct {
	t    testing.TB
	addr string
	conf string
	cmd  *exec.Cmd
}

// Start starts a broker that ends with the test. The test is skipped if
// Mosquitto is not installed.
func (m Mosquitto) Start(tb testing.TB) *Broker {
	tb.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		tb.Skip("peer not installed: mosquitto")
	}
	b := &Broker{t: tb, addr: freeAddr(tb), conf: filepath.Join(tb.TempDir(), "mosquitto.conf")}
	must(tb, os.WriteFile(b.conf, []byte(m.config(tb, b.addr)), 0o600))
	b.Restart()
	tb.Cleanup(b.Kill)
	return b
}

func (m Mosquitto) config(tb testing.TB, addr string) string {
	tb.Helper()
	_, port, err := net.SplitHostPort(addr)
	must(tb, err)
	lines := []string{"per_listener_settings true", "persistence false", "set_tcp_nodelay true",
		"max_queued_messages 0", "max_inflight_messages 0"}
	if os.Getuid() == 0 {
		lines = append(lines, "user root")
	}
	if m.Websocket { // Mosquitto 2.0.11 does not start with a websocket listener alone
		_, other, err := net.SplitHostPort(freeAddr(tb))
		must(tb, err)
		lines = append(lines, "listener "+other+" 127.0.0.1", "allow_anonymous true")
	}
	lines = append(lines, "listener "+port+" 127.0.0.1")
	if m.Websocket {
		lines = append(lines, "protocol websockets")
	}
	switch {
	case m.Certs != nil:
		lines = append(lines, "cafile "+m.Certs.CA, "certfile "+m.Certs.ServerCert, "keyfile "+m.Certs.ServerKey,
			"require_certificate true", "use_identity_as_username true")
	case m.User != "":
		name := filepath.Join(tb.TempDir(), "passwd")
		out, err := exec.CommandContext(tb.Context(), "mosquitto_passwd", "-b", "-c", name, m.User, m.Password).CombinedOutput()
		if err != nil {
			tb.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		lines = append(lines, "password_file "+name)
	default:
		lines = append(lines, "allow_anonymous true")
	}
	return strings.Join(lines, "\n") + "\n"
}

// freeAddr returns an address that nothing listens on.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	must(tb, err)
	defer func() { _ = ln.Close() }()
	return "127.0.0.1:" + strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

// Addr returns the broker's host:port.
func (b *Broker) Addr() string { return b.addr }

// Restart starts the broker anew, after Kill, and waits until it listens.
func (b *Broker) Restart() {
	b.t.Helper()
	b.cmd = exec.Command("mosquitto", "-c", b.conf) //nolint:noctx // Kill ends it
	must(b.t, b.cmd.Start())
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var d net.Dialer
		conn, err := d.DialContext(b.t.Context(), "tcp", b.addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			b.Kill()
			b.t.Fatal(fmt.Errorf("mosquitto does not listen: %w", err))
		}
	}
}

// Kill ends the broker without a word to its clients.
func (b *Broker) Kill() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	b.cmd = nil
}
