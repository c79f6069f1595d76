package request_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const often = 20 * time.Millisecond // period of endpoints

// run runs a connector until the test ends.
func run(tb testing.TB, c *request.Connector) (*request.Connector, *connectortest.Host) {
	tb.Helper()
	host := connectortest.NewHost(tb)
	return runOn(tb, c, host, host), host
}

// A quietHost logs to a buffer.
type quietHost struct {
	*connectortest.Host

	mu  sync.Mutex
	log bytes.Buffer
}

func (h *quietHost) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(h, nil)) }

func (h *quietHost) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(b)
}

func (h *quietHost) lines(part string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Count(h.log.String(), part)
}

func runOn[H interface {
	*connectortest.Host | *quietHost
}](tb testing.TB, c *request.Connector, host H, ready *connectortest.Host) *request.Connector {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() {
		switch h := any(host).(type) {
		case *connectortest.Host:
			done <- c.Run(ctx, h)
		case *quietHost:
			done <- c.Run(ctx, h)
		}
	}()
	tb.Cleanup(func() {
		cancel()
		assert.ErrorIs(tb, <-done, context.Canceled)
	})
	ready.Eventually(tb, "it runs", func() bool { return request.Running(c) })
	return c
}

// serve serves by f until the test ends.
func serve(tb testing.TB, f http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(f)
	tb.Cleanup(s.Close)
	return s.URL
}

// answer serves bodies by path.
func answer(w http.ResponseWriter, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	_, _ = io.WriteString(w, body)
}

// meter is an endpoint with messages of a meter.
func meter(url string) request.Endpoint {
	return request.Endpoint{
		Request: request.Request{URL: url, Timeout: 20 * time.Second}, Period: often,
		JSON: request.JSONConfig{Device: "${id}", Profile: "meter", Timeseries: []request.Datapoint{{Key: "p", Value: "${p}", Type: "float"}}},
	}
}

// have reports whether a device has sent a value.
func have(h *connectortest.Host, device, key string, v telemetry.Value) func() bool {
	return func() bool {
		return slices.ContainsFunc(h.Readings(false), func(r connectortest.Reading) bool {
			return r.Device.Name == device && r.Key == key && r.Value == v
		})
	}
}

func TestAListIsOneMessageForEachElement(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "application/json", `{"data":{"items":[{"id":"a","p":1,"ts":1700000000000},7,{"p":3},{"id":"b","p":2.5}]}}`)
	})
	e := meter("x")
	e.Items = "${data.items}"
	c, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{e}}))
	host.Eventually(t, "both good messages", func() bool {
		return have(host, "a", "p", telemetry.Int(1))() && have(host, "b", "p", telemetry.Float(2.5))()
	})
	assert.Equal(t, int64(1700000000000), host.Readings(false)[0].TS)
	host.Eventually(t, "the bad ones are counted", func() bool { s := c.Stats(); return s.Malformed >= 2 && s.Messages >= 4 })
}

func TestASlowEndpointDelaysNoOtherAndIsNotAskedTwice(t *testing.T) {
	release := make(chan struct{})
	var slow, fast atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow.Add(1)
			<-release
		} else {
			fast.Add(1)
		}
		answer(w, "application/json", `{"id":"a","p":1}`)
	})
	_, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{meter("slow"), meter("fast")}}))
	host.Eventually(t, "the slow one is asked", func() bool { return slow.Load() == 1 })
	n := fast.Load()
	host.Eventually(t, "the fast one goes on", func() bool { return fast.Load() > n+10 })
	assert.EqualValues(t, 1, slow.Load(), "requests at a time")
	close(release)
	host.Eventually(t, "the slow one goes on", func() bool { return slow.Load() > 1 })
}

func TestConnectionsAreBounded(t *testing.T) {
	var now, most, all atomic.Int64
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		all.Add(1)
		time.Sleep(5 * time.Millisecond)
		answer(w, "application/json", `[]`)
	})
	endpoints := []request.Endpoint{meter("a"), meter("b"), meter("c"), meter("d"), meter("e")}
	_, host := run(t, request.New(request.Config{Host: url, MaxConnections: 2, Endpoints: endpoints}))
	host.Eventually(t, "they are polled", func() bool { return all.Load() > 50 })
	assert.LessOrEqual(t, most.Load(), int64(2))
}

