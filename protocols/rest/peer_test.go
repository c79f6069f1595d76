package rest_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// curl returns the status and the body of what curl is answered.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peer.Need(t, "curl"), append([]string{"-sS", "--max-time", "20", "-w", " %{http_code}"}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, problems.String())
	return strings.TrimSpace(string(out))
}

func TestPeerCurl(t *testing.T) {
	secret := sensor("/secret")
	secret.Auth = rest.Auth{Users: []rest.User{{Name: "u", Password: "p"}}}
	s, host := start(t, rest.Config{Endpoints: []rest.Endpoint{sensor("/d"), sensor("/d/{name}"), secret, asking(20 * time.Second)}})
	url := "http://" + s.Addrs()[0]
	for _, args := range [][]string{
		{"-d", `{"name":"A","t":1.5}`, url + "/d"},
		{"-H", "Content-Type: application/json", "-d", `[{"name":"A","t":1.5}]`, url + "/d"},
		{"-d", "name=A", "-d", "t=1.5", url + "/d"},
		{"-F", "name=A", "-F", "t=1.5", url + "/d"},
		{"-G", "-d", "t=1.5", url + "/d/A"},
		{"-H", "Transfer-Encoding: chunked", "-d", `{"name":"A","t":1.5}`, url + "/d"},
		{"-H", "Expect: 100-continue", "-d", `{"name":"A","t":1.5}`, url + "/d"},
		{"-u", "u:p", "-d", `{"name":"A","t":1.5}`, url + "/secret"},
	} {
		before := len(values(host, "t"))
		assert.Equal(t, "200", curl(t, args...), args)
		got := values(host, "t")
		require.Len(t, got, before+1, args)
		assert.Equal(t, telemetry.Float(1.5), got[before])
	}
	assert.Equal(t, "401: Unauthorized 401", curl(t, "-u", "u:q", "-d", "{}", url+"/secret"))
	assert.Equal(t, "405: Method Not Allowed 405", curl(t, "-X", "DELETE", url+"/d"))
	answer := make(chan string, 1)
	go func() { answer <- curl(t, "-d", `{"name":"A","t":1}`, url+"/ask") }()
	host.Eventually(t, "the request waits", func() bool { return waiting(host) == 1 })
	update(t, s, "A", "result", telemetry.String("open"))
	assert.Equal(t, "open 200", <-answer)
}

func TestPeerCurlTLS(t *testing.T) {
	certs := peer.NewCerts(t)
	host := connectortest.NewHost(t)
	files := tlsconf.Files{CA: certs.CA, Cert: certs.ServerCert, Key: certs.ServerKey}
	e := sensor("/d")
	e.Auth = rest.Auth{Certificate: true}
	c := rest.New(rest.Config{Port: -1, Endpoints: []rest.Endpoint{e}, TLS: serverTLS(files)})
	run(t, c, host)
	assert.Equal(t, "200", curl(t, "--cacert", certs.CA, "--cert", certs.ClientCert, "--key", certs.ClientKey, "-d", `{"name":"A","t":1}`, "https://"+c.Addrs()[0]+"/d"))
	assert.Len(t, values(host, "t"), 1)
}
