package rest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// asking is an endpoint whose requests wait for the attribute result.
func asking(timeout time.Duration) rest.Endpoint {
	e := sensor("/ask")
	e.Response = rest.Response{Expected: true, Attribute: "result", Timeout: timeout, Failure: "late"}
	return e
}

func update(t *testing.T, c *rest.Connector, device, key string, v telemetry.Value) {
	t.Helper()
	require.NoError(t, c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: device, Attributes: []telemetry.Point{{Key: key, Value: v}}}))
}

// waiting counts the requests that have said that they wait.
func waiting(host *connectortest.Host) int { return len(values(host, "responseExpected")) }

// Each request gets the answer for its device, and the answers for one device come in the
// order of the requests.
func TestAnswersReachTheirRequests(t *testing.T) {
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{asking(20 * time.Second)}})
	ask := func(device string) chan reply {
		got := make(chan reply, 1)
		before := waiting(host)
		go func() {
			r, _ := try(t.Context(), "POST", "http://"+s.Addrs()[0]+"/ask", `{"name":"`+device+`","t":1}`)
			got <- r
		}()
		host.Eventually(t, "the request waits", func() bool { return waiting(host) > before })
		return got
	}
	a1, a2, b := ask("A"), ask("A"), ask("B")
	update(t, s, "A", "other", telemetry.Int(0))
	update(t, s, "C", "result", telemetry.Int(0))
	update(t, s, "A", "result", telemetry.Int(1))
	assert.Equal(t, "1", (<-a1).body)
	update(t, s, "B", "result", telemetry.String("two"))
	assert.Equal(t, "two", (<-b).body)
	update(t, s, "A", "result", telemetry.Bool(true))
	r := <-a2
	assert.Equal(t, "true", r.body)
	assert.Equal(t, 200, r.status)
	update(t, s, "A", "result", telemetry.Int(3)) // nobody waits
}

func TestAnswerByTemplate(t *testing.T) {
	e := asking(20 * time.Second)
	e.Response.Attribute = ""
	e.Response.Success = `{"${attributeKey}":${attributeValue},"for":"${deviceName}"}`
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{e}})
	got := make(chan reply, 1)
	go func() {
		r, _ := try(t.Context(), "POST", "http://"+s.Addrs()[0]+"/ask", `{"name":"A","t":1}`)
		got <- r
	}()
	host.Eventually(t, "the request waits", func() bool { return waiting(host) == 1 })
	update(t, s, "A", "any", telemetry.String(`"x"`))
	r := <-got
	assert.JSONEq(t, `{"any":"\"x\"","for":"A"}`, r.body)
	assert.Equal(t, "application/json", r.header.Get("Content-Type"))
}

func TestNoAnswerInTime(t *testing.T) {
	s, host := start(t, rest.Config{ReadTimeout: 50 * time.Millisecond, Endpoints: []rest.Endpoint{asking(400 * time.Millisecond)}})
	begin := time.Now()
	r := send(t, "POST", "http://"+s.Addrs()[0]+"/ask", `{"name":"A","t":1}`)
	assert.Equal(t, 408, r.status)
	assert.Equal(t, "late", r.body)
	assert.GreaterOrEqual(t, time.Since(begin), 400*time.Millisecond, "the time to read a request is not the time to wait")
	assert.Len(t, values(host, "t"), 1, "the data is stored all the same")
}

// A request that waits when the connector stops is answered at once.
func TestWaitingEndsWithTheRun(t *testing.T) {
	host := connectortest.NewHost(t)
	c := rest.New(rest.Config{Port: -1, Endpoints: []rest.Endpoint{asking(time.Hour)}})
	stop := run(t, c, host)
	url := "http://" + c.Addrs()[0] + "/ask"
	got := make(chan reply, 1)
	go func() {
		r, _ := try(t.Context(), "POST", url, `{"name":"A","t":1}`)
		got <- r
	}()
	host.Eventually(t, "the request waits", func() bool { return waiting(host) == 1 })
	_ = stop()
	assert.Equal(t, 503, (<-got).status)
}

