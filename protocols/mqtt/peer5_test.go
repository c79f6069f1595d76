package mqtt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

func TestPeerMosquittoVersion5Conformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{New: func(t *testing.T) (connector.Connector, connectortest.Source) {
		m := startMosquitto(t, peer.Mosquitto{Persistent: true})
		m.createSession("gateway", "dev/+")
		src := &peerSource{t: t, client: m.client(nil)}
		cfg := keepingConfig(t, m)
		cfg.Version = 5
		return mqtt.NewWithSession(cfg, src.dial), src
	}})
}

func TestPeerMosquittoVersion5KeepsASession(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{Persistent: true})
	pub := m.client(nil)
	const broker = `{"host":"127.0.0.1","port":%d,"clientId":"gateway","cleanStart":false,"sessionExpiryInterval":3600}`
	first := run(t, loadPeer(t, m, broker))
	first.eventually("it is ready", first.IsReady)
	first.stop()
	for id := range int64(100) {
		publish(t, pub, "dev/1", fmt.Sprintf(`{"id":%d}`, id), false)
	}
	second := run(t, loadPeer(t, m, broker))
	second.eventually("all are delivered", func() bool { return len(second.values("id")) == 100 })
	require.True(t, slices.IsSorted(second.values("id")))
}

// Two gateways share what is published: each message is stored by one of them.
func TestPeerMosquittoVersion5SharedSubscription(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{})
	config := fmt.Sprintf(`{"broker":{"host":"127.0.0.1","port":%d,"version":5},"mapping":[{"topicFilter":"$share/gateways/dev/+/data","converter":{"type":"json",
	 "deviceInfo":{"deviceNameExpressionSource":"topic","deviceNameExpression":"dev/([^/]+)/data"},"timeseries":["*"]}}]}`, m.port())
	var gateways [2]*bench
	for i := range gateways {
		gateways[i] = run(t, load(t, config))
		gateways[i].eventually("it is ready", gateways[i].IsReady)
	}
	pub := m.client(nil)
	const n = 100
	for id := range n {
		publish(t, pub, fmt.Sprintf("dev/%d/data", id%7), fmt.Sprintf(`{"id":%d}`, id), false)
	}
	all := func() []int64 { return append(gateways[0].values("id"), gateways[1].values("id")...) }
	gateways[0].eventually("all are stored", func() bool { return len(all()) >= n })
	ids := all()
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), n, "each once")
	for _, g := range gateways {
		require.NotEmpty(t, g.values("id"), "both have a share")
	}
}

