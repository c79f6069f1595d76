package request_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestPages(t *testing.T) {
	for name, c := range map[string]struct {
		pages request.Pages
		next  func(w http.ResponseWriter, page string) string // returns the member "next"
	}{
		"link in the header": {request.Pages{Link: true}, func(w http.ResponseWriter, page string) string {
			w.Header().Set("Link", `</x?n=0>; rel="first", </x?n=`+page+`>; rel="next"`)
			return `null`
		}},
		"link in the body": {request.Pages{Link: true, Next: "${next}"}, func(_ http.ResponseWriter, page string) string {
			return `"x?n=` + page + `"`
		}},
		"cursor": {request.Pages{Cursor: "next", Parameter: "n"}, func(_ http.ResponseWriter, page string) string { return page }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				page, next := r.URL.Query().Get("n"), "null"
				switch page {
				case "":
					next = c.next(w, "1")
				case "1":
					next = c.next(w, "2")
				}
				answer(w, "application/json", fmt.Sprintf(`{"items":[{"id":"m%s","p":1}],"next":%s}`, page, next))
			})
			e := meter("x")
			e.Items, e.Pages = "items", c.pages
			x, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{e}}))
			host.Eventually(t, "all pages", func() bool {
				return have(host, "m", "p", telemetry.Int(1))() && have(host, "m1", "p", telemetry.Int(1))() && have(host, "m2", "p", telemetry.Int(1))()
			})
			host.Eventually(t, "the poll has ended well", func() bool { return x.Health().OK && host.IsReady() })
		})
	}
}

func TestPagesThatDoNotEnd(t *testing.T) {
	for name, c := range map[string]struct {
		next, want string
		pages      request.Pages
	}{
		"itself":       {`"x"`, "a page says that it is the next one itself", request.Pages{Link: true, Next: "next"}},
		"same cursor":  {`7`, "a page says that it is the next one itself", request.Pages{Cursor: "next"}},
		"two in turn":  {`"NEXT"`, "there are more than 5 pages", request.Pages{Link: true, Next: "next", Max: 5}},
		"another host": {`"http://127.0.0.2:1/steal"`, "the next page is on another host: http://127.0.0.2:1/steal", request.Pages{Link: true, Next: "next"}},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				next := strings.Replace(c.next, "NEXT", map[string]string{"": "x?a=1", "1": "x?a=2", "2": "x?a=1"}[r.URL.Query().Get("a")], 1)
				answer(w, "application/json", `{"id":"a","p":1,"next":`+next+`}`)
			})
			e := meter("x")
			e.Pages = c.pages
			x, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{e}}))
			host.Eventually(t, "it fails", func() bool { return !x.Health().OK })
			assert.Contains(t, x.Health().Detail, c.want)
			host.Eventually(t, "what there is was taken", have(host, "a", "p", telemetry.Int(1)))
		})
	}
}

func TestOnlyWhatHasChanged(t *testing.T) {
	var version atomic.Int64
	var plain atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tag := fmt.Sprintf(`"v%d"`, version.Load())
		if r.URL.Path == "/plain" {
			plain.Add(1)
			if r.Header.Get("If-None-Match") != "" {
				t.Error("it was not asked for")
			}
		}
		if r.Header.Get("If-None-Match") == tag && r.Header.Get("If-Modified-Since") == "Thu, 01 Jan 2026 00:00:00 GMT" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		answer(w, "application/json", fmt.Sprintf(`{"id":"a","p":%d}`, version.Load()))
	})
	e := meter("x")
	e.Conditional = true
	c, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{e}}))
	host.Eventually(t, "nothing changes", func() bool { return c.Stats().Unmodified >= 3 })
	assert.Len(t, host.Readings(false), 1)
	version.Store(1)
	host.Eventually(t, "it changes", have(host, "a", "p", telemetry.Int(1)))
	assert.Len(t, host.Readings(false), 2)
	assert.True(t, c.Health().OK)

	_, other := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{meter("plain")}}))
	other.Eventually(t, "it is polled", func() bool { return plain.Load() > 3 })
}

