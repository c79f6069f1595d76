package rest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A device is a server that a connector makes requests to.
type device struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	answer func(n int, w http.ResponseWriter, req *http.Request) // n from 0
}

func newDevice(t *testing.T, answer func(n int, w http.ResponseWriter, req *http.Request)) *device {
	t.Helper()
	d := &device{answer: answer}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *device) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, _ := io.ReadAll(req.Body)
	d.mu.Lock()
	n := len(d.got)
	d.got = append(d.got, strings.Join([]string{req.Method, req.URL.RequestURI(), req.Header.Get("Content-Type"), string(b)}, "|"))
	d.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(b))
	if d.answer != nil {
		d.answer(n, w, req)
	}
}

func (d *device) requests() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.got...)
}

func TestAttributeUpdates(t *testing.T) {
	d := newDevice(t, nil)
	s, _ := start(t, rest.Config{AttributeUpdates: []rest.AttributeUpdate{
		{DeviceFilter: "A.*", AttributeFilter: "rate|mode", Request: rest.Request{URL: d.URL + "/${deviceName}/${attributeKey}?v=${attributeValue}", Method: "put", Value: `{"v":${attributeValue},"t":"is ${attributeValue}"}`}},
		{Request: rest.Request{URL: d.URL + "/raw", Method: "POST", Value: "${attributeKey}=${attributeValue}", Headers: map[string]string{"content-type": "text/x"}}},
	}})
	require.NoError(t, s.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "A /&1", Attributes: []telemetry.Point{
		{Key: "rate", Value: telemetry.Int(5)}, {Key: "mode", Value: telemetry.String("a\"b")}, {Key: "rates", Value: telemetry.Int(6)},
	}}))
	assert.Equal(t, []string{
		`PUT|/A%20%2F%261/rate?v=5|application/json|{"v":5,"t":"is 5"}`,
		`PUT|/A%20%2F%261/mode?v=a%22b|application/json|{"v":"a\"b","t":"is a\"b"}`,
		`POST|/raw|text/x|rate=5`, `POST|/raw|text/x|mode=a"b`, `POST|/raw|text/x|rates=6`,
	}, d.requests(), "all keys, whose filters match the whole of them")
	d.Close()
	err := s.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "A", Attributes: []telemetry.Point{{Key: "rate", Value: telemetry.Int(5)}}})
	require.ErrorContains(t, err, `rest: attribute "rate" of device "A"`)
	assert.Equal(t, 2, strings.Count(err.Error(), "attribute"), "the second request was tried as well")
}

func rpc(t *testing.T, s *rest.Connector, method, params string) (string, error) {
	t.Helper()
	v, err := s.HandleRPC(t.Context(), connector.RPCRequest{Device: "D 1", ID: 7, Method: method, Params: json.RawMessage(params)})
	return string(v.AppendJSON(nil)), err
}

