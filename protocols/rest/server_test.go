package rest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var updateGolden = flag.Bool("rest.golden", false, "write testdata/openapi.golden")

func TestTokens(t *testing.T) {
	e := sensor("/d")
	e.Auth = rest.Auth{Tokens: []string{"one", "two"}, Users: []rest.User{{Name: "u", Password: "p"}, {Name: "v", Password: "q"}}}
	s, _ := start(t, rest.Config{Endpoints: []rest.Endpoint{e}})
	for header, status := range map[string]int{
		"Bearer one": 200, "bearer two": 200, "Bearer three": 401, "Bearer ": 401, "": 401, "one": 401, "Basic one": 401,
		"Basic dTpw": 200, "Basic djpx": 200, "Basic dTpx": 401, "Bearer u:p": 401,
	} {
		r := send(t, "POST", "http://"+s.Addrs()[0]+"/d", `{"name":"A","t":1}`, "Authorization", header)
		assert.Equal(t, status, r.status, header)
	}
}

// client returns a client that trusts an authority, with or without a certificate.
func client(t *testing.T, files tlsconf.Files) *http.Client {
	t.Helper()
	conf, err := files.Config()
	require.NoError(t, err)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}, Timeout: 10 * time.Second}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func post(t *testing.T, c *http.Client, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"name":"A","t":1}`))
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// Certificates of clients are demanded by the whole server, or by single paths.
func TestCertificatesOfClients(t *testing.T) {
	certs := peer.NewCerts(t)
	doc := `{"server":{"port":0,"SSL":true,"security":{"cert":"` + certs.ServerCert + `","key":"` + certs.ServerKey + `","ca":"` + certs.CA + `"OPTIONAL}},
	 "mapping":[{"endpoint":"/open","HTTPMethods":["POST"],"converter":{"deviceInfo":{"deviceNameExpression":"A"}}},
	  {"endpoint":"/any","HTTPMethods":["POST"],"security":{"type":"certificate"},"converter":{"deviceInfo":{"deviceNameExpression":"A"}}},
	  {"endpoint":"/other","HTTPMethods":["POST"],"security":{"type":"certificate","names":["somebody else"]},"converter":{"deviceInfo":{"deviceNameExpression":"A"}}}]}`
	with := client(t, tlsconf.Files{CA: certs.CA, Cert: certs.ClientCert, Key: certs.ClientKey})
	without := client(t, tlsconf.Files{CA: certs.CA})
	for option, open := range map[string]bool{"": false, `,"clientCertificate":"optional"`: true} {
		made, err := rest.Type().New(json.RawMessage(strings.Replace(doc, "OPTIONAL", option, 1)), connector.Env{})
		require.NoError(t, err)
		c := made.(*rest.Connector)
		run(t, c, connectortest.NewHost(t))
		url := "https://" + c.Addrs()[0]
		for path, want := range map[string]int{"/open": 200, "/any": 200, "/other": 401} {
			status, err := post(t, with, url+path)
			require.NoError(t, err)
			assert.Equal(t, want, status, path)
		}
		status, err := post(t, without, url+"/open")
		if !open {
			require.Error(t, err, "the server demands a certificate")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, 200, status)
		status, err = post(t, without, url+"/any")
		require.NoError(t, err)
		assert.Equal(t, 401, status)
	}
}

// Without a certificate the server makes one, for the names that it listens on.
func TestSelfSigned(t *testing.T) {
	made, err := rest.Type().New(json.RawMessage(`{"server":{"host":"127.0.0.1","port":0,"SSL":true},"mapping":[]}`), connector.Env{})
	require.NoError(t, err)
	c := made.(*rest.Connector)
	run(t, c, connectortest.NewHost(t))
	skip := client(t, tlsconf.Files{SkipVerify: true})
	status, err := post(t, skip, "https://"+c.Addrs()[0]+"/")
	require.NoError(t, err)
	assert.Equal(t, 404, status)
	_, err = post(t, http.DefaultClient, "https://"+c.Addrs()[0]+"/")
	var unknown *tls.CertificateVerificationError
	require.ErrorAs(t, err, &unknown)
	assert.NoError(t, unknown.UnverifiedCertificates[0].VerifyHostname("127.0.0.1"))
}

func TestCORS(t *testing.T) {
	e := sensor("/d")
	s, _ := start(t, rest.Config{Endpoints: []rest.Endpoint{e}, CORS: &rest.CORS{Origins: []string{"https://a.example"}, MaxAge: time.Minute}})
	url := "http://" + s.Addrs()[0] + "/d"
	r := send(t, "OPTIONS", url, "", "Origin", "https://a.example", "Access-Control-Request-Method", "POST")
	assert.Equal(t, 204, r.status)
	assert.Equal(t, "https://a.example", r.header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "GET, POST", r.header.Get("Access-Control-Allow-Methods"))
	assert.Equal(t, "Authorization, Content-Type", r.header.Get("Access-Control-Allow-Headers"))
	assert.Equal(t, "60", r.header.Get("Access-Control-Max-Age"))
	r = send(t, "POST", url, `{"name":"A","t":1}`, "Origin", "https://a.example")
	assert.Equal(t, 200, r.status)
	assert.Equal(t, "https://a.example", r.header.Get("Access-Control-Allow-Origin"))
	r = send(t, "OPTIONS", url, "", "Origin", "https://b.example", "Access-Control-Request-Method", "POST")
	assert.Equal(t, 405, r.status)
	assert.Empty(t, r.header.Get("Access-Control-Allow-Origin"))

	s, _ = start(t, rest.Config{Endpoints: []rest.Endpoint{e}})
	r = send(t, "POST", "http://"+s.Addrs()[0]+"/d", `{"name":"A","t":1}`, "Origin", "https://a.example")
	assert.Empty(t, r.header.Get("Access-Control-Allow-Origin"), "only by choice")
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		path, url string
		want      map[string]string // nil: it does not match
	}{
		{"/a", "/a", map[string]string{}},
		{"/a", "/a/", nil},
		{"/a", "/A", nil},
		{"/d/{id}", "/d/7", map[string]string{"id": "7"}},
		{"/d/{id}", "/d/", nil},
		{"/d/{id}", "/d/7/8", nil},
		{"/d/{id}", "/d/a%2Fb%20c", map[string]string{"id": "a/b c"}},
		{"/d/{id}/x-{k}.json", "/d/7/x-t.json", map[string]string{"id": "7", "k": "t"}},
		{"/d/{id}/x-{k}.json", "/d/7/x-tajson", nil},
		{`/n/{n:\d{1,3}}`, "/n/123", map[string]string{"n": "123"}},
		{`/n/{n:\d{1,3}}`, "/n/1234", nil},
		{"/f/{rest:.*}", "/f/a/b", map[string]string{"rest": "a/b"}},
		{"/ä/{x}", "/%C3%A4/y", map[string]string{"x": "y"}},
	} {
		u, err := url.Parse("http://h" + c.url)
		require.NoError(t, err)
		vars, ok, err := rest.Route(c.path, &http.Request{URL: u})
		require.NoError(t, err)
		require.Equal(t, c.want != nil, ok, "%s %s", c.path, c.url)
		got := map[string]string{}
		for _, v := range vars {
			got[v.Name] = v.Value
		}
		if ok {
			assert.Equal(t, c.want, got)
		}
	}
	for path, want := range map[string]string{
		"/{": "without its }", "/}{a}": "without its {", "/{}": "without a name", "/{a}/{a}": "without a name", "/{a:(}": "missing closing", "/{a:(x)}": "groups have to be",
	} {
		_, _, err := rest.Route(path, nil)
		require.ErrorContains(t, err, want, path)
	}
}

func TestTemplates(t *testing.T) {
	values := map[string]telemetry.Value{"n": telemetry.Int(5), "s": telemetry.String("a\"b\n"), "f": telemetry.Float(2)}
	for template, want := range map[string]string{
		"": "", "plain": "plain", "${n} and ${s}": "5 and a\"b\n", "${open": "${open", "[${f}]": "[2.0]", "{not ${s}}": "{not a\"b\n}",
		`{"a":${n},"b":${s}}`:    `{"a":5,"b":"a\"b\n"}`,
		`{"${s}":"x ${s} ${n}"}`: `{"a\"b\n":"x a\"b\n 5"}`,
		`["\"${s}"]`:             `["\"a\"b\n"]`,
	} {
		got, err := rest.Fill(template, values)
		require.NoError(t, err)
		assert.Equal(t, want, got, template)
	}
}

func TestOpenAPI(t *testing.T) {
	doc, err := os.ReadFile("testdata/openapi-config.json")
	require.NoError(t, err)
	made, err := rest.Type().New(doc, connector.Env{})
	require.NoError(t, err)
	c := made.(*rest.Connector)
	run(t, c, connectortest.NewHost(t))
	r := send(t, "GET", "http://"+c.Addrs()[0]+"/openapi.json", "")
	require.Equal(t, 200, r.status)
	assert.Equal(t, "application/json", r.header.Get("Content-Type"))
	if *updateGolden {
		var b bytes.Buffer
		require.NoError(t, json.Indent(&b, []byte(r.body), "", "  "))
		require.NoError(t, os.WriteFile("testdata/openapi.golden", append(b.Bytes(), '\n'), 0o600))
	}
	want, err := os.ReadFile("testdata/openapi.golden")
	require.NoError(t, err)
	assert.JSONEq(t, string(want), r.body, "a description as in testdata/openapi.golden")
}

func serverTLS(files tlsconf.Files) func() (*tls.Config, error) {
	return func() (*tls.Config, error) { return files.Server(nil) }
}
