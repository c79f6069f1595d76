//go:build unix

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// systemd is told while the gateway is alive, and not while it hangs, so that it
// restarts it.
func TestTheWatchdogIsToldWhileTheGatewayIsAlive(t *testing.T) {
	dir, err := os.MkdirTemp("", "sd") //nolint:usetesting // a short path: names of sockets are bounded
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	env := map[string]string{"NOTIFY_SOCKET": filepath.Join(dir, "s"), "WATCHDOG_USEC": "2000"}
	n := newNotifier(func(name string) string { return env[name] })

	var hangs atomic.Bool
	var asked, told atomic.Int64
	alive := func(context.Context) error {
		asked.Add(1)
		if hangs.Load() {
			return errors.New("it hangs")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		n.watchdog(ctx, alive, func() string { return "fine" }, slog.New(slog.DiscardHandler))
		_ = socket.Close()
	})
	wg.Go(func() {
		b := make([]byte, 100)
		for {
			size, err := socket.Read(b)
			if err != nil {
				return
			}
			if strings.HasPrefix(string(b[:size]), "WATCHDOG=1\nSTATUS=fine") {
				told.Add(1)
			}
		}
	})
	more := func(what *atomic.Int64, by int64) {
		t.Helper()
		before := what.Load()
		require.Eventually(t, func() bool { return what.Load() >= before+by }, 60*time.Second, time.Millisecond)
	}
	more(&told, 3)
	hangs.Store(true)
	more(&asked, 2) // one may have begun before
	before := told.Load()
	more(&asked, 5)
	require.LessOrEqual(t, told.Load(), before+1, "one may have been under way")
	hangs.Store(false)
	more(&told, 3)
	cancel()
	wg.Wait()
}

func TestWithoutSystemdNobodyIsTold(t *testing.T) {
	n := newNotifier(func(string) string { return "" })
	require.NoError(t, n.send("READY=1"))
	n.watchdog(t.Context(), nil, nil, nil) // it returns
	require.Error(t, newNotifier(func(string) string { return "@no such socket" }).send("READY=1"))
}
