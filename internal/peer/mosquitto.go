package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Mosquitto configures a Mosquitto broker with one listener.
type Mosquitto struct {
	Websocket  bool
	Certs      *Certs // encrypt, and demand a client certificate
	User       string // with Password: demand them
	Password   string
	Persistent bool // keep sessions through Stop and Restart

	Lines []string // of the configuration, behind all others
}

// A Broker is a Mosquitto broker that runs as a process of its own.
type Broker struct {
	*Process

	addr string
}

// Start starts a broker that ends with the test. The test is skipped if
// Mosquitto is not installed.
func (m Mosquitto) Start(tb testing.TB) *Broker {
	tb.Helper()
	path := Need(tb, "mosquitto")
	dir, port := tb.TempDir(), FreePort(tb)
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(m.config(tb, dir, port)), 0o600); err != nil {
		tb.Fatal(err)
	}
	b := &Broker{addr: "127.0.0.1:" + port}
	b.Process = Start(tb, dir, path, "-c", file)
	Listening(tb, b.addr)
	return b
}

func (m Mosquitto) config(tb testing.TB, dir, port string) string {
	tb.Helper()
	lines := []string{
		"per_listener_settings true", "set_tcp_nodelay true",
		"max_queued_messages 0", "max_inflight_messages 0",
	}
	if os.Getuid() == 0 {
		lines = append(lines, "user root")
	}
	if m.Persistent {
		lines = append(lines, "persistence true", "autosave_interval 0", "persistence_location "+dir+"/")
	}
	if m.Websocket { // Mosquitto 2.0.11 does not start with a websocket listener alone
		lines = append(lines, "listener "+FreePort(tb)+" 127.0.0.1", "allow_anonymous true")
	}
	lines = append(lines, "listener "+port+" 127.0.0.1")
	if m.Websocket {
		lines = append(lines, "protocol websockets")
	}
	if m.Certs != nil {
		lines = append(lines, "cafile "+m.Certs.CA, "certfile "+m.Certs.ServerCert, "keyfile "+m.Certs.ServerKey,
			"require_certificate true")
	}
	switch {
	case m.User != "":
		lines = append(lines, "password_file "+m.passwords(tb, dir))
	case m.Certs != nil:
		lines = append(lines, "use_identity_as_username true")
	default:
		lines = append(lines, "allow_anonymous true")
	}
	return strings.Join(append(lines, m.Lines...), "\n") + "\n"
}

// passwords writes a password file and returns its name.
func (m Mosquitto) passwords(tb testing.TB, dir string) string {
	tb.Helper()
	name := filepath.Join(dir, "passwd")
	path := Need(tb, "mosquitto_passwd")
	if out, err := exec.CommandContext(tb.Context(), path, "-b", "-c", name, m.User, m.Password).CombinedOutput(); err != nil {
		tb.Fatalf("mosquitto_passwd: %v: %s", err, out)
	}
	return name
}

// Addr returns the broker's host:port.
func (b *Broker) Addr() string { return b.addr }

// Restart starts the broker again, after Stop or Kill, and waits until it
// listens.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Start()
	Listening(b.t, b.addr)
}
