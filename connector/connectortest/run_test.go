package connectortest_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// broker is a source in memory that delivers what was not acknowledged at the
// start of each run.
type broker struct {
	mu    sync.Mutex
	queue []int64
	acked []int64
	wake  chan struct{}
}

func (b *broker) Send(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, id)
	close(b.wake)
	b.wake = make(chan struct{})
}

func (b *broker) Acked() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.acked)
}

func (b *broker) ack(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, id); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		b.acked = append(b.acked, id)
	}
}

// next waits for the first message that was not delivered in this run.
func (b *broker) next(ctx context.Context, delivered map[int64]bool) (int64, error) {
	for {
		b.mu.Lock()
		for _, id := range b.queue {
			if !delivered[id] {
				delivered[id] = true
				b.mu.Unlock()
				return id, nil
			}
		}
		wake := b.wake
		b.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// client is a connector with a fault, or without one.
type client struct {
	b     *broker
	fault string
}

func (c *client) Run(ctx context.Context, host connector.Host) error {
	if c.fault == "not ready" {
		host = unready{host}
	}
	if c.fault == "leak" {
		go func() { time.Sleep(time.Hour) }()
	}
	host.Ready()
	delivered := make(map[int64]bool)
	for {
		id, err := c.b.next(ctx, delivered)
		if err != nil {
			switch c.fault {
			case "other error":
				return errors.New("interrupted")
			case "ignores context":
				time.Sleep(time.Hour)
			}
			return err
		}
		if err := c.handle(ctx, host, id); err != nil {
			return err
		}
	}
}

type unready struct{ connector.Host }

func (unready) Ready() {}

func (c *client) handle(ctx context.Context, host connector.Host, id int64) error {
	var b telemetry.Batch
	b.Device("d", "")
	b.Telemetry("id", telemetry.Int(id))
	if c.fault == "early ack" {
		c.b.ack(id)
	}
	r, err := host.Submit(ctx, &b)
	switch {
	case connector.IsInvalid(err) && c.fault != "retries invalid":
		c.b.ack(id)
		return nil
	case err != nil && c.fault == "drops failed submit":
		c.b.ack(id)
		return nil
	case err != nil:
		return err
	}
	if c.fault == "ack before durable" {
		c.b.ack(id)
	}
	if err := r.Wait(ctx); err != nil {
		if c.fault == "ack after failed sync" {
			c.b.ack(id)
			return nil
		}
		return err
	}
	c.b.ack(id)
	return nil
}

func (c *client) HandleRPC(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	if r.Method != "ping" && c.fault != "takes any method" {
		return telemetry.Value{}, errors.New("no such method")
	}
	if c.fault == "refuses rpc" {
		return telemetry.Value{}, errors.New("busy")
	}
	return telemetry.String("pong"), nil
}

func harness(fault string) connectortest.Harness {
	return connectortest.Harness{
		New: func(*testing.T) (connector.Connector, connectortest.Source) {
			b := &broker{wake: make(chan struct{})}
			return &client{b, fault}, b
		},
		RPC: []connector.RPCRequest{{Device: "d", Method: "ping", Params: json.RawMessage("{}")}},
	}
}

func TestAFaultlessConnectorPasses(t *testing.T) { connectortest.Run(t, harness("")) }

// faultVariable names the fault of TestFaulty, which runs in a process of its
// own because it is expected to fail.
const faultVariable = "CONNECTORTEST_FAULT"

func TestFaulty(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		return
	}
	h := harness(fault)
	h.Patience = time.Second
	connectortest.Run(t, h)
}

func TestEachRuleCatchesItsFault(t *testing.T) {
	for fault, rule := range map[string]string{
		"not ready":             "delivers_and_becomes_ready",
		"leak":                  "leaves_nothing_behind",
		"other error":           "run_ends_with_its_context",
		"ignores context":       "run_ends_with_its_context",
		"early ack":             "failed_submit_is_delivered_again",
		"drops failed submit":   "failed_submit_is_delivered_again",
		"ack before durable":    "does_not_acknowledge_before_it_is_durable",
		"ack after failed sync": "does_not_acknowledge_what_failed_to_become_durable",
		"retries invalid":       "acknowledges_and_drops_invalid_data",
		"takes any method":      "refuses_an_unknown_method",
		"refuses rpc":           "answers_remote_procedure_calls",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaulty$/"+rule)
			if fault == "other error" || fault == "leak" || fault == "ignores context" {
				cmd.Args[1] = "-test.run=^TestFaulty$/run_ends"
			}
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the kit did not notice")
			require.Regexp(t, "--- FAIL: TestFaulty/.*"+rule, string(out))
		})
	}
}
