package tbclient_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A faultLine passes TCP connections on to a server, and does to each what bad
// lines do.
type faultLine struct {
	ln     net.Listener
	target string
	wg     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	calm   bool // no more faults
	n      int  // connections
}

func newFaultLine(t *testing.T, target string) *faultLine {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &faultLine{ln: ln, target: target, conns: make(map[net.Conn]struct{})}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		l.mu.Lock()
		l.closed = true
		for c := range l.conns {
			_ = c.Close()
		}
		l.mu.Unlock()
		l.wg.Wait()
	})
	return l
}

func (l *faultLine) accept() {
	for {
		client, err := l.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.DialTimeout("tcp", l.target, time.Second)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.add(client) || !l.add(server) {
			_ = client.Close()
			_ = server.Close()
			return
		}
		fault := l.choose()
		l.wg.Go(func() { l.pass(client, server, fault) })
		l.wg.Go(func() { l.pass(server, client, fault) })
	}
}

func (l *faultLine) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return !l.closed
}

// choose returns the fault of the next connection; each has its turn.
func (l *faultLine) choose() string {
	faults := []string{"cut", "reset", "stall", "half-open", "bytewise"}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calm {
		return "none"
	}
	fault := faults[l.n%len(faults)]
	l.n++
	return fault
}

// pass copies until the fault strikes, some time after the beginning.
func (l *faultLine) pass(from, to net.Conn, fault string) {
	strike := time.Now().Add(time.Duration(50+rand.IntN(400)) * time.Millisecond)
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			break
		}
		due := time.Now().After(strike)
		switch {
		case fault == "cut" && due:
			_, _ = to.Write(buf[:n/2])
			goto end
		case fault == "reset" && due:
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			goto end
		case fault == "stall" && due:
			time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond)
			strike = time.Now().Add(300 * time.Millisecond)
		case fault == "half-open" && due:
			_, _ = io.Copy(io.Discard, from) // nothing passes any more, and nobody is told
			goto end
		case fault == "bytewise":
			n = l.bytewise(to, buf[:n])
			if due {
				goto end
			}
		}
		if _, err := to.Write(buf[:n]); err != nil {
			break
		}
	}
end:
	_ = from.Close()
	_ = to.Close()
}

// bytewise writes the first bytes one at a time, and all the rest.
func (l *faultLine) bytewise(to net.Conn, b []byte) (left int) {
	for i := range b[:min(len(b), 200)] {
		if _, err := to.Write(b[i : i+1]); err != nil {
			return 0
		}
	}
	_, _ = to.Write(b[min(len(b), 200):])
	return 0
}

func TestAHundredThousandRecordsCrossABadLineCompleteAndInOrder(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		const devices, records, perBatch = 20, 100_000, 100
		srv := serve(t, tbtest.Config{})
		line := newFaultLine(t, srv.Addr())
		srv.Reorder(4)
		cfg := config(t, srv)
		cfg.Broker = "tcp://" + line.ln.Addr().String()
		cfg.Version = version
		cfg.Timeout, cfg.ConnectTimeout, cfg.KeepAlive = 500*time.Millisecond, time.Second, time.Second
		var log logBuffer
		cfg.Logger = log.logger()
		c := connected(t, cfg, downlink{})
		var batches [][]telemetry.Group
		for n := 0; n < records; n += perBatch {
			var groups []telemetry.Group
			for i := range perBatch {
				ts := int64(n + i + 1)
				groups = append(groups, group(fmt.Sprintf("dev%d", (n+i)%devices), "v", ts, telemetry.Int(ts)))
			}
			batches = append(batches, groups)
		}
		began := time.Now()
		// The line is bad for the first nine tenths.
		require.NoError(t, feed(within(t, 12*patience), c, batches[:900]))
		line.mu.Lock()
		line.calm = true
		line.mu.Unlock()
		require.NoError(t, feed(within(t, 6*patience), c, batches[900:]))
		t.Logf("%d records in %v, %d connections, %d faults, sent twice %d", records, time.Since(began).Round(time.Millisecond),
			srv.Stats().Connects, line.n, srv.Stats().Readings-records)
		require.GreaterOrEqual(t, line.n, 5, "every fault has struck")

		last, seen := make(map[string]int64), make(map[int64]bool, records)
		for _, r := range srv.Readings() {
			if seen[r.TS] {
				continue
			}
			seen[r.TS] = true
			require.Greater(t, r.TS, last[r.Device], "device %s", r.Device)
			last[r.Device] = r.TS
			require.Equal(t, r.TS, r.Value)
		}
		require.Len(t, seen, records)
		require.Zero(t, c.Stats().Quarantined)
	})
}