// Requests that wait, however many, do not delay others: the difference of the medians is
// the cost of the machine. The reference stands still for the whole wait.
func TestWaitingDelaysNobody(t *testing.T) {
	const requests, waits = 200, 50
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{asking(time.Hour), sensor("/d")}})
	url := "http://" + s.Addrs()[0]
	median := func() time.Duration {
		var list []time.Duration
		for range requests {
			begin := time.Now()
			require.Equal(t, 200, send(t, "POST", url+"/d", `{"name":"B","t":1}`).status)
			list = append(list, time.Since(begin))
		}
		slices.Sort(list)
		return list[requests/2]
	}
	alone := median()
	answers := make(chan reply, waits)
	for i := range waits {
		go func() {
			r, _ := try(t.Context(), "POST", url+"/ask", fmt.Sprintf(`{"name":"A%d","t":1}`, i))
			answers <- r
		}()
	}
	host.Eventually(t, "all wait", func() bool { return waiting(host) == waits })
	beside := median()
	t.Logf("median of a request: %v alone, %v beside %d that wait", alone, beside, waits)
	assert.Less(t, beside, 20*alone+100*time.Millisecond, "one is held up by the others")
	for i := range waits {
		update(t, s, fmt.Sprintf("A%d", i), "result", telemetry.Int(int64(i)))
	}
	for range waits {
		assert.Equal(t, 200, (<-answers).status)
	}
}

func TestAttributeRequests(t *testing.T) {
	s, host := start(t, rest.Config{AttributeRequests: []rest.AttributeRequest{{
		Path: "/attributes/{device}", Methods: []string{"GET", "POST"}, Device: "${device}", Names: "${a}${b}", Timeout: time.Second,
	}, {Path: "/all", Methods: []string{"POST"}, Client: true, Device: "D", Names: "x, y"}}})
	host.SetAttributes(telemetry.Point{Key: "x", Value: telemetry.Int(1)}, telemetry.Point{Key: "y", Value: telemetry.String("q\"")})
	url := "http://" + s.Addrs()[0]
	r := send(t, "GET", url+"/attributes/pump%2F7?a=x", "")
	assert.Equal(t, 200, r.status)
	assert.JSONEq(t, `{"x":1}`, r.body)
	assert.Equal(t, connector.AttributeQuery{Device: "pump/7", Shared: true, Keys: []string{"x"}}, host.Queries()[0])
	r = send(t, "POST", url+"/attributes/D", `{"a":["x","y"],"b":"x"}`)
	assert.JSONEq(t, `{"x":1,"y":"q\""}`, r.body)
	assert.Equal(t, "application/json", r.header.Get("Content-Type"))
	r = send(t, "POST", url+"/all", `{"z":1}`)
	assert.JSONEq(t, `{"x":1,"y":"q\""}`, r.body)
	assert.False(t, host.Queries()[2].Shared)
	assert.Equal(t, 422, send(t, "GET", url+"/attributes/D?c=x", "").status)
	assert.Equal(t, 400, send(t, "POST", url+"/all", `5`, "Content-Type", jsonHeader).status)
}

// slowHost never answers for attributes.
type slowHost struct{ *connectortest.Host }

func (slowHost) Attributes(ctx context.Context, _ connector.AttributeQuery) ([]telemetry.Point, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAttributeRequestWithoutAnAnswer(t *testing.T) {
	c := rest.New(rest.Config{Port: -1, AttributeRequests: []rest.AttributeRequest{{Path: "/a", Methods: []string{"GET"}, Device: "D", Names: "${n}", Timeout: 100 * time.Millisecond}}})
	run(t, c, slowHost{connectortest.NewHost(t)})
	assert.Equal(t, 408, send(t, "GET", "http://"+c.Addrs()[0]+"/a?n=x", "").status)
}
