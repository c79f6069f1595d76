package request_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func env(t *testing.T) connector.Env {
	t.Helper()
	return connector.Env{Name: "test", Dir: t.TempDir()}
}

func update(device, key string, v telemetry.Value) connector.AttributeUpdate {
	return connector.AttributeUpdate{Device: device, Attributes: []telemetry.Point{{Key: key, Value: v}}}
}

func call(device, method, params string) connector.RPCRequest {
	return connector.RPCRequest{Device: device, ID: 7, Method: method, Params: json.RawMessage(params)}
}

func TestBodiesAreSafe(t *testing.T) {
	object, err := telemetry.JSON([]byte(`{"x":[1]}`))
	require.NoError(t, err)
	for _, c := range []struct {
		template string
		value    telemetry.Value
		want     string
	}{
		{`{"${attributeKey}":"${attributeValue}"}`, telemetry.String(`a"b\c`), `{"k\"":"a\"b\\c"}`},
		{`{"v":${attributeValue}}`, telemetry.String(`on`), `{"v":"on"}`},
		{`{"v":${attributeValue}}`, telemetry.Bool(true), `{"v":true}`},
		{`{"v":${attributeValue}}`, object, `{"v":{"x":[1]}}`},
		{`{"v":"is ${attributeValue}!"}`, telemetry.String(`"`), `{"v":"is \"!"}`},
		{`{"v":"a\"${attributeValue}"}`, telemetry.Int(5), `{"v":"a\"5"}`},
		{`[${attributeValue}]`, telemetry.Value{}, `[null]`},
		{`{'${attributeKey}': '${attributeValue}', 'q"': 'it\'s', "on": True, 'off': [False, None], "t": "True"}`, telemetry.String(`x"'`), `{"k\"": "x\"'", "q\"": "it's", "on": true, "off": [false, null], "t": "True"}`},
		{`{"v": "${attributeValue`, telemetry.Int(1), `{"v": "${attributeValue`},
		{`${attributeValue}`, telemetry.String(`"raw"`), `"raw"`},
		{`v=${attributeValue};${deviceName}`, telemetry.Float(1.5), `v=1.5;d`},
	} {
		got, err := request.Body(c.template, "d", telemetry.Point{Key: `k"`, Value: c.value})
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
	_, err = request.Body("${params}", "d", telemetry.Point{})
	require.ErrorContains(t, err, "placeholder ${params} has no value")
}

func TestEachAttributeIsARequestOfItsOwn(t *testing.T) {
	seen := make(chan string, 10)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- r.Method + " " + r.RequestURI + " " + string(body)
		if r.URL.Path == "/d 1/bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	c, _ := run(t, request.New(request.Config{Host: url, Updates: []request.AttributeUpdate{
		{DeviceFilter: "d.*", AttributeFilter: "bad|ok", Request: request.Request{
			URL: "${deviceName}/${attributeKey}?v=${attributeValue}", Method: "POST", Body: "${attributeValue}", Timeout: 20 * time.Second,
		}},
		{DeviceFilter: "d", AttributeFilter: ".*", Request: request.Request{URL: "never"}},
	}}))
	err := c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "d 1", Attributes: []telemetry.Point{
		{Key: "bad", Value: telemetry.Int(1)}, {Key: "ok", Value: telemetry.String("a&b/c")}, {Key: "okay", Value: telemetry.Int(3)},
	}})
	require.ErrorContains(t, err, `attribute "bad" of device "d 1": POST `+url+`/d%201/bad: HTTP 400 Bad Request`)
	assert.Equal(t, "POST /d%201/bad?v=1 1", <-seen)
	assert.Equal(t, "POST /d%201/ok?v=a%26b%2Fc a&b/c", <-seen)
	assert.Empty(t, seen)
}

