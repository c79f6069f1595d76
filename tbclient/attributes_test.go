package tbclient_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestAttributesInTheThreeFormsOfAnswer(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	srv.SetShared("d", map[string]any{"a": 1, "b": "x", "c": nil})
	g := telemetry.Group{Device: telemetry.Device{Name: "d"}, Attributes: []telemetry.Point{{Key: "own", Value: telemetry.Bool(true)}}}
	publish(t, c, g)
	ask := func(shared bool, keys ...string) []telemetry.Point {
		t.Helper()
		points, err := c.Attributes(within(t, patience), connector.AttributeQuery{Device: "d", Shared: shared, Keys: keys})
		require.NoError(t, err)
		return points
	}
	require.Equal(t, []telemetry.Point{{Key: "a", Value: telemetry.Int(1)}}, ask(true, "a"))
	require.Equal(t, []telemetry.Point{{Key: "a", Value: telemetry.Int(1)}, {Key: "b", Value: telemetry.String("x")}}, ask(true, "b", "a", "none"))
	require.Empty(t, ask(true, "none"))
	require.Empty(t, ask(true, "none", "neither"))
	require.Equal(t, []telemetry.Point{{Key: "own", Value: telemetry.Bool(true)}}, ask(false, "own"))
	require.Empty(t, ask(false, "a"))
	_, err := c.Attributes(t.Context(), connector.AttributeQuery{Device: "d"})
	require.True(t, connector.IsInvalid(err))
}

func TestAttributesAreMatchedByNumber(t *testing.T) {
	const devices = 50
	srv := serve(t, tbtest.Config{})
	c := connected(t, config(t, srv), downlink{})
	for i := range devices {
		srv.SetShared(fmt.Sprint("d", i), map[string]any{"n": i})
	}
	var askers sync.WaitGroup
	errs := make(chan error, devices*5)
	for i := range devices * 5 {
		askers.Go(func() {
			n := i % devices
			points, err := c.Attributes(within(t, patience), connector.AttributeQuery{Device: fmt.Sprint("d", n), Shared: true, Keys: []string{"n"}})
			if err == nil && (len(points) != 1 || points[0].Value.Int() != int64(n)) {
				err = fmt.Errorf("d%d: %v", n, points)
			}
			errs <- err
		})
	}
	askers.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestAttributesEndWithTheConnectionAndAfterTheTimeout(t *testing.T) {
	srv := serve(t, tbtest.Config{})
	cfg := config(t, srv)
	cfg.Timeout = 300 * time.Millisecond
	c := connected(t, cfg, downlink{})
	q := connector.AttributeQuery{Device: "d", Shared: true, Keys: []string{"k"}}

	srv.Freeze(true)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Attributes(t.Context(), q)
		failed <- err
	}()
	select {
	case err := <-failed:
		require.ErrorContains(t, err, `attributes of "d"`)
	case <-time.After(patience):
		t.Fatal("it never ended")
	}
	srv.Freeze(false)

	eventually(t, "connected", func() bool { return c.Stats().Connected })
	slow := cfg
	slow.Timeout = time.Minute
	c = connected(t, slow, downlink{})
	srv.Freeze(true)
	go func() {
		_, err := c.Attributes(t.Context(), q)
		failed <- err
	}()
	time.Sleep(20 * time.Millisecond)
	srv.Cut()
	select {
	case err := <-failed:
		require.ErrorContains(t, err, "connection to the platform lost")
	case <-time.After(patience):
		t.Fatal("it never ended")
	}
	srv.Freeze(false)
}

// TestOneValueForSeveralKeysIsAskedForAgain is about older servers, which answer
// a request for several keys with the bare value if one of them exists.
func TestOneValueForSeveralKeysIsAskedForAgain(t *testing.T) {
	var srv *tbtest.Server
	srv = serve(t, tbtest.Config{OnPublish: func(m tbtest.Message) {
		if m.Topic == tbclient.TopicAttributesRequest && string(m.Payload) == `{"id":2,"device":"d","client":false,"keys":["x","a"]}` {
			_ = srv.Send(tbclient.TopicAttributesResponse, []byte(`{"id":2,"device":"d","value":5}`))
		}
	}})
	c := connected(t, config(t, srv), downlink{})
	srv.SetShared("d", map[string]any{"a": 5})
	points, err := c.Attributes(within(t, patience), connector.AttributeQuery{Device: "d", Shared: true, Keys: []string{"x", "a"}})
	require.NoError(t, err)
	require.Equal(t, []telemetry.Point{{Key: "a", Value: telemetry.Int(5)}}, points)
}
