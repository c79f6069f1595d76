package tbclient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// withDevices runs a client that has announced devices.
func withDevices(tb testing.TB, srv *tbtest.Server, cfg tbclient.Config, d downlink, names ...string) *tbclient.Client {
	tb.Helper()
	c := connected(tb, cfg, d)
	for _, name := range names {
		publish(tb, c, group(name, "k", 1, telemetry.Int(1)))
	}
	return c
}

func TestCallGetsExactlyOneReply(t *testing.T) {
	doc, err := telemetry.JSON([]byte(`{"a":[1,"x"]}`))
	require.NoError(t, err)
	results := map[string]struct {
		v    telemetry.Value
		err  error
		want string
	}{
		"number":  {telemetry.Int(5), nil, `5`},
		"string":  {telemetry.String("a\"b"), nil, `"a\"b"`},
		"json":    {doc, nil, `{"a":[1,"x"]}`},
		"nothing": {telemetry.Value{}, nil, `{"success":true}`},
		"error":   {telemetry.Value{}, errors.New("bad \"quote\"\n\xff"), `{"error":"bad \"quote\"\n` + "\uFFFD" + `"}`},
		"late":    {telemetry.Value{}, context.DeadlineExceeded, `{"error":"the device did not answer in time","code":408}`},
		"slow":    {telemetry.Value{}, fmt.Errorf("device %q did not answer: %w", "d", context.DeadlineExceeded), `{"error":"device \"d\" did not answer","code":408}`},
		"unknown": {telemetry.Value{}, fmt.Errorf("%w: %q", gateway.ErrNoDevice, "d"), `{"error":"device is not known to the gateway: \"d\"","code":404}`},
	}
	srv := serve(t, tbtest.Config{})
	withDevices(t, srv, config(t, srv), downlink{call: func(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
		if r.Device != `d"1` || string(r.Params) != `{"p":1}` {
			return telemetry.Value{}, fmt.Errorf("unexpected call %+v", r)
		}
		if _, ok := ctx.Deadline(); !ok {
			return telemetry.Value{}, errors.New("no deadline")
		}
		return results[r.Method].v, results[r.Method].err
	}}, `d"1`)
	for method, result := range results {
		reply, err := srv.Call(within(t, patience), `d"1`, method, map[string]int{"p": 1})
		require.NoError(t, err, method)
		require.JSONEq(t, result.want, string(reply), method)
	}
	time.Sleep(20 * time.Millisecond)
	require.Equal(t, uint64(len(results)), srv.Stats().Replies)
	require.Zero(t, srv.Stats().Unasked)
	eventually(t, "all messages acknowledged", func() bool { s := srv.Stats(); return s.Confirmed == s.Pushed && s.Pushed > 0 })
}

func TestSlowDeviceDelaysNoOther(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, tbtest.Config{})
	c := withDevices(t, srv, config(t, srv), downlink{call: func(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
		if r.Device == "slow" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return telemetry.Int(1), nil
	}}, "slow", "fast")
	slow := make(chan error, 1)
	go func() {
		_, err := srv.Call(within(t, patience), "slow", "m", nil)
		slow <- err
	}()
	for range 10 {
		_, err := srv.Call(within(t, patience), "fast", "m", nil)
		require.NoError(t, err)
	}
	publish(t, c, group("slow", "k", 2, telemetry.Int(1)))
	require.Empty(t, slow)
	close(release)
	require.NoError(t, <-slow)
}

func TestCommandsForADeviceTakeEffectInOrder(t *testing.T) {
	var mu sync.Mutex
	var got []string
	add := func(s string) {
		time.Sleep(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
	}
	srv := serve(t, tbtest.Config{})
	withDevices(t, srv, config(t, srv), downlink{
		call: func(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
			add(r.Method)
			return telemetry.Value{}, nil
		},
		update: func(_ context.Context, u connector.AttributeUpdate) error {
			add(u.Attributes[0].Key)
			return nil
		},
	}, "d")
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("c", i), fmt.Sprint("a", i))
		require.NoError(t, srv.Send(tbclient.TopicRPC, fmt.Appendf(nil, `{"device":"d","data":{"id":%d,"method":"c%d"}}`, i, i)))
		require.NoError(t, srv.PushAttributes("d", map[string]any{fmt.Sprint("a", i): i}))
	}
	eventually(t, "all done", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == len(want) })
	require.Equal(t, want, got)
}

