package request_test

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// server is a server of Python, with basic authentication, an ETag, pages by the header
// Link, a value that can be set, and a slow answer.
const server = `
import base64, http.server, json, ssl, sys, time
value = {"set": 0}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, body, headers={}):
        data = json.dumps(body).encode() if status != 304 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for k, v in headers.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"user:pass").decode():
            return self.answer(401, {"error": "who are you"}, {"WWW-Authenticate": "Basic"})
        if self.path == "/readings":
            return self.answer(200, [{"id": "a", "p": 1.5}], {"Link": '</readings?page=2>; rel="next"'})
        if self.path == "/readings?page=2":
            return self.answer(200, [{"id": "b", "p": value["set"]}])
        if self.path == "/tagged":
            if self.headers.get("If-None-Match") == '"x"':
                return self.answer(304, None, {"ETag": '"x"'})
            return self.answer(200, {"id": "t", "p": 7}, {"ETag": '"x"'})
        if self.path == "/slow":
            time.sleep(1000)
        return self.answer(404, {"error": "no such thing"})
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        value["set"] = json.loads(body)["value"]
        self.answer(200, {"was": value["set"], "type": self.headers["Content-Type"]})
    def log_message(self, *args):
        pass
httpd = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    context.load_verify_locations(sys.argv[4])
    context.verify_mode = ssl.CERT_REQUIRED
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
httpd.serve_forever()
`

// python starts the server, and returns its address and the process.
func python(t *testing.T, args ...string) (string, *peer.Process) {
	t.Helper()
	program := peer.Need(t, "python3")
	dir := t.TempDir()
	script := filepath.Join(dir, "server.py")
	require.NoError(t, os.WriteFile(script, []byte(server), 0o600))
	port := peer.FreePort(t)
	p := peer.Start(t, dir, append([]string{program, script, port}, args...)...)
	addr := net.JoinHostPort("127.0.0.1", port)
	peer.Listening(t, addr)
	return addr, p
}

func load(t *testing.T, doc string) *request.Connector {
	t.Helper()
	c, err := request.Type().New(json.RawMessage(doc), connector.Env{Name: "test"})
	require.NoError(t, err)
	return c.(*request.Connector)
}

const converterKeys = `"scanPeriod":0.05,"timeout":20,"converter":{"type":"json","deviceNameJsonExpression":"${id}","telemetry":[{"key":"p","type":"float","value":"${p}"}]}`

func TestPeerPython(t *testing.T) {
	addr, process := python(t)
	c := load(t, `{"host":"`+addr+`","security":{"type":"basic","username":"user","password":"pass"},
		"mapping":[{"url":"readings","pagination":{"type":"link"},`+converterKeys+`},{"url":"tagged","onlyChanged":true,`+converterKeys+`}],
		"attributeUpdates":[{"deviceNameFilter":"b","attributeFilter":"set","httpMethod":"PUT","timeout":20,
			"requestUrlExpression":"set","requestValueExpression":"{\"value\":${attributeValue}}"}],
		"serverSideRpc":[{"methodFilter":"set","httpMethod":"PUT","timeout":20,"responseTimeout":20,
			"requestUrlExpression":"set","requestValueExpression":"{\"value\":${params}}","responseValueExpression":"${type}"}]}`)
	_, host := run(t, c)
	host.Eventually(t, "all readings", func() bool {
		return have(host, "a", "p", telemetry.Float(1.5))() && have(host, "b", "p", telemetry.Int(0))() && have(host, "t", "p", telemetry.Int(7))()
	})
	host.Eventually(t, "the one with a tag does not change", func() bool { return c.Stats().Unmodified > 0 })
	require.NoError(t, c.UpdateAttributes(t.Context(), update("b", "set", telemetry.Int(42))))
	host.Eventually(t, "it is set", have(host, "b", "p", telemetry.Int(42)))
	v, err := c.HandleRPC(t.Context(), call("b", "set", "43"))
	require.NoError(t, err)
	assert.Equal(t, "application/json", v.String())
	host.Eventually(t, "it is set again", have(host, "b", "p", telemetry.Int(43)))

	process.Kill()
	host.Eventually(t, "it fails", func() bool { return !c.Health().OK })
	process.Start()
	peer.Listening(t, addr)
	n := len(host.Readings(false))
	host.Eventually(t, "it goes on", func() bool { return c.Health().OK && len(host.Readings(false)) > n })
}

func TestPeerPythonRefuses(t *testing.T) {
	addr, _ := python(t)
	c, host := run(t, load(t, `{"host":"`+addr+`","security":{"type":"basic","username":"user","password":"wrong"},"mapping":[{"url":"readings",`+converterKeys+`}]}`))
	host.Eventually(t, "it fails", func() bool { return !c.Health().OK })
	assert.Contains(t, c.Health().Detail, `HTTP 401 Unauthorized: {"error": "who are you"}`)
	assert.NotContains(t, c.Health().Detail, "wrong")
}

