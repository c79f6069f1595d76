// Package peer starts programs that nobody here wrote, for tests to talk to. A
// test whose peer is not installed is skipped and names it; the project's own
// check installs them all and accepts no skip.
package peer

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Need skips the test unless the program is installed, and returns its path.
func Need(t testing.TB, program string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path
		}
	}
	t.Skipf("peer not installed: %s", program)
	return ""
}

// FreePort returns a TCP port of the loopback address that is free now.
func FreePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A Process is a peer that was started. It is killed when the test ends.
type Process struct {
	t    testing.TB
	args []string
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a program in a folder, with its output in the test's log.
func Start(t testing.TB, dir string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, args: args, dir: dir}
	t.Cleanup(p.Kill)
	p.Start()
	return p
}

// Start starts the program again after it was stopped or killed.
func (p *Process) Start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(context.Background(), p.args[0], p.args[1:]...)
	p.cmd.Dir = p.dir
	p.cmd.Stdout, p.cmd.Stderr = p.t.Output(), p.t.Output()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, done := p.cmd, make(chan struct{})
	p.done = done
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
}

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// Stop asks the program to end and waits until it has.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.t.Error("peer did not end: " + strings.Join(p.args, " "))
		p.Kill()
	}
}

// Kill ends the program at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Pid returns the program's process identifier.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Listening waits until something accepts connections at addr.
func Listening(t testing.TB, addr string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatalf("nothing listens on %s", addr)
}
