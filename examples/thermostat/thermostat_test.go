package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
)

func TestThermostatsKeepTheContract(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			addr := freeAddr(t)
			return &Thermostats{Addr: addr}, newThermostat(t, addr)
		},
		RPC: []connector.RPCRequest{{Device: "hall", Method: "setTarget", Params: json.RawMessage("21.5")}},
	})
}

// thermostat sends readings until they are answered.
type thermostat struct {
	mu    sync.Mutex
	queue []int64
	acked []int64
}

func newThermostat(t *testing.T, addr string) *thermostat {
	s := &thermostat{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			s.talk(addr, done)
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { close(done); wg.Wait() })
	return s
}

// talk sends the oldest reading that was not answered, over and over, until the
// connection ends.
func (s *thermostat) talk(addr string, done <-chan struct{}) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewScanner(conn)
	for {
		id, ok := s.next()
		if !ok {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
			continue
		}
		fmt.Fprintln(conn, "hall", "id", id)
		if !in.Scan() {
			return
		}
		if in.Text() == "ok" {
			s.mu.Lock()
			s.queue = s.queue[1:]
			s.acked = append(s.acked, id)
			s.mu.Unlock()
		}
	}
}

func (s *thermostat) next() (id int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return 0, false
	}
	return s.queue[0], true
}

func (s *thermostat) Send(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, id)
}

func (s *thermostat) Acked() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acked)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
