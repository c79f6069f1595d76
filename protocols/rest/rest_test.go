package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// run runs a connector until the test ends.
func run(t *testing.T, c *rest.Connector, host connector.Host) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { assert.ErrorIs(t, stop(), context.Canceled) })
	poll(t, "the server listens", func() bool { return len(c.Addrs()) > 0 })
	return stop
}

// poll waits until cond is true.
func poll(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// start runs a connector with a configuration on any port.
func start(t *testing.T, cfg rest.Config) (*rest.Connector, *connectortest.Host) {
	t.Helper()
	host := connectortest.NewHost(t)
	cfg.Port = -1
	c := rest.New(cfg)
	run(t, c, host)
	return c, host
}

// sensor is an endpoint for the readings t and id.
func sensor(path string) rest.Endpoint {
	return rest.Endpoint{
		Path: path, Methods: []string{"POST", "GET"},
		Device:     rest.DeviceInfo{Name: rest.Expression{Text: "${name}"}},
		Timeseries: []rest.Datapoint{{Key: "t", Value: "${t}", Type: "double"}, {Key: "id", Value: "${id}", Type: "long"}},
	}
}

// reply is what a server has answered.
type reply struct {
	status int
	body   string
	header http.Header
}

// send makes a request. Headers are pairs.
func send(t testing.TB, method, url, body string, headers ...string) reply {
	t.Helper()
	r, err := try(t.Context(), method, url, body, headers...)
	require.NoError(t, err)
	return r
}

func try(ctx context.Context, method, url, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(b), resp.Header}, err
}

func values(host *connectortest.Host, key string) (list []telemetry.Value) {
	for _, r := range host.Readings(true) {
		if r.Key == key {
			list = append(list, r.Value)
		}
	}
	return list
}

const jsonHeader = "application/json"

func TestDataOfAllForms(t *testing.T) {
	multipart := "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nA\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\nbytes\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n1.5\r\n--x--\r\n"
	for name, c := range map[string]struct{ method, query, contentType, body string }{
		"JSON":                      {"POST", "", jsonHeader, `{"name":"A","t":1.5}`},
		"JSON, a text":              {"POST", "", jsonHeader, `{"name":"A","t":"1.5"}`},
		"JSON as curl -d":           {"POST", "", "application/x-www-form-urlencoded", ` {"name":"A","t":1.5}`},
		"JSON of no type":           {"POST", "", "", `{"name":"A","t":1.5}`},
		"form":                      {"POST", "", "application/x-www-form-urlencoded", "name=A&t=1.5&t=2"},
		"multipart":                 {"POST", "", "multipart/form-data; boundary=x", multipart},
		"query":                     {"GET", "?name=A&t=1.5", "", ""},
		"query over body":           {"POST", "?t=1.5", jsonHeader, `{"name":"A","t":3}`},
		"body of a problem's type":  {"POST", "", "application/vnd.x+json; charset=utf-8", `{"name":"A","t":1.5}`},
		"body with invalid UTF-8":   {"POST", "", jsonHeader, "{\"name\":\"A\xff\",\"t\":1.5}"},
		"array of one":              {"POST", "", jsonHeader, `[{"name":"A","t":1.5}]`},
		"array with a bad neighbor": {"POST", "", jsonHeader, `[5,{"t":7},{"name":"A","t":1.5}]`},
	} {
		t.Run(name, func(t *testing.T) {
			s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{sensor("/d")}})
			r := send(t, c.method, "http://"+s.Addrs()[0]+"/d"+c.query, c.body, "Content-Type", c.contentType)
			require.Equal(t, 200, r.status, r.body)
			assert.Equal(t, []telemetry.Value{telemetry.Float(1.5)}, values(host, "t"))
			assert.Equal(t, "A", host.Readings(true)[0].Device.Name)
		})
	}
}

// Each element of an array is a message of its own.
func TestArraysAreBatches(t *testing.T) {
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{sensor("/d/{id}")}})
	r := send(t, "POST", "http://"+s.Addrs()[0]+"/d/7", `[{"name":"A","t":1,"ts":1700000000000},{"name":"B","t":2}]`)
	require.Equal(t, 200, r.status, r.body)
	assert.Equal(t, []telemetry.Value{telemetry.Float(1), telemetry.Float(2)}, values(host, "t"))
	assert.Equal(t, []telemetry.Value{telemetry.Int(7), telemetry.Int(7)}, values(host, "id"), "the variable of the path is in each")
	assert.Equal(t, int64(1700000000000), host.Readings(true)[0].TS)
}

