package rest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/rest"
)

// A sender is a client that sends its messages, in order, until each is answered with
// 200, or with a status that says that it is of no use to send it again.
type sender struct {
	c      *rest.Connector
	client *http.Client

	mu    sync.Mutex
	queue []int64
	acked []int64
}

// Send implements connectortest.Source.
func (s *sender) Send(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, id)
}

// Acked implements connectortest.Source.
func (s *sender) Acked() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int64(nil), s.acked...)
}

func (s *sender) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	for ctx.Err() == nil {
		s.mu.Lock()
		var next []int64
		if len(s.queue) > 0 {
			next = s.queue[:1]
		}
		s.mu.Unlock()
		if next == nil || len(s.c.Addrs()) == 0 || !s.post(ctx, next[0]) {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		s.acked = append(s.acked, s.queue[0])
		s.queue = s.queue[1:]
		s.mu.Unlock()
	}
}

func (s *sender) post(ctx context.Context, id int64) bool {
	addrs := s.c.Addrs()
	if len(addrs) == 0 {
		return false
	}
	body := fmt.Appendf(nil, `{"name":"D","id":%d}`, id)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addrs[0]+"/d", bytes.NewReader(body))
	if err != nil {
		return false
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode < 500
}

func TestConformance(t *testing.T) {
	d := newDevice(t, nil)
	connectortest.Run(t, connectortest.Harness{
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			t.Helper()
			c := rest.New(rest.Config{
				Port: -1, Endpoints: []rest.Endpoint{sensor("/d")},
				RPCs: []rest.RPC{{MethodFilter: "ring", Request: rest.Request{URL: d.URL + "/ring"}}},
			})
			s := &sender{c: c, client: &http.Client{Transport: &http.Transport{}}}
			ctx, cancel := context.WithCancel(context.Background())
			var work sync.WaitGroup
			work.Go(func() { s.run(ctx) })
			t.Cleanup(func() {
				cancel()
				work.Wait()
			})
			return c, s
		},
		RPC: []connector.RPCRequest{{Device: "D", ID: 1, Method: "ring"}},
	})
}
