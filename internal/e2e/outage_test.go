package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The full proof is -e2e.backlog 200000 -e2e.away 60s.
var (
	backlog = flag.Int("e2e.backlog", 20_000, "records that are stored while the platform is away")
	away    = flag.Duration("e2e.away", 3*time.Second, "time that it is away for")
)

// A source submits records of ten devices: as many as the backlog within the
// outage, and then new ones at an even rate, until it is stopped.
type source struct {
	rate    time.Duration // between new records
	stored  chan struct{} // closed when the backlog is stored
	blocked atomic.Int64  // the longest time that a new record took to be stored
	n       atomic.Int64
}

func (s *source) submit(ctx context.Context, h connector.Host, b *telemetry.Batch) error {
	n := s.n.Add(1)
	b.Reset()
	b.Device(fmt.Sprintf("dev%d", n%10), "sensor")
	b.Telemetry("n", telemetry.Int(n))
	began := time.Now()
	_, err := h.Submit(ctx, b)
	if err != nil {
		s.n.Add(-1) // the gateway stops
	}
	s.blocked.Store(max(s.blocked.Load(), int64(time.Since(began))))
	return err
}

func (s *source) Run(ctx context.Context, h connector.Host) error {
	h.Ready()
	var b telemetry.Batch
	for range *backlog {
		if err := s.submit(ctx, h, &b); err != nil {
			return err
		}
	}
	close(s.stored)
	tick := time.NewTicker(s.rate)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := s.submit(ctx, h, &b); err != nil {
			return err
		}
	}
}

// TestCatchUpAfterAnOutage guards that a backlog is delivered faster than new
// data comes in, that new data is stored without delay all the while, and that
// it is on the platform at once when the backlog is.
func TestCatchUpAfterAnOutage(t *testing.T) {
	const rate = 2 * time.Millisecond
	var mu sync.Mutex
	arrived := make(map[int64]bool)
	last := make(map[string]int64)
	disordered := 0
	srv, err := tbtest.NewServer(tbtest.Config{Token: "t", Keep: 1, OnTelemetry: func(r tbtest.Reading) {
		mu.Lock()
		defer mu.Unlock()
		n := r.Value.(int64)
		if arrived[n] {
			return
		}
		arrived[n] = true
		if n < last[r.Device] {
			disordered++
		}
		last[r.Device] = n
	}})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	srv.SetLink(false)
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(arrived) }

	store, err := filestore.Open(filestore.Config{Dir: t.TempDir(), MaxBytes: 1 << 30})
	require.NoError(t, err)
	src := &source{rate: rate, stored: make(chan struct{})}
	quiet := slog.New(slog.DiscardHandler)
	gw, err := gateway.New(
		gateway.WithPlatform(tbclient.Dial(tbclient.Config{
			Broker: srv.URL(), AccessToken: "t", Logger: quiet, LongestBackoff: time.Second,
		})),
		gateway.WithOwnedStore(store), gateway.WithLogger(quiet), gateway.WithConnector("source", src),
	)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- gw.Run(ctx) }()

	down := time.Now()
	<-src.stored
	t.Logf("%d records stored in %v", *backlog, time.Since(down).Round(time.Millisecond))
	time.Sleep(time.Until(down.Add(*away)))
	src.blocked.Store(0)
	srv.SetLink(true)
	for count() == 0 {
		time.Sleep(time.Millisecond)
	}
	up, before := time.Now(), src.n.Load()
	// Caught up is when all that was submitted a tenth of a second ago is there.
	for {
		n := src.n.Load()
		time.Sleep(100 * time.Millisecond)
		if int64(count()) >= n {
			break
		}
		require.Less(t, time.Since(up), 5*time.Minute, "%d of %d", count(), n)
	}
	took := time.Since(up)
	perSecond := float64(before) / took.Seconds()
	t.Logf("caught up %d records in %v (%.0f a second, %.0f times the rate of new ones); the longest store of a new record took %v",
		before, took.Round(time.Millisecond), perSecond, perSecond*rate.Seconds(), time.Duration(src.blocked.Load()).Round(time.Millisecond))
	cancel()
	require.NoError(t, <-done)
	require.Zero(t, disordered)
	require.Equal(t, int(src.n.Load()), count(), "and nothing is lost")
	require.Greater(t, perSecond*rate.Seconds(), 2.0, "new data comes faster than old data goes")
}
