package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"
)

var errStopping = errors.New("the gateway stops")

// A notifier tells systemd how the service fares; see sd_notify(3). Without
// systemd it does nothing.
type notifier struct {
	socket string        // empty: nobody wants to know
	period time.Duration // within which the watchdog wants to be told; zero: it does not
}

func newNotifier(getenv func(string) string) *notifier {
	n := &notifier{socket: getenv("NOTIFY_SOCKET")}
	if n.socket != "" && n.socket[0] == '@' { // of the abstract namespace
		n.socket = "\x00" + n.socket[1:]
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if pid := getenv("WATCHDOG_PID"); err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.period = time.Duration(usec) * time.Microsecond
	}
	return n
}

// send sends assignments, one a line.
func (n *notifier) send(state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// watchdog tells systemd, twice in its period, that the gateway is alive, while it
// is. If the gateway hangs it says nothing, and systemd restarts it.
func (n *notifier) watchdog(ctx context.Context, alive func(context.Context) error, status func() string, log *slog.Logger) {
	if n.socket == "" || n.period == 0 {
		return
	}
	tick := time.NewTicker(n.period / 2)
	defer tick.Stop()
	for {
		if err := alive(ctx); err == nil {
			err = n.send("WATCHDOG=1\nSTATUS=" + status())
			if err != nil {
				log.Warn("the watchdog is not told", "error", err)
			}
		} else if ctx.Err() == nil {
			log.Error("the watchdog is not told, it will restart the gateway", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