func TestPeerPythonMutualTLS(t *testing.T) {
	certs := peer.NewCerts(t)
	addr, _ := python(t, certs.ServerCert, certs.ServerKey, certs.CA)
	security := func(extra string) string {
		return `{"type":"basic","username":"user","password":"pass"` + extra + `}`
	}
	quote := strconv.Quote
	ca := `,"pathToCACert":` + quote(certs.CA)
	own := `,"pathToCert":` + quote(certs.ClientCert) + `,"pathToPrivateKey":` + quote(certs.ClientKey)
	file := func(security, rest string) string {
		return `{"host":"https://` + addr + `",` + rest + `"security":` + security + `,"mapping":[{"url":"readings",` + converterKeys + `}]}`
	}
	for name, doc := range map[string]string{
		"verified":     file(security(ca+own), ""),
		"not verified": file(security(own), `"SSLVerify":false,`),
	} {
		_, host := run(t, load(t, doc))
		host.Eventually(t, name, have(host, "a", "p", telemetry.Float(1.5)))
	}
	c, host := run(t, load(t, file(security(own), "")))
	host.Eventually(t, "verification is on", func() bool { return !c.Health().OK })
	assert.Contains(t, c.Health().Detail, "certificate signed by unknown authority")
	c, host = run(t, load(t, file(security(ca), ""))) // the server closes with an alert, or just so
	host.Eventually(t, "the server refuses it", func() bool { return !c.Health().OK && c.Stats().Failed > 0 })
	assert.Empty(t, host.Readings(false))
}

// A certificate that is replaced while the connector runs is used from then on.
func TestCertificatesAreFollowed(t *testing.T) {
	certs, others := peer.NewCerts(t), peer.NewCerts(t)
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Connection", "close")
		answer(w, "application/json", "[]")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{others.Server}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	install := func(from string) {
		pem, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, pem, 0o600))
		at := time.Now().Add(time.Duration(asked.Load()+1) * -time.Hour)
		require.NoError(t, os.Chtimes(file, at, at))
	}
	install(certs.CA)
	c, host := run(t, load(t, `{"host":"`+s.URL+`","security":{"pathToCACert":`+strconv.Quote(file)+`},"mapping":[{"url":"x",`+converterKeys+`}]}`))
	host.Eventually(t, "it is not trusted", func() bool { return !c.Health().OK })
	assert.Zero(t, asked.Load())
	pem, err := os.ReadFile(others.CA)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(pem, '\n'), 0o600))
	host.Eventually(t, "it is trusted", func() bool { return asked.Load() > 0 })
}

func TestTokensOfAnAuthorizationServer(t *testing.T) {
	var issued, lasts atomic.Int64
	lasts.Store(3600)
	auth := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.Method != http.MethodPost || user != "id" || password != "s%26" || r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("scope") != "read" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, "application/json", `{"access_token":"t`+strconv.FormatInt(issued.Add(1), 10)+`","token_type":"Bearer","expires_in":`+strconv.FormatInt(lasts.Load(), 10)+`}`)
	})
	tokens := make(chan string, 1000)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tokens <- r.Header.Get("Authorization")
		answer(w, "application/json", "[]")
	})
	doc := func(secret string) string {
		return `{"host":"` + url + `","security":{"type":"oauth2","tokenUrl":"` + auth + `/token","clientId":"id","clientSecret":"` + secret + `","scope":"read"},"mapping":[{"url":"x",` + converterKeys + `}]}`
	}
	run(t, load(t, doc("s&")))
	for range 3 {
		assert.Equal(t, "Bearer t1", <-tokens, "it is used until it expires")
	}
	lasts.Store(0)
	c := request.ClientCredentials{TokenURL: auth, ClientID: "id", Secret: "s&", Scope: "read"}.Auth()
	for _, want := range []string{"t2", "t3"} {
		got, err := c.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, got, "it has expired")
	}
	lasts.Store(3600)
	deny := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t5" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	denied, there := run(t, request.New(request.Config{Host: deny, Auth: c, Endpoints: []request.Endpoint{meter("x")}}))
	there.Eventually(t, "a refused token is replaced", func() bool { return denied.Stats().Failed == 1 && there.IsReady() })
	x, host := run(t, load(t, doc("wrong")))
	host.Eventually(t, "it fails", func() bool { return !x.Health().OK })
	assert.Contains(t, x.Health().Detail, "token: POST "+auth+"/token: HTTP 401 Unauthorized")
}

// A list serves messages until the test ends.
type list struct {
	ids  atomic.Pointer[[]int64]
	url  string
	lock chan struct{}
}

// Send implements connectortest.Source.
func (l *list) Send(id int64) {
	l.lock <- struct{}{}
	ids := append([]int64{id}, *l.ids.Load()...)
	l.ids.Store(&ids)
	<-l.lock
}

// Acked implements connectortest.Source.
func (l *list) Acked() []int64 { return nil }

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		NoAck: true,
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			t.Helper()
			l := &list{lock: make(chan struct{}, 1)}
			l.ids.Store(new([]int64))
			l.url = serve(t, func(w http.ResponseWriter, _ *http.Request) {
				doc, _ := json.Marshal(*l.ids.Load())
				answer(w, "application/json", `{"ids":`+string(doc)+`}`)
			})
			e := meter("x")
			e.Converter = request.ConverterFunc(func(r request.Response, out *telemetry.Batch) error {
				var body struct{ IDs []int64 }
				if err := json.Unmarshal(r.Body, &body); err != nil {
					return err
				}
				out.Device("d", "meter")
				for _, id := range body.IDs {
					out.Telemetry("id", telemetry.Int(id))
				}
				return nil
			})
			return request.New(request.Config{Host: l.url, Endpoints: []request.Endpoint{e}, RPCs: []request.RPC{
				{MethodFilter: "echo", Request: request.Request{URL: "x", Timeout: 20 * time.Second}},
			}}), l
		},
		RPC: []connector.RPCRequest{{Device: "d", ID: 1, Method: "echo"}},
	})
}