// What is not durable yet would be lost, since the server does not send it again.
func TestAChangeIsRememberedWhenItIsDurable(t *testing.T) {
	var tagged atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			tagged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"v"`)
		answer(w, "application/json", `{"id":"a","p":1}`)
	})
	e := meter("x")
	e.Conditional = true
	host := connectortest.NewHost(t)
	var failures atomic.Int64
	host.Fail(nil, func() error {
		if failures.Add(1) == 1 {
			return errors.New("disk full")
		}
		return nil
	})
	runOn(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{e}}), host, host)
	host.Eventually(t, "it is asked on condition", func() bool { return tagged.Load() > 0 })
	assert.GreaterOrEqual(t, failures.Load(), int64(2), "it was stored again before")
	assert.NotEmpty(t, host.Readings(true))
}

func TestLimits(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for range 1000 {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		request request.Request
		want    string
	}{
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), 4097))
		}, request.Request{Timeout: 20 * time.Second}, "the response is larger than maxBytes (4096)"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, request.Request{Timeout: 50 * time.Millisecond}, "no answer within 50ms"},
		"drips": {drip, request.Request{Timeout: 20 * time.Second, TotalTimeout: 200 * time.Millisecond}, "it takes longer than 200ms"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		}, request.Request{Timeout: 20 * time.Second}, `HTTP 302 Found: it redirects to "/login", and allowRedirects is off`},
		"redirects forever": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/x", http.StatusFound)
		}, request.Request{Timeout: 20 * time.Second, Redirects: true}, "it redirects more than 10 times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := meter("x")
			e.Request = c.request
			e.URL = "x"
			x, host := run(t, request.New(request.Config{Host: serve(t, c.handler), MaxBytes: 4096, Endpoints: []request.Endpoint{e}}))
			host.Eventually(t, "it fails", func() bool { return !x.Health().OK })
			assert.Contains(t, x.Health().Detail, c.want)
		})
	}
}

func TestSubRequests(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/devices":
			answer(w, "application/json", `[{"id":"a b"},{"id":"bad"},{"id":"c"}]`)
		case "/devices/bad/state":
			w.WriteHeader(http.StatusNotFound)
		default:
			answer(w, "application/json", `{"power":{"now":`+fmt.Sprint(len(r.URL.Path))+`}}`)
		}
	})
	e := meter("devices?all=1")
	e.SubRequests = []request.SubRequest{{Key: "p", URL: "${id}/state", Value: "${power.now}"}}
	c, host := run(t, request.New(request.Config{Host: url, Endpoints: []request.Endpoint{e}}))
	host.Eventually(t, "the others", func() bool {
		return have(host, "a b", "p", telemetry.Int(18))() && have(host, "c", "p", telemetry.Int(16))()
	})
	assert.False(t, have(host, "bad", "p", telemetry.Int(0))())
	host.Eventually(t, "it has no value", func() bool { return c.Stats().Missing > 0 })
}

// Credentials are for the configured hosts, wherever a response points to.
func TestCredentialsStayAtHome(t *testing.T) {
	stolen := make(chan http.Header, 1000)
	thief := serve(t, func(w http.ResponseWriter, r *http.Request) {
		stolen <- r.Header
		answer(w, "application/json", `{"id":"x","p":1}`)
	})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" || r.Header.Get("X-Key") == "" {
			t.Errorf("%s without credentials", r.URL)
		}
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, thief+"/redirected", http.StatusFound)
			return
		}
		answer(w, "application/json", `[{"id":"a"}]`)
	})
	headers := map[string]string{"X-Key": "k"}
	redirected, subbed := meter("redirect"), meter("list")
	redirected.Redirects, redirected.Headers, subbed.Headers = true, headers, headers
	subbed.SubRequests = []request.SubRequest{{Key: "p", URL: thief + "/${id}"}}
	c, host := run(t, request.New(request.Config{
		Host: url, Auth: request.Auth{User: "u", Password: "p"}, Endpoints: []request.Endpoint{redirected, subbed},
	}))
	_, err := c.HandleRPC(t.Context(), call("", "x", `{"requestUrlExpression":"`+thief+`/call"}`))
	require.NoError(t, err)
	host.Eventually(t, "all three ways", func() bool { return len(stolen) > 5 })
	for len(stolen) > 0 {
		h := <-stolen
		assert.Empty(t, h.Get("Authorization"))
		assert.Empty(t, h.Get("X-Key"))
	}
}

func TestConvertersOfTheProgram(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, "text/plain", "21") })
	mine := request.WithConverter("Mine", func(config json.RawMessage) (request.UplinkConverter, error) {
		assert.JSONEq(t, `{"k":1}`, string(config))
		return request.ConverterFunc(func(r request.Response, out *telemetry.Batch) error {
			out.Device("d", "")
			out.Telemetry("size", telemetry.Int(int64(len(r.Body))))
			if strings.HasSuffix(r.URL, "/panic") {
				panic("oh")
			}
			return nil
		}), nil
	})
	doc := `{"host":"` + url + `","mapping":[{"url":"a","scanPeriod":0.02,"timeout":20,"converter":{"type":"custom","extension":"Mine","extension-config":{"k":1}}},
		{"url":"panic","scanPeriod":0.02,"timeout":20,"converter":{"type":"custom","extension":"Mine","extensionConfig":{"k":1}}}]}`
	x, err := request.Type(mine).New(json.RawMessage(doc), env(t))
	require.NoError(t, err)
	c, host := run(t, x.(*request.Connector))
	host.Eventually(t, "one converts", have(host, "d", "size", telemetry.Int(2)))
	host.Eventually(t, "the other one panics, which costs only its answer", func() bool { return c.Stats().Malformed > 1 })
}
