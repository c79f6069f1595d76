package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// controlled is a connector that takes commands.
type controlled struct {
	*feed
	mu    sync.Mutex
	calls []string
	busy  map[string]int
	rpc   func(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error)
}

func (c *controlled) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	c.mu.Lock()
	c.calls = append(c.calls, r.Device+"."+r.Method)
	c.busy[r.Device]++
	together := c.busy[r.Device]
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.busy[r.Device]--; c.mu.Unlock() }()
	if together > 1 {
		return telemetry.Value{}, errors.New("two calls for one device at a time")
	}
	return c.rpc(ctx, r)
}

func (c *controlled) UpdateAttributes(_ context.Context, u connector.AttributeUpdate) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, u.Device+"="+u.Attributes[0].Value.String())
	return nil
}

func (c *controlled) SharedAttributes(device string) []string {
	if device == "bad" {
		panic("a bug")
	}
	return []string{device + " limit"}
}

// wrapped hides a connector behind another.
type wrapped struct{ connector.Connector }

func (w wrapped) Unwrap() connector.Connector { return w.Connector }

func startControlled(t *testing.T, rpc func(context.Context, connector.RPCRequest) (telemetry.Value, error), devices ...string) (*controlled, gateway.Downlink) {
	t.Helper()
	p := newPlatform()
	c := &controlled{feed: newFeed(), busy: map[string]int{}, rpc: rpc}
	run(t, gateway.WithPlatform(p), gateway.WithConnector("a", wrapped{c}), gateway.WithConnector("deaf", newFeed()))
	h := <-c.host
	for _, d := range devices {
		require.NoError(t, h.DeviceOnline(t.Context(), telemetry.Device{Name: d}))
	}
	<-p.running
	p.mu.Lock()
	defer p.mu.Unlock()
	return c, p.downlink
}

func TestConnectorsSayWhichSharedAttributesTheyWant(t *testing.T) {
	_, d := startControlled(t, nil, "x", "bad")
	require.Equal(t, []string{"x limit"}, d.SharedAttributes("x"))
	require.Empty(t, d.SharedAttributes("nobody's"))
	require.Empty(t, d.SharedAttributes("bad"), "a panic costs nothing else")
}

func TestCommandsReachTheConnectorOfTheDevice(t *testing.T) {
	c, d := startControlled(t, func(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
		return telemetry.String(r.Method), nil
	}, "x")
	v, err := d.HandleRPC(t.Context(), connector.RPCRequest{Device: "x", Method: "get"})
	require.NoError(t, err)
	require.Equal(t, telemetry.String("get"), v)
	require.NoError(t, d.UpdateAttributes(t.Context(), connector.AttributeUpdate{
		Device:     "x",
		Attributes: []telemetry.Point{{Key: "sp", Value: telemetry.Int(20)}},
	}))
	require.Equal(t, []string{"x.get", "x=20"}, c.calls)
	_, err = d.HandleRPC(t.Context(), connector.RPCRequest{Device: "nobody"})
	require.ErrorIs(t, err, gateway.ErrNoDevice)
}

func TestADeviceThatDoesNotAnswerDelaysNoOther(t *testing.T) {
	waiting := make(chan struct{})
	_, d := startControlled(t, func(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
		if r.Device == "dead" {
			close(waiting)
			<-ctx.Done()
			return telemetry.Value{}, ctx.Err()
		}
		return telemetry.Int(1), nil
	}, "dead", "alive")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	result := make(chan error, 1)
	go func() {
		_, err := d.HandleRPC(ctx, connector.RPCRequest{Device: "dead"})
		result <- err
	}()
	<-waiting
	soon, done := context.WithTimeout(t.Context(), 5*time.Second)
	defer done()
	for range 10 {
		_, err := d.HandleRPC(soon, connector.RPCRequest{Device: "alive"})
		require.NoError(t, err)
	}
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
}

// A handler that ignores its deadline costs only its own device.
func TestAnsweredInTimeEvenIfTheConnectorIsNot(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	_, d := startControlled(t, func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
		<-release
		return telemetry.Int(1), nil
	}, "x")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := d.HandleRPC(ctx, connector.RPCRequest{Device: "x"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, `"x"`)
}

func TestCallsForOneDeviceComeOneAtATime(t *testing.T) {
	_, d := startControlled(t, func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
		time.Sleep(time.Millisecond)
		return telemetry.Value{}, nil
	}, "x")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := d.HandleRPC(t.Context(), connector.RPCRequest{Device: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAPanickingHandlerAnswersWithAnError(t *testing.T) {
	_, d := startControlled(t, func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
		panic("boom")
	}, "x")
	for range 2 {
		_, err := d.HandleRPC(t.Context(), connector.RPCRequest{Device: "x"})
		require.ErrorContains(t, err, "boom")
	}
}

func TestAConnectorWithoutHandlersAnswersWithAnError(t *testing.T) {
	p, f := newPlatform(), newFeed()
	run(t, gateway.WithPlatform(p), gateway.WithConnector("a", f))
	require.NoError(t, (<-f.host).DeviceOnline(t.Context(), telemetry.Device{Name: "x"}))
	<-p.running
	_, err := p.downlink.HandleRPC(t.Context(), connector.RPCRequest{Device: "x"})
	require.ErrorIs(t, err, gateway.ErrUnsupported)
	require.ErrorIs(t, p.downlink.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "x"}), gateway.ErrUnsupported)
}