func TestWhatIsSent(t *testing.T) {
	type seen struct{ method, path, contentType, auth, extra, body string }
	requests := make(chan seen, 100)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		requests <- seen{r.Method, r.URL.RequestURI(), h.Get("Content-Type"), h.Get("Authorization"), h.Get("X-Key"), string(body)}
		answer(w, "application/json", "[]")
	})
	for name, c := range map[string]struct {
		mapping, security string
		want              seen
	}{
		"a path":   {`"url":"/a/b?c=1"`, ``, seen{"GET", "/a/b?c=1", "", "", "", ""}},
		"absolute": {`"url":"` + url + `/a","httpHeaders":{"X-Key":"k"}`, ``, seen{"GET", "/a", "", "", "k", ""}},
		"form":     {`"url":"a","httpMethod":"POST","data":{"k":"v w","n":5}`, ``, seen{"POST", "/a", "application/x-www-form-urlencoded", "", "", "k=v+w&n=5"}},
		"text":     {`"url":"a","httpMethod":"put","data":"raw"`, ``, seen{"PUT", "/a", "text/plain; charset=utf-8", "", "", "raw"}},
		"json":     {`"url":"a","httpMethod":"POST","data":{},"content":{"k":[1]}`, ``, seen{"POST", "/a", "application/json", "", "", `{"k":[1]}`}},
		"its type": {`"url":"a","httpMethod":"POST","data":"<a/>","httpHeaders":{"content-type":"text/xml"}`, ``, seen{"POST", "/a", "text/xml", "", "", `<a/>`}},
		"basic":    {`"url":"a"`, `{"type":"basic","username":"u","password":"p"}`, seen{"GET", "/a", "", "Basic dTpw", "", ""}},
		"bearer":   {`"url":"a"`, `{"type":"bearer","token":"tok"}`, seen{"GET", "/a", "", "Bearer tok", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			security := ""
			if c.security != "" {
				security = `"security":` + c.security + `,`
			}
			cfg, err := request.Load(`{"host":"` + url + `",` + security + `"mapping":[{` + c.mapping +
				`,"timeout":20,"scanPeriod":1000,"converter":{"type":"json","deviceNameJsonExpression":"a"}}]}`)
			require.NoError(t, err)
			cfg.Endpoints[0].Period = often
			run(t, request.New(cfg))
			assert.Equal(t, c.want, <-requests)
		})
		for len(requests) > 0 {
			<-requests
		}
	}
}

func TestTimesInURLs(t *testing.T) {
	urls := make(chan []string, 1000)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		urls <- []string{q.Get("from"), q.Get("to"), q.Get("iso")}
		answer(w, "application/json", "[]")
	})
	run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{meter("x?from=${last}&to=${now}&iso=${now.iso}")}}))
	first := <-urls
	second := <-urls
	assert.Equal(t, first[1], second[0], "each poll begins where the one before has ended")
	at, err := time.Parse(time.RFC3339, second[2])
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), at, time.Hour)
}

func TestAFailureIsToldOnce(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "database is\n down")
			return
		}
		answer(w, "application/json", `{"id":"a","p":1}`)
	})
	h := &quietHost{Host: connectortest.NewHost(t)}
	c := runOn(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{meter("x?key=secret")}}), h, h.Host)
	h.Eventually(t, "it fails", func() bool { return c.Stats().Failed >= 2 && !c.Health().OK })
	health := c.Health()
	assert.False(t, health.OK)
	assert.Contains(t, health.Detail, "1 of 1 endpoints fail: GET "+url+"/x: HTTP 500 Internal Server Error: database is down")
	assert.False(t, h.IsReady())
	broken.Store(false)
	h.Eventually(t, "it goes on", have(h.Host, "a", "p", telemetry.Int(1)))
	h.Eventually(t, "it is well", func() bool { return c.Health().OK && h.IsReady() })
	assert.Equal(t, 1, h.lines("an endpoint fails"))
	assert.Equal(t, 1, h.lines("an endpoint answers again"))
	assert.Zero(t, h.lines("secret"), "queries are not told")
}

func TestAnAnswerThatIsNoJSONIsAFailure(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, "text/html", "<html>log in</html>") })
	c, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{meter("x")}}))
	host.Eventually(t, "it fails", func() bool { return !c.Health().OK })
	assert.Contains(t, c.Health().Detail, `body is not JSON (its Content-Type is "text/html")`)
}

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		status int
		want   int64 // requests
	}{
		"unavailable":       {"POST", http.StatusServiceUnavailable, 2},
		"get":               {"GET", http.StatusBadGateway, 2},
		"maybe carried out": {"POST", http.StatusBadGateway, 1},
		"refused":           {"GET", http.StatusForbidden, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if n.Add(1) == 1 {
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(c.status)
				}
			})
			x, _ := run(t, request.New(request.Config{Host: url, Updates: []request.AttributeUpdate{{
				Request: request.Request{URL: "x", Method: c.method, Tries: 3, Timeout: 20 * time.Second},
			}}}))
			begin := time.Now()
			err := x.UpdateAttributes(t.Context(), update("d", "k", telemetry.Int(1)))
			assert.Equal(t, c.want, n.Load())
			if c.want == 1 {
				assert.ErrorContains(t, err, fmt.Sprintf(`attribute "k" of device "d": %s %s/x: HTTP %d`, c.method, url, c.status))
				return
			}
			require.NoError(t, err)
			assert.GreaterOrEqual(t, time.Since(begin), time.Second, "the server asked for it")
		})
	}
}

func TestAServerThatAsksToWaitIsNotAskedBefore(t *testing.T) {
	var busy, other atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			other.Add(1)
			answer(w, "application/json", "[]")
			return
		}
		busy.Add(1)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{meter("busy"), meter("other")}}))
	host.Eventually(t, "it was asked", func() bool { return busy.Load() > 0 })
	n := other.Load()
	host.Eventually(t, "several periods are over", func() bool { return other.Load() > n+10 })
	assert.EqualValues(t, 1, busy.Load())
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999": time.Hour,
		"Thu, 01 Jan 2026 00:00:30 GMT": 30 * time.Second, "Wed, 31 Dec 2025 00:00:00 GMT": 0,
	} {
		assert.Equal(t, want, request.RetryAfter(header, now), header)
	}
}
