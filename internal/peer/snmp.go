package peer

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SNMPD configures net-snmp's agent.
type SNMPD struct {
	Lines []string // of the configuration
}

// An SNMPAgent is net-snmp's agent, which runs as a process of its own.
type SNMPAgent struct {
	*Process

	addr string
}

// Start starts an agent on a loopback port, over UDP and TCP, that ends with the
// test. The test is skipped if snmpd is not installed.
func (s SNMPD) Start(tb testing.TB) *SNMPAgent {
	tb.Helper()
	path := Need(tb, "snmpd")
	dir, port := tb.TempDir(), FreePacketPort(tb)
	addr := "127.0.0.1:" + port
	file := filepath.Join(dir, "snmpd.conf")
	lines := append([]string{"agentAddress udp:" + addr + ",tcp:" + addr}, s.Lines...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	a := &SNMPAgent{addr: addr}
	env := append([]string{"env"}, netSNMP(filepath.Join(dir, "state"))...)
	a.Process = Start(tb, dir, append(env, path, "-f", "-LE", "4", "-C", "-c", file, "-p", filepath.Join(dir, "pid"))...)
	Listening(tb, addr)
	return a
}

// netSNMP returns environment variables that keep net-snmp's programs to a folder,
// and without MIBs.
func netSNMP(dir string) []string {
	return []string{"MIBS=", "SNMP_PERSISTENT_DIR=" + dir, "SNMPCONFPATH=" + dir}
}

// Addr returns the agent's host:port.
func (a *SNMPAgent) Addr() string { return a.addr }

// Restart starts the agent again, after Stop or Kill, and waits until it listens.
func (a *SNMPAgent) Restart() {
	a.t.Helper()
	a.Start()
	Listening(a.t, a.addr)
}

// FreePacketPort returns a port of the loopback address that is free now, for UDP
// and TCP.
func FreePacketPort(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		port := FreePort(tb)
		var lc net.ListenConfig
		conn, err := lc.ListenPacket(tb.Context(), "udp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		_ = conn.Close()
		return port
	}
	tb.Fatal("no port is free")
	return ""
}

// NetSNMP runs one of net-snmp's programs, such as snmptrap, and returns what it
// printed. The test is skipped if it is not installed. State, such as how often the
// engine of version 3 has started, is kept in dir.
func NetSNMP(tb testing.TB, dir, program string, args ...string) (string, error) {
	tb.Helper()
	path := Need(tb, program)
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), netSNMP(dir)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