func TestTooManyCallsAreAnsweredBusy(t *testing.T) {
	const calls = 150
	release := make(chan struct{})
	srv := serve(t, tbtest.Config{})
	c := withDevices(t, srv, config(t, srv), downlink{call: func(ctx context.Context, _ connector.RPCRequest) (telemetry.Value, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return telemetry.Value{}, nil
	}}, "d")
	replies := make(chan string, calls)
	var callers sync.WaitGroup
	for range calls {
		callers.Go(func() {
			reply, err := srv.Call(within(t, patience), "d", "m", nil)
			if err != nil {
				reply = []byte(err.Error())
			}
			replies <- string(reply)
		})
	}
	eventually(t, "some refused", func() bool { return c.Stats().Calls == calls && len(replies) > 0 })
	close(release)
	callers.Wait()
	close(replies)
	busy := 0
	for reply := range replies {
		if strings.Contains(reply, "busy") {
			busy++
		} else {
			require.JSONEq(t, `{"success":true}`, reply)
		}
	}
	require.Equal(t, calls-101, busy, "one runs and a hundred wait")
}

func TestRepliesDoNotQueueBehindTelemetry(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.Window = 5
	c := withDevices(t, srv, cfg, downlink{}, "d")
	srv.DropAcks(5)
	for i := range 5 {
		_, err := c.Publish(within(t, patience), []telemetry.Group{group("d", "k", int64(i+2), telemetry.Int(1))})
		require.NoError(t, err)
	}
	_, err := c.Publish(within(t, 30*time.Millisecond), []telemetry.Group{group("d", "k", 9, telemetry.Int(1))})
	require.ErrorIs(t, err, context.DeadlineExceeded, "the window is full")
	_, err = srv.Call(within(t, 5*time.Second), "d", "m", nil)
	require.NoError(t, err)
}

func TestCallThatOutlivesTheConnectionIsAnsweredOnTheNext(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := serve(t, tbtest.Config{})
	c := withDevices(t, srv, config(t, srv), downlink{call: func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
		close(entered)
		<-release
		return telemetry.Int(7), nil
	}}, "d")
	reply := make(chan string, 1)
	go func() {
		r, err := srv.Call(within(t, patience), "d", "m", nil)
		reply <- fmt.Sprint(string(r), err)
	}()
	<-entered
	srv.SetLink(false)
	eventually(t, "disconnected", func() bool { return !c.Stats().Connected })
	close(release)
	srv.SetLink(true)
	require.Equal(t, "7<nil>", <-reply)
}

func TestReplyThatIsTooLargeSaysSo(t *testing.T) {
	srv := serve(t, tbtest.Config{MaxPayload: 1000})
	big := telemetry.String(strings.Repeat("x", 2000))
	cfg := config(t, srv)
	cfg.GatewayRPC = func(context.Context, connector.RPCRequest) (telemetry.Value, error) { return big, nil }
	withDevices(t, srv, cfg, downlink{call: func(context.Context, connector.RPCRequest) (telemetry.Value, error) {
		return big, nil
	}}, "d")
	reply, err := srv.Call(within(t, patience), "d", "m", nil)
	require.NoError(t, err)
	require.Contains(t, string(reply), `"error":"the result has`)
	reply, err = srv.CallGateway(within(t, patience), "m", nil)
	require.NoError(t, err)
	require.Contains(t, string(reply), `"error":"the result has`)
	require.Zero(t, srv.Stats().TooLarge)
}

