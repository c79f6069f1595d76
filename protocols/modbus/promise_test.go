package modbus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

func TestPollingOverTCPAllocatesNothing(t *testing.T) {
	s := serve(t, modbustest.Listen)
	s.Unit(1)
	c := modbus.New(modbus.Config{URL: s.URL(), Devices: []modbus.Device{{Name: "m", Unit: 1, Poll: time.Microsecond, Registers: words(100)}}})
	h := &counter{Host: connectortest.NewHost(t), polled: make(chan int)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	for range 10 {
		<-h.polled
	}
	allocs := testing.AllocsPerRun(200, func() { <-h.polled })
	cancel()
	require.NoError(t, <-done)
	if !raceDetector { // which allocates by itself
		require.Zero(t, allocs)
	}
}

// A source feeds a register with the ids of the conformance tests.
type source struct{ ids chan int64 }

// Send implements connectortest.Source.
func (s *source) Send(id int64) { s.ids <- id }

// Acked implements connectortest.Source.
func (s *source) Acked() []int64 { return nil }

func TestConformance(t *testing.T) {
	for name, listen := range listeners() {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, connectortest.Harness{
				NoAck: true,
				RPC:   []connector.RPCRequest{{Device: "m", Method: "id"}, {Device: "m", Method: "out", Params: json.RawMessage("5")}},
				New: func(t *testing.T) (connector.Connector, connectortest.Source) {
					s := serve(t, listen)
					src := &source{ids: make(chan int64, 100)}
					u := s.Unit(1)
					var queue []int64
					turn := 0
					u.OnRequest(func(modbustest.Request) { // every id again and again, as it is not acknowledged
						for len(src.ids) > 0 {
							queue = append(queue, <-src.ids)
						}
						if len(queue) > 0 {
							u.SetUint32(modbus.Holding, 0, uint32(queue[turn%len(queue)]))
							turn++
						}
					})
					return modbus.New(modbus.Config{URL: s.URL(), Devices: []modbus.Device{{
						Name: "m", Unit: 1, Poll: 20 * time.Millisecond, Registers: []modbus.Register{
							{Key: "id", Type: modbus.Uint32}, {Key: "out", Address: 2, Writable: true},
						},
					}}}), src
				},
			})
		})
	}
}

// TestNineOfTenSlavesDoNotNoticeTheDeadOne is the promise for a hundred contiguous
// registers on each of ten slaves, on connections of their own and on a shared one.
func TestNineOfTenSlavesDoNotNoticeTheDeadOne(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared=", shared), func(t *testing.T) {
			const cycle, dead = 200 * time.Millisecond, 3
			var cfg modbus.Config
			var units []*modbustest.Unit
			var server *modbustest.Server
			for i := range 10 {
				if server == nil || !shared {
					server = serve(t, modbustest.Listen)
				}
				u := server.Unit(uint8(i + 1))
				u.SetSilent(i == dead)
				units = append(units, u)
				cfg.Devices = append(cfg.Devices, modbus.Device{
					Name: fmt.Sprint("m", i), URL: server.URL(), Unit: uint8(i + 1), Poll: cycle, Registers: words(100),
				})
			}
			cfg.Timeout = 50 * time.Millisecond
			h, stop := run(t, modbus.New(cfg))
			h.Eventually(t, "the dead slave is found out", func() bool { return h.log.count("device does not answer") == 1 })
			var before [10]int64
			for i, u := range units {
				before[i] = u.Requests()
			}
			began := time.Now()
			time.Sleep(4 * time.Second)
			cycles := float64(time.Since(began)) / float64(cycle)
			for i, u := range units {
				n := float64(u.Requests() - before[i])
				if i == dead {
					require.LessOrEqual(t, n, 4.0)
					continue
				}
				require.InEpsilon(t, cycles, n, 0.05+1/cycles, "slave %d", i) // 5 %, and one cycle for where the window lies
			}
			stop()
			for i := range units {
				if i != dead {
					require.NotEmpty(t, h.series(fmt.Sprint("m", i), "r99"))
				}
			}
		})
	}
}

// A command waits for the request that is on its way, and for no other, while ten slaves
// keep the bus busy without a pause.
func TestWritesUnderFullLoadWaitForOneRequestAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const answer = 5 * time.Millisecond
		var bus modbustest.Bus
		cfg := modbus.Config{Open: bus.Open}
		var requests, write atomic.Int64 // the number of the write
		for i := range 10 {
			u := bus.Unit(uint8(i + 1))
			u.SetDelay(answer)
			u.OnRequest(func(r modbustest.Request) {
				if n := requests.Add(1); r.Words != nil {
					write.Store(n)
				}
			})
			d := device(fmt.Sprint("m", i), uint8(i+1), words(600)...)
			d.Poll = 20 * time.Millisecond // a poll takes five requests
			d.Registers[0].Writable = true
			cfg.Devices = append(cfg.Devices, d)
		}
		c := modbus.New(cfg)
		h, _ := run(t, c)
		pass(time.Second)
		require.NotEmpty(t, h.last("m9", "r0"))
		for i := range 100 {
			pass(time.Duration(i%7) * time.Millisecond)
			before := requests.Load()
			_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: fmt.Sprint("m", i%10), Method: "r0", Params: json.RawMessage("7")})
			require.NoError(t, err)
			require.Equal(t, before+1, write.Load(), "requests that began before the write")
		}
		before := requests.Load()
		pass(time.Second)
		require.Equal(t, int64(time.Second/answer), requests.Load()-before, "the bus is idle")
	})
}

func BenchmarkPollOfAHundredRegistersOverTCP(b *testing.B) {
	s, err := modbustest.Listen("127.0.0.1:0")
	require.NoError(b, err)
	defer s.Close()
	s.Unit(1)
	c := modbus.New(modbus.Config{URL: s.URL(), Devices: []modbus.Device{{Name: "m", Unit: 1, Poll: time.Microsecond, Registers: words(100)}}})
	h := &counter{Host: connectortest.NewHost(b), polled: make(chan int)}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	<-h.polled
	b.ReportAllocs()
	for b.Loop() {
		<-h.polled
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}
