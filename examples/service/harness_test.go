//go:build unix

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// patience is how long a test waits for what has to happen, on a machine that is
// slow and busy.
const patience = 60 * time.Second

// binary builds the program once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "gateway-service") //nolint:usetesting // it outlives the test that is first
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "gateway")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.version=v9.8.7", "-o", built.path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.path
}

var built struct {
	sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// configure writes the files of a gateway, and returns their folder.
func configure(t *testing.T, platform string, connectors map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(platform)
	require.NoError(t, err)
	var entries []any
	for name, file := range connectors {
		kind, _, _ := strings.Cut(name, " ")
		write(t, filepath.Join(dir, name+".json"), file)
		entries = append(entries, map[string]any{"type": kind, "name": name, "configuration": name + ".json"})
	}
	write(t, filepath.Join(dir, "tb_gateway.json"), map[string]any{
		"thingsboard": map[string]any{
			"host": host, "port": json.Number(port),
			"security": map[string]any{"type": "accessToken", "accessToken": "secret"},
		},
		"storage":    map[string]any{"type": "file", "data_folder_path": filepath.Join(dir, "data")},
		"connectors": entries,
	})
	return dir
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// newPlatform starts the double of the platform.
func newPlatform(t *testing.T) *tbtest.Server {
	t.Helper()
	srv, err := tbtest.NewServer(tbtest.Config{Token: "secret"})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	return srv
}

// process is the program, running.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *buffer
	done chan error
}

// start starts the program with arguments and further variables.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary(t), args...), out: new(buffer), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	ended := make(chan struct{})
	go func() {
		p.done <- p.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(p.out.String())
		}
	})
	return p
}

// code waits for the end of the program and returns its exit code.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("the program does not end")
		return 0
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// says waits until the program has logged a text.
func (p *process) says(text string) {
	p.t.Helper()
	eventually(p.t, "it says "+text, func() bool { return strings.Contains(p.out.String(), text) })
}

// address waits for the address of the monitor.
func (p *process) address() string {
	p.t.Helper()
	p.says("metrics and health are served address=")
	_, rest, _ := strings.Cut(p.out.String(), "metrics and health are served address=")
	address, _, _ := strings.Cut(rest, "\n")
	return "http://" + address
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// supervisor is the socket of systemd.
type supervisor struct {
	conn *net.UnixConn
	path string

	mu  sync.Mutex
	got []string // assignments, in order
}

func newSupervisor(t *testing.T) *supervisor {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") //nolint:usetesting // a short path: names of sockets are bounded
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &supervisor{path: filepath.Join(dir, "notify")}
	s.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := s.conn.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.got = append(s.got, strings.Split(strings.TrimSuffix(string(b[:n]), "\n"), "\n")...)
			s.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = s.conn.Close()
		wg.Wait()
	})
	return s
}

// count returns how often an assignment came that begins with a text.
func (s *supervisor) count(text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.got {
		if strings.HasPrefix(g, text) {
			n++
		}
	}
	return n
}

func (s *supervisor) awaits(t *testing.T, text string, n int) {
	t.Helper()
	eventually(t, text, func() bool { return s.count(text) >= n })
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, patience, 10*time.Millisecond, what)
}

// buffer is a writer that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