// What the Python gateway makes a text of has the type that is configured.
func TestValuesHaveTheirTypes(t *testing.T) {
	e := sensor("/d")
	e.Timeseries = []rest.Datapoint{
		{Key: "f", Value: "${v}", Type: "double"},
		{Key: "s", Value: "${v}", Type: "string"},
		{Key: "${k}", Value: "${v}"},
		{Key: "nested", Value: "${d.v[1]}", Type: "double"},
		{Key: "b", Value: "${b}", Type: "boolean"},
		{Key: "gone", Value: "${x}", Type: "double"},
	}
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{e}})
	require.Equal(t, 200, send(t, "POST", "http://"+s.Addrs()[0]+"/d", `{"name":"A","v":3,"k":"dynamic","d":{"v":[1,2.5]},"b":true,"x":null}`).status)
	for key, want := range map[string]telemetry.Value{
		"f": telemetry.Float(3), "s": telemetry.String("3"), "dynamic": telemetry.Int(3), "nested": telemetry.Float(2.5), "b": telemetry.Bool(true),
	} {
		assert.Equal(t, []telemetry.Value{want}, values(host, key), key)
	}
	assert.Len(t, host.Readings(true), 5, "what is null is left out")
}

func TestStatus(t *testing.T) {
	e := sensor("/d")
	e.Methods = []string{"POST"}
	basic := sensor("/basic")
	basic.Auth = rest.Auth{Users: []rest.User{{Name: "u", Password: "p"}}}
	basic.Response = rest.Response{Success: `{"ok":true,"device":"${deviceName}"}`, Failure: "NO! ${status} ${error}"}
	s, _ := start(t, rest.Config{MaxBody: 100, OpenAPI: "/openapi.json", Endpoints: []rest.Endpoint{e, basic}})
	for name, c := range map[string]struct {
		method, path, body, contentType, authorization string
		status                                         int
		answer                                         string
	}{
		"stored":                  {"POST", "/d", `{"name":"A","t":1}`, jsonHeader, "", 200, ""},
		"nothing to store":        {"POST", "/d", `{"name":"A"}`, jsonHeader, "", 200, ""},
		"no JSON":                 {"POST", "/d", `{"name":`, jsonHeader, "", 400, "400: the body is not JSON"},
		"a scalar":                {"POST", "/d", `5`, jsonHeader, "", 400, "400: the data is neither"},
		"an empty array":          {"POST", "/d", `[]`, jsonHeader, "", 415, "415: there is no data"},
		"an array of scalars":     {"POST", "/d", `[1,2]`, jsonHeader, "", 400, "400: element 0 of 2"},
		"nothing":                 {"POST", "/d", "", jsonHeader, "", 415, "415: there is no data"},
		"an empty object":         {"POST", "/d", " { } ", jsonHeader, "", 415, "415: there is no data"},
		"a text without a device": {"POST", "/d", "hello", "text/plain", "", 422, `422: device name: "${name}" has no value`},
		"too large":               {"POST", "/d", `{"name":"` + strings.Repeat("A", 100) + `"}`, jsonHeader, "", 413, "413: the body has more than 100 bytes"},
		"another method":          {"DELETE", "/d", "", "", "", 405, "405: Method Not Allowed"},
		"another path":            {"POST", "/nope", "{}", jsonHeader, "", 404, "404: Not Found"},
		"a bad query":             {"POST", "/d?a=%zz", "{}", jsonHeader, "", 400, "400: the query is malformed"},
		"no credentials":          {"POST", "/basic", `{"name":"A","t":1}`, jsonHeader, "", 401, "NO! 401 "},
		"wrong credentials":       {"POST", "/basic", `{"name":"A","t":1}`, jsonHeader, "Basic dTp4", 401, "NO! 401 "},
		"another scheme":          {"POST", "/basic", `{"name":"A","t":1}`, jsonHeader, "Bearer zz", 401, "NO! 401 "},
		"credentials":             {"POST", "/basic", `{"name":"A\"","t":1}`, jsonHeader, "Basic dTpw", 200, `{"ok":true,"device":"A\""}`},
		"a failure as configured": {"POST", "/basic", `{}`, jsonHeader, "Basic dTpw", 415, "NO! 415 there is no data"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"Content-Type", c.contentType}
			if c.authorization != "" {
				headers = append(headers, "Authorization", c.authorization)
			}
			r := send(t, c.method, "http://"+s.Addrs()[0]+c.path, c.body, headers...)
			assert.Equal(t, c.status, r.status, r.body)
			assert.True(t, strings.HasPrefix(r.body, c.answer) && (c.answer != "" || r.body == ""), r.body)
			if c.status == 401 {
				assert.Contains(t, r.header.Get("WWW-Authenticate"), "Basic")
			}
		})
	}
	assert.Equal(t, uint64(3), s.Stats().Denied)
}