func TestCalls(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			_, _ = w.Write(body)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/error":
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, "busy")
		case "/silent":
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.RequestURI)
		}
	})
	echo := func(reply string) request.RPC {
		return request.RPC{MethodFilter: "echo" + reply, Reply: reply, Request: request.Request{URL: "echo", Method: "POST", Body: "${params}", Timeout: 20 * time.Second}}
	}
	reply := echo("${a.b}")
	reply.MethodFilter = "reply"
	text := echo("${a.b} of ${deviceName}")
	text.MethodFilter, text.Reply = "text", "<${a.b}>"
	to := func(method, url string) request.RPC {
		return request.RPC{MethodFilter: method, Request: request.Request{URL: url, Timeout: 20 * time.Second}, ReplyTimeout: 300 * time.Millisecond}
	}
	c, _ := run(t, request.New(request.Config{Host: url, RPCs: []request.RPC{
		echo(""), reply, text, to("none", "none"), to("error", "error"), to("silent", "silent"),
		to("names", "n/${deviceName}/${methodName}/${requestId}/${params.x[1]}"),
	}}))
	for _, x := range []struct {
		method, params, want, err string
	}{
		{"echo", `{"a":{"b":5},"c":null}`, `{"a":{"b":5},"c":null}`, ""},
		{"echo", `"hello"`, `hello`, ""},
		{"echo", `21.5`, `21.5`, ""},
		{"echo", `true`, `true`, ""},
		{"echo", ``, `null`, ""},
		{"reply", `{"a":{"b":5}}`, `5`, ""},
		{"reply", `{"a":{}}`, ``, `"${a.b}" has no value in the answer`},
		{"reply", `"x"`, ``, `the answer is not JSON`},
		{"text", `{"a":{"b":5}}`, `<5>`, ""},
		{"none", ``, `null`, ""},
		{"error", ``, ``, `call "error" of device "d/1": GET ` + url + `/error: HTTP 409 Conflict: busy`},
		{"silent", ``, ``, "no answer within 300ms"},
		{"names", `{"x":[0,"y z"]}`, `GET /n/d%2F1/names/7/y%20z`, ""},
		{"names", `{}`, ``, "placeholder ${params.x[1]} has no value"},
		{"other", ``, ``, `call "other" of device "d/1": no remote procedure call is configured for it`},
		{"set", `"requestUrlExpression=echo;httpMethod=PUT;value=on;timeout=20;responseTimeout=20;"`, `on`, ""},
		{"get", `{"requestUrlExpression":"echo","httpMethod":"POST","value":{"v":1},"responseValueExpression":"${v}","timeout":20}`, `1`, ""},
		{"get", `"requestUrlExpression=x;timeout=soon"`, ``, `timeout: "soon" is not a number of seconds`},
		{"get", `"value=5"`, ``, `no remote procedure call is configured for it`},
	} {
		v, err := c.HandleRPC(t.Context(), call("d/1", x.method, x.params))
		if x.err != "" {
			require.ErrorContains(t, err, x.err, x.method)
			continue
		}
		require.NoError(t, err, x.method)
		assert.Equal(t, x.want, v.String(), x.method)
	}
}

func TestCallsAnswerAsThePythonGatewayIfAsked(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"a":"x"}`) })
	c, _ := run(t, request.New(request.Config{Host: url, Compatible: true, RPCs: []request.RPC{
		{Request: request.Request{URL: "x", Timeout: 20 * time.Second}, Reply: "${a}"},
	}}))
	v, err := c.HandleRPC(t.Context(), call("d", "m", ""))
	require.NoError(t, err)
	assert.JSONEq(t, `{"result":{"value":"x"}}`, v.String())
}

func TestACallEndsWithTheRun(t *testing.T) {
	var asked atomic.Int64
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-r.Context().Done()
	})
	c := request.New(request.Config{Host: url, RPCs: []request.RPC{
		{Request: request.Request{URL: "x", Timeout: time.Hour}, ReplyTimeout: time.Hour},
	}})
	_, err := c.HandleRPC(t.Context(), call("d", "m", ""))
	require.ErrorContains(t, err, "the connector is not running")
	host := connectortest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended, called := make(chan error, 1), make(chan error, 1)
	go func() { ended <- c.Run(ctx, host) }()
	host.Eventually(t, "it runs", host.IsReady)
	go func() {
		_, err := c.HandleRPC(t.Context(), call("d", "m", ""))
		called <- err
	}()
	host.Eventually(t, "the server is asked", func() bool { return asked.Load() == 1 })
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.ErrorContains(t, <-called, "the connector is not running")
}
