package rest_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var (
	connections = flag.Int("rest.connections", 50, "how many connections TestThroughput has at a time")
	period      = flag.Duration("rest.period", 200*time.Millisecond, "how long TestThroughput sends to each server")
)

// Every request is answered with 200, whatever is behind it. The figures are logged: a
// bare net/http handler, stores that are not durable, and one that is, in turns, and of
// each the best turn, since others use the machine as well. See with
//
//	go test -run TestThroughput -v ./protocols/rest -rest.connections 1000 -rest.period 2s
func TestThroughput(t *testing.T) {
	bare := http.NewServeMux()
	bare.HandleFunc("POST /d", func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) })
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: bare, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		assert.NoError(t, srv.Close())
		assert.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	servers := []struct{ name, addr string }{{"bare handler", l.Addr().String()}, {"memory", behind(t, memstore.New(memstore.Config{}))}}
	for _, d := range []filestore.Durability{filestore.None, filestore.Always} {
		store, err := filestore.Open(filestore.Config{Dir: t.TempDir(), MaxBytes: 1 << 30, Durability: d})
		require.NoError(t, err)
		name := "file, durable"
		if d == filestore.None {
			name = "file, not durable"
		}
		servers = append(servers, struct{ name, addr string }{name, behind(t, store)})
	}
	best := make([]figures, len(servers))
	for range 3 {
		for i, s := range servers {
			if f := press(t, s.name, s.addr); f.rate > best[i].rate {
				best[i] = f
			}
		}
	}
	for i, f := range best {
		t.Logf("%-18s %4d connections: %6.0f requests/s (%3.0f %%), median %v, 99 %% within %v", servers[i].name, *connections, f.rate, 100*f.rate/best[0].rate,
			f.median.Round(10*time.Microsecond), f.most.Round(10*time.Microsecond))
	}
}

// figures are those of one turn.
type figures struct {
	rate         float64 // requests a second
	median, most time.Duration
}

// behind starts a server in front of a gateway with a store.
func behind(t *testing.T, store eventstore.EventStore) (addr string) {
	t.Helper()
	c := rest.New(rest.Config{Port: -1, Endpoints: []rest.Endpoint{sensor("/d")}})
	gw, err := gateway.New(gateway.WithPlatform(drain{}), gateway.WithOwnedStore(store), gateway.WithConnector("rest", c),
		gateway.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- gw.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
		assert.Zero(t, c.Stats().Unstored)
	})
	poll(t, "the server listens", func() bool { return len(c.Addrs()) > 0 })
	return c.Addrs()[0]
}

// press sends requests on all connections for a while.
func press(t *testing.T, name, addr string) figures {
	t.Helper()
	conns := make([]net.Conn, *connections)
	for i := range conns {
		conns[i] = dial(t, addr)
		require.NoError(t, conns[i].SetDeadline(time.Now().Add(*period+30*time.Second)))
	}
	var mu sync.Mutex
	var all []time.Duration
	var work sync.WaitGroup
	begin := time.Now()
	for _, c := range conns {
		work.Go(func() {
			times, err := pressOn(c, begin)
			mu.Lock()
			defer mu.Unlock()
			if all = append(all, times...); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	work.Wait()
	took := time.Since(begin)
	for _, c := range conns {
		_ = c.Close()
	}
	if len(all) == 0 {
		t.Fatalf("%s: nothing was answered", name)
	}
	slices.Sort(all)
	return figures{float64(len(all)) / took.Seconds(), all[len(all)/2], all[len(all)*99/100]}
}

// pressOn sends requests on one connection, each when the one before is answered.
func pressOn(c net.Conn, begin time.Time) (times []time.Duration, err error) {
	const body = `{"name":"Sensor 12","t":21.5,"id":4711,"unit":"C","serial":"A-4711-77"}`
	request := fmt.Appendf(nil, "POST /d HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	r := bufio.NewReaderSize(c, 1024)
	for first := true; first || time.Since(begin) < *period; first = false {
		at := time.Now()
		if _, err := c.Write(request); err != nil {
			return times, err
		}
		if err := answered(r); err != nil {
			return times, err
		}
		times = append(times, time.Since(at))
	}
	return times, nil
}

// answered reads an answer, which has no body.
func answered(r *bufio.Reader) error {
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if len(status) < 12 || status[9:12] != "200" {
		return fmt.Errorf("answered with %q", status)
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			return nil
		}
	}
}

// drain is a platform that takes everything.
type drain struct{}

func (drain) Run(ctx context.Context, _ gateway.Downlink) error {
	<-ctx.Done()
	return ctx.Err()
}

func (drain) Publish(context.Context, []telemetry.Group) (gateway.Delivery, error) {
	return drain{}, nil
}
func (drain) Wait(context.Context) error                           { return nil }
func (drain) DeviceOnline(context.Context, telemetry.Device) error { return nil }
func (drain) DeviceOffline(context.Context, string) error          { return nil }
func (drain) Attributes(context.Context, connector.AttributeQuery) ([]telemetry.Point, error) {
	return nil, nil
}

// BenchmarkConvert measures the conversion of one message, and TestConvertingAllocatesNothing
// guards that it needs no memory.
func BenchmarkConvert(b *testing.B) {
	for name, params := range map[string][]rest.Param{"body": nil, "path": {{Name: "name", Value: "Sensor 12"}}} {
		b.Run(name, func(b *testing.B) {
			c, m := conversion(params)
			var batch telemetry.Batch
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				if err := rest.Convert(c, m, &batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func conversion(params []rest.Param) (*rest.Connector, rest.Message) {
	c := rest.New(rest.Config{Endpoints: []rest.Endpoint{sensor("/d")}})
	return c, rest.Message{ContentType: "application/json", Params: params, Body: []byte(`{"name":"Sensor 12","t":21.5,"id":4711,"unit":"C","serial":"A-4711-77"}`)}
}

func TestConvertingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates itself")
	}
	for _, params := range [][]rest.Param{nil, {{Name: "name", Value: "Sensor 12"}}} {
		c, m := conversion(params)
		var batch telemetry.Batch
		n := testing.AllocsPerRun(1000, func() {
			batch.Reset()
			if err := rest.Convert(c, m, &batch); err != nil {
				t.Fatal(err)
			}
		})
		assert.Zero(t, n)
	}
}