// 200 is answered when the data is durable, not before, and 503 when it is not in time.
func TestAnswersWhenDurable(t *testing.T) {
	s, host := start(t, rest.Config{StoreTimeout: 500 * time.Millisecond, Endpoints: []rest.Endpoint{sensor("/d")}})
	url := "http://" + s.Addrs()[0] + "/d"
	post := func() reply { return send(t, "POST", url, `{"name":"A","t":1}`) }
	host.Hold(true)
	r := post()
	assert.Equal(t, 503, r.status)
	assert.Equal(t, "503: the data was not stored within 500ms", r.body)
	assert.Equal(t, "5", r.header.Get("Retry-After"))
	host.Hold(false)
	assert.Equal(t, 200, post().status)
	host.Fail(func() error { return errors.New("disk full") }, nil)
	assert.Equal(t, 503, post().status)
	host.Fail(nil, func() error { return errors.New("no sync") })
	assert.Equal(t, 503, post().status)
	host.Fail(func() error { return connector.Invalid(errors.New("bad")) }, nil)
	assert.Equal(t, 422, post().status)
	host.Fail(nil, nil)
	assert.Equal(t, 200, post().status)
	assert.Equal(t, uint64(3), s.Stats().Unstored)
}

func TestPanicOfAConverterCostsOneRequest(t *testing.T) {
	e := sensor("/d")
	e.Converter = rest.ConverterFunc(func(m rest.Message, out *telemetry.Batch) error {
		out.Device("A", "")
		if string(m.Body) == "bad" {
			panic("oh")
		}
		out.Telemetry("n", telemetry.Int(int64(len(m.Body))))
		return nil
	})
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{e}})
	assert.Equal(t, 500, send(t, "POST", "http://"+s.Addrs()[0]+"/d", "bad").status)
	assert.Equal(t, 200, send(t, "POST", "http://"+s.Addrs()[0]+"/d", "good").status)
	assert.Equal(t, []telemetry.Value{telemetry.Int(4)}, values(host, "n"))
}

func TestListensOnSeveralHosts(t *testing.T) {
	s, host := start(t, rest.Config{Hosts: []string{"127.0.0.1", "127.0.0.1"}, Endpoints: []rest.Endpoint{sensor("/d")}})
	require.Len(t, s.Addrs(), 2)
	for _, addr := range s.Addrs() {
		require.Equal(t, 200, send(t, "POST", "http://"+addr+"/d", `{"name":"A","t":1}`).status)
	}
	assert.Len(t, values(host, "t"), 2)
}

// A request that is under way when the connector stops is completed.
func TestStopsAfterTheLastAnswer(t *testing.T) {
	host := connectortest.NewHost(t)
	c := rest.New(rest.Config{Port: -1, Endpoints: []rest.Endpoint{sensor("/d")}})
	stop := run(t, c, host)
	host.Hold(true)
	url := "http://" + c.Addrs()[0] + "/d"
	got := make(chan reply, 1)
	go func() {
		r, _ := try(t.Context(), "POST", url, `{"name":"A","t":1}`)
		got <- r
	}()
	poll(t, "the data is submitted", func() bool { return len(host.Readings(false)) == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	poll(t, "nothing is accepted any more", func() bool {
		_, err := try(t.Context(), "GET", url, "")
		return err != nil
	})
	host.Hold(false)
	assert.Equal(t, 200, (<-got).status)
	assert.ErrorIs(t, <-stopped, context.Canceled)
}

func TestTwoConnectorsOnOnePort(t *testing.T) {
	s, _ := start(t, rest.Config{})
	cfg := rest.Config{}
	_, port, _ := strings.Cut(s.Addrs()[0], ":")
	for _, c := range port {
		cfg.Port = cfg.Port*10 + int(c-'0')
	}
	err := rest.New(cfg).Run(t.Context(), connectortest.NewHost(t))
	require.ErrorContains(t, err, "rest: listen tcp 127.0.0.1:")
	assert.False(t, connector.IsPermanent(err), "the gateway is to try again")
}