func TestCallsToTheGatewayItselfAreAlwaysAnswered(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	connected(t, cfg, downlink{})
	reply, err := srv.CallGateway(within(t, patience), "gateway_ping", map[string]any{})
	require.NoError(t, err)
	require.JSONEq(t, `{"code":200,"resp":"pong"}`, string(reply))
	reply, err = srv.CallGateway(within(t, patience), `odd "method"`, nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"error":"\"odd \\\"method\\\"\": method not found","code":404}`, string(reply))
}

func TestCallsToTheGatewayItselfReachTheHook(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.GatewayRPC = func(_ context.Context, r connector.RPCRequest) (telemetry.Value, error) {
		switch r.Method {
		case "version":
			return telemetry.String(string(r.Params)), nil
		case "fail":
			return telemetry.Value{}, errors.New("no")
		case "done":
			return telemetry.Value{}, nil
		}
		return telemetry.Value{}, tbclient.ErrMethod
	}
	connected(t, cfg, downlink{})
	for method, want := range map[string]string{
		"version": `"[1]"`,
		"fail":    `{"error":"no","code":500}`,
		"done":    `{"success":true}`,
		"other":   `{"error":"\"other\": method not found","code":404}`,
	} {
		reply, err := srv.CallGateway(within(t, patience), method, []int{1})
		require.NoError(t, err)
		require.JSONEq(t, want, string(reply))
	}
}

func TestMalformedMessagesAreCountedAndAnsweredIfTheyCanBe(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := withDevices(t, srv, config(t, srv), downlink{}, "d")
	for _, m := range []struct{ topic, payload string }{
		{tbclient.TopicRPC, `{"device":"d","data":{"id":77,"method":5}}`},
		{tbclient.TopicRPC, `{"device":"d","data":{"id":78}}`},
		{tbclient.TopicRPC, `{"device":"d","data":{"id":"x","method":"m"}}`},
		{tbclient.TopicRPC, `{"device":"d"`},
		{tbclient.TopicRPC, ``},
		{tbclient.TopicAttributes, `{"device":"d","data":[]}`},
		{tbclient.TopicAttributes, `{"data":{"a":1}}`},
		{tbclient.TopicAttributesResponse, `{"device":"d"}`},
		{tbclient.TopicOwnRPCRequest + "79", `[]`},
		{tbclient.TopicOwnRPCRequest + "x", `{"method":"m"}`},
		{tbclient.TopicDisconnect, `{"reason":150}`},
		{tbclient.TopicOwnAttributes, `[1]`},
		{"unknown/topic", `{}`},
	} {
		require.NoError(t, srv.Send(m.topic, []byte(m.payload)))
	}
	eventually(t, "all counted", func() bool { return c.Stats().Malformed == 12 })
	eventually(t, "three answered", func() bool { return srv.Stats().Replies >= 3 })
	require.Equal(t, uint64(3), srv.Stats().Replies)
	_, err := srv.Call(within(t, patience), "d", "m", nil)
	require.NoError(t, err, "and all goes on")
}

func TestAttributeUpdateKeepsTypes(t *testing.T) {
	got := make(chan connector.AttributeUpdate, 10)
	srv := serve(t, tbtest.Config{})
	withDevices(t, srv, config(t, srv), downlink{update: func(_ context.Context, u connector.AttributeUpdate) error {
		got <- u
		return nil
	}}, "d")
	require.NoError(t, srv.DeleteAttributes("d", "x"))
	require.NoError(t, srv.Send(tbclient.TopicAttributes, []byte(
		`{"device":"d","data":{"i":5,"f":5.0,"e":1e3,"big":9223372036854775808,"s":"5","b":true,"j":{"x":[1]},"n":null}}`)))
	require.Equal(t, connector.AttributeUpdate{Device: "d", Deleted: []string{"x"}}, <-got)
	u := <-got
	doc, err := telemetry.JSON([]byte(`{"x":[1]}`))
	require.NoError(t, err)
	require.Equal(t, connector.AttributeUpdate{Device: "d", Attributes: []telemetry.Point{
		{Key: "b", Value: telemetry.Bool(true)},
		{Key: "big", Value: telemetry.Float(9223372036854775808)},
		{Key: "e", Value: telemetry.Float(1000)},
		{Key: "f", Value: telemetry.Float(5)},
		{Key: "i", Value: telemetry.Int(5)},
		{Key: "j", Value: doc},
		{Key: "s", Value: telemetry.String("5")},
	}}, u)
	require.Empty(t, got, "a deletion is not an update")
}