func TestCalls(t *testing.T) {
	d := newDevice(t, func(_ int, w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/json":
			_, _ = io.WriteString(w, `{"on":true}`)
		case "/text":
			_, _ = io.WriteString(w, "plain \"text\"")
		case "/moved":
			http.Redirect(w, req, "/json", http.StatusFound)
		case "/form":
			_ = req.ParseMultipartForm(1000)
			_, _ = io.WriteString(w, req.PostFormValue("a")+req.PostFormValue("b"))
		case "/large":
			_, _ = w.Write(make([]byte, 2<<20))
		case "/slow":
			<-req.Context().Done()
		case "/auth":
			user, password, _ := req.BasicAuth()
			_, _ = io.WriteString(w, user+":"+password)
		default:
			http.Error(w, "no such thing", http.StatusTeapot)
		}
	})
	call := func(method string, q rest.Request) rest.RPC {
		return rest.RPC{DeviceFilter: "D.*", MethodFilter: method, Request: q}
	}
	form := map[string]string{"Content-Type": "multipart/form-data"}
	s, _ := start(t, rest.Config{RPCs: []rest.RPC{
		call("json", rest.Request{URL: d.URL + "/json?r=${restId}-${requestId}&m=${methodName}&x=${params.x}", Method: "POST", Value: `{"p":${params},"x":"${params.x}"}`}),
		call("text", rest.Request{URL: d.URL + "/text", Method: "POST", Value: "${params}"}),
		call("quoted", rest.Request{URL: d.URL + "/text", Method: "POST", Value: "${params}", Headers: map[string]string{"Content-Type": "application/json"}}),
		call("moved", rest.Request{URL: d.URL + "/moved"}),
		call("follow", rest.Request{URL: d.URL + "/moved", Redirects: true}),
		call("form", rest.Request{URL: d.URL + "/form", Method: "POST", Value: "${params}", Headers: form}),
		call("urlform", rest.Request{URL: d.URL + "/form", Method: "POST", Value: "${params}", Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}),
		call("large", rest.Request{URL: d.URL + "/large"}),
		call("slow", rest.Request{URL: d.URL + "/slow", Timeout: 100 * time.Millisecond}),
		call("auth", rest.Request{URL: d.URL + "/auth", User: &rest.User{Name: "u", Password: "p"}}),
		call("teapot", rest.Request{URL: d.URL + "/teapot"}),
	}})
	for _, c := range []struct{ method, params, want string }{
		{"json", `{"x":[1,"a\"b"]}`, `{"on":true}`},
		{"text", `"on"`, `"plain \"text\""`},
		{"quoted", `"on"`, `"plain \"text\""`},
		{"follow", ``, `{"on":true}`},
		{"form", `{"a":"x y","b":2}`, `"x y2"`},
		{"urlform", `{"a":"x&y","b":2}`, `"x&y2"`},
		{"auth", ``, `"u:p"`},
		{"get", `"requestUrlExpression=` + d.URL + `/json;"`, `{"on":true}`},
		{"set", `{"requestUrlExpression":"` + d.URL + `/json","HTTPMethod":"PUT","value":"on","timeout":2}`, `{"on":true}`},
	} {
		got, err := rpc(t, s, c.method, c.params)
		require.NoError(t, err, c.method)
		assert.Equal(t, c.want, got, c.method)
	}
	got := d.requests()
	assert.Equal(t, `POST|/json?r=7-7&m=json&x=%5B1%2C%22a%5C%22b%22%5D|application/json|{"p":{"x":[1,"a\"b"]},"x":"[1,\"a\\\"b\"]"}`, got[0])
	assert.Equal(t, `POST|/text|text/plain; charset=utf-8|on`, got[1])
	assert.Equal(t, `POST|/text|application/json|"on"`, got[2])
	assert.Contains(t, got, `PUT|/json|text/plain; charset=utf-8|on`)
	for _, c := range []struct{ method, params, want string }{
		{"teapot", ``, `rest: call "teapot" of device "D 1": ` + d.URL + `/teapot: status 418 I'm a teapot: no such thing`},
		{"moved", ``, "status 302 Found"},
		{"large", ``, "has more than 1048576 bytes"},
		{"slow", ``, "no answer within 100ms"},
		{"form", `"x"`, "is no JSON object"},
		{"json", `{}`, "placeholder ${params.x} has no value"},
		{"json", `{`, "the parameters are not JSON"},
		{"unknown", ``, "no remote procedure call is configured"},
		{"get", `"value=1;"`, "no remote procedure call is configured"},
		{"get", `"requestUrlExpression=ftp://h;timeout=-1;"`, "begins with neither"},
	} {
		_, err := rpc(t, s, c.method, c.params)
		require.ErrorContains(t, err, c.want, c.method)
	}
}

// Files ask for the form in which the Python gateway answers.
func TestResultsAreWrapped(t *testing.T) {
	d := newDevice(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "5") })
	s, _ := start(t, rest.Config{WrapResults: true, RPCs: []rest.RPC{{Request: rest.Request{URL: d.URL}}}})
	got, err := rpc(t, s, "any", "null")
	require.NoError(t, err)
	assert.Equal(t, `{"result":5}`, got)
}

// A request is made again only if it cannot have been carried out, or if that does no harm.
func TestTries(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		status int
		want   int
	}{"busy": {"POST", 503, 2}, "failed": {"POST", 500, 1}, "harmless": {"PUT", 500, 2}, "wrong": {"PUT", 404, 1}} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n == 0 {
					w.WriteHeader(c.status)
				}
			})
			_, err := rest.SendOnce(t.Context(), rest.Request{URL: d.URL, Method: c.method, Tries: 3})
			assert.Equal(t, c.want == 2, err == nil)
			assert.Len(t, d.requests(), c.want)
		})
	}
}

// The certificate of a server is verified, and one is shown to it.
func TestCertificatesOfServers(t *testing.T) {
	certs := peer.NewCerts(t)
	d := &device{}
	d.Server = httptest.NewUnstartedServer(d)
	conf, err := tlsconf.Files{CA: certs.CA, Cert: certs.ServerCert, Key: certs.ServerKey}.Server(nil)
	require.NoError(t, err)
	d.TLS = conf
	d.StartTLS()
	t.Cleanup(d.Close)
	_, err = rest.SendOnce(t.Context(), rest.Request{URL: d.URL})
	require.ErrorContains(t, err, "certificate")
	source := tlsconf.Files{CA: certs.CA, Cert: certs.ClientCert, Key: certs.ClientKey}.Source(nil)
	_, err = rest.SendOnce(t.Context(), rest.Request{URL: d.URL, TLS: source})
	require.NoError(t, err)
	_, err = rest.SendOnce(t.Context(), rest.Request{URL: d.URL, TLS: func() (*tls.Config, error) { return nil, io.ErrUnexpectedEOF }})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestCommandsNeedARun(t *testing.T) {
	c := rest.New(rest.Config{})
	require.ErrorContains(t, c.UpdateAttributes(t.Context(), connector.AttributeUpdate{}), "not running")
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{})
	require.ErrorContains(t, err, "not running")
}
