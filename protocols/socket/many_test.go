package socket_test

import (
	"flag"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var clients = flag.Int("socket.clients", 500, "how many clients TestManyClients connects")

// Many clients cost little each: a goroutine and a buffer. The figure is logged.
func TestManyClients(t *testing.T) {
	cfg := listen(station(""))
	cfg.MaxConnections = *clients
	c, host := start(t, cfg)
	idle := rss(t)
	conns := make([]net.Conn, *clients)
	for i := range conns {
		conns[i] = dial(t, "tcp", c.Addr())
	}
	host.Eventually(t, "all are connected", func() bool { return c.Stats().Connections == *clients })
	for round := 1; round <= 3; round++ {
		for i, conn := range conns {
			write(t, conn, "a"+strconv.Itoa(i)+"\n")
		}
		host.Eventually(t, "all readings", func() bool { return c.Stats().Messages >= uint64(round**clients) })
	}
	grown := rss(t) - idle
	t.Logf("%d clients: %.1f MiB more than none, %.1f KiB each, clients of the test included", *clients, float64(grown)/1024, float64(grown)/float64(*clients))
}

// rss returns the resident memory of the process in KiB.
func rss(t *testing.T) int {
	t.Helper()
	runtime.GC()
	doc, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // no such system
	}
	for line := range strings.Lines(string(doc)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return n
		}
	}
	return 0
}