func TestPeerMosquittoVersion5RPC(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{})
	c := load(t, fmt.Sprintf(`{"broker":{"host":"127.0.0.1","port":%d},"requestsMapping":{"serverSideRpc":[{"deviceNameFilter":".*","methodFilter":"^echo$",
	 "requestTopicExpression":"rq/${deviceName}/${requestId}","valueExpression":"${params}","responseTopicExpression":"rs/${deviceName}/${requestId}","responseTimeout":10000}]}}`, m.port())).(*mqtt.Connector)
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	requests := make(chan mqttx.Message, 10)
	device := m.client(func(m mqttx.Message) { m.Ack(); requests <- m })
	require.NoError(t, device.Subscribe(t.Context(), mqttx.Subscription{Filter: "rq/#", QoS: 1}))
	go func() {
		for m := range requests {
			device.Publish(strings.Replace(m.Topic, "rq/", "rs/", 1), 1, false, m.Payload)
		}
	}()
	t.Cleanup(func() { device.Close(); close(requests) })
	v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", ID: 4, Method: "echo", Params: json.RawMessage(`{"a":[1]}`)})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":[1]}`, v.String())
}

// Certificates may stand in the file itself.
func TestPeerMosquittoTLSInline(t *testing.T) {
	certs := peer.NewCerts(t)
	m := startMosquitto(t, peer.Mosquitto{Certs: &certs})
	pem := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		quoted, err := json.Marshal(string(text))
		require.NoError(t, err)
		return strings.ReplaceAll(string(quoted), "%", "%%")
	}
	for name, security := range map[string]string{
		"all inline":           `"pathToCACert":` + pem(certs.CA) + `,"pathToClientCert":` + pem(certs.ClientCert) + `,"pathToPrivateKey":` + pem(certs.ClientKey),
		"the authority only":   `"caCert":` + pem(certs.CA) + fmt.Sprintf(`,"cert":%q,"privateKey":%q`, certs.ClientCert, certs.ClientKey),
		"the certificate only": fmt.Sprintf(`"pathToCACert":%q`, certs.CA) + `,"pathToClientCert":` + pem(certs.ClientCert) + `,"pathToPrivateKey":` + pem(certs.ClientKey),
	} {
		r := run(t, loadPeer(t, m, `{"host":"127.0.0.1","port":%d,"security":{"type":"certificates",`+security+`}}`))
		r.eventually(name, r.IsReady)
		r.stop()
	}
	other := peer.NewCerts(t)
	own := `,"pathToClientCert":` + pem(certs.ClientCert) + `,"pathToPrivateKey":` + pem(certs.ClientKey)
	for name, security := range map[string]string{
		"another authority":          `"pathToCACert":` + pem(other.CA) + own,
		"another authority, by any":  `"insecure":true,"pathToCACert":` + pem(other.CA) + own,
		"another name":               `"serverName":"broker.example","pathToCACert":` + pem(certs.CA) + own,
		"the system's authorities":   `"type":"certificates"` + own,
		"any name, the system's own": `"type":"certificates","insecure":true` + own,
	} {
		h := connectortest.NewHost(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		require.Error(t, loadPeer(t, m, `{"host":"127.0.0.1","port":%d,"security":{`+security+`}}`).Run(ctx, h), name)
		cancel()
		require.False(t, h.IsReady(), name)
	}
	for name, security := range map[string]string{
		"the name does not count":        `"insecure":true,"serverName":"broker.example","pathToCACert":` + pem(certs.CA) + own,
		"the certificate does not count": `"insecureSkipVerify":true,"pathToCACert":` + pem(other.CA) + own,
	} {
		r := run(t, loadPeer(t, m, `{"host":"127.0.0.1","port":%d,"security":{`+security+`}}`))
		r.eventually(name, r.IsReady)
		r.stop()
	}
}

func TestInlineCertificatesThatAreBrokenAreNamed(t *testing.T) {
	certs := peer.NewCerts(t)
	const bad = `"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"`
	for security, want := range map[string]string{
		`"caCert":` + bad: "broker.security: tls: CA file (in the configuration) holds no certificate",
		`"pathToClientCert":` + bad + `,"pathToPrivateKey":` + bad:                         "client certificate (in the configuration), key (in the configuration)",
		fmt.Sprintf(`"pathToClientCert":%s,"pathToPrivateKey":%q`, bad, certs.ClientKey):   "client certificate (in the configuration), key " + certs.ClientKey,
		fmt.Sprintf(`"pathToCACert":%q,"pathToClientCert":%q`, certs.CA, certs.ClientCert): "needs both",
	} {
		_, err := mqtt.Type().New(json.RawMessage(`{"broker":{"host":"h","security":{`+security+`}}}`), connector.Env{Logger: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "AAAA", "keys are in no error")
	}
}

// A certificate that is renewed is used by the next connection.
func TestPeerMosquittoCertificatesAreReadForEachConnection(t *testing.T) {
	certs := peer.NewCerts(t)
	m := startMosquitto(t, peer.Mosquitto{Certs: &certs})
	other := peer.NewCerts(t)
	authority := t.TempDir() + "/ca.crt"
	copyFile(t, other.CA, authority)
	config := fmt.Sprintf(`{"broker":{"host":"127.0.0.1","port":%d,"security":{"pathToCACert":%q,"pathToClientCert":%q,"pathToPrivateKey":%q}}}`,
		m.port(), authority, certs.ClientCert, certs.ClientKey)
	c := load(t, config)
	require.Error(t, c.Run(t.Context(), connectortest.NewHost(t)))
	good, err := os.ReadFile(certs.CA)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(authority, append(good, '\n'), 0o600)) // also the size differs
	ctx, cancel := context.WithCancel(t.Context())
	h := connectortest.NewHost(t)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	h.Eventually(t, "it is ready", h.IsReady)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o600))
}
