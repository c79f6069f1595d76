package tbtest_test

import (
	"crypto/tls"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// provisioning is a server that provisions devices, besides its own gateway.
func provisioning(t *testing.T) *tbtest.Server {
	t.Helper()
	return start(t, tbtest.Config{Token: token, Provision: &tbtest.Provision{Key: "pk", Secret: "ps"}})
}

// askFor is a request for provisioning, and its answer.
func askFor(fields, answer string) table.Step {
	return publish("/provision/request", `{"provisionDeviceKey":"pk","provisionDeviceSecret":"ps",`+fields+`}`,
		"PUBACK", "PUBLISH /provision/response "+answer)
}

func provisionLogin() table.Login {
	return table.Login{Username: "provision", Want: []string{"CONNACK 0"}}
}

func TestProvisionedTokenIsACredential(t *testing.T) {
	both(t, func(t *testing.T, version byte) {
		srv := provisioning(t)
		unknown := table.Login{Username: "fresh", Want: []string{"CONNACK 134", "closed"}, Want3: []string{"CONNACK 5", "closed"}}
		converse(t, srv, version, unknown)
		converse(t, srv, version, provisionLogin(), askFor(`"deviceName":"gw","credentialsType":"ACCESS_TOKEN","token":"fresh","gateway":true`,
			`{"credentialsType":"ACCESS_TOKEN","credentialsValue":"fresh","status":"SUCCESS"}`))
		require.Equal(t, []tbtest.Provisioned{{Name: "gw", Gateway: true}}, srv.Provisioned())
		converse(t, srv, version, table.Login{Username: "fresh"}, publish("v1/gateway/connect", `{"device":"$d"}`, "PUBACK"))
		converse(t, srv, version, table.Login{}, publish("v1/gateway/connect", `{"device":"$d"}`, "PUBACK"))
	})
}

func TestProvisionedDeviceIsNoGatewayUnlessAsked(t *testing.T) {
	srv := provisioning(t)
	converse(t, srv, mqtt3, provisionLogin(), askFor(`"deviceName":"d","token":"fresh","credentialsType":"ACCESS_TOKEN"`, `"$any"`))
	converse(t, srv, mqtt3, table.Login{Username: "fresh"}, publish("v1/gateway/connect", `{"device":"x"}`),
		publish("v1/devices/me/telemetry", `{"a":1}`, "PUBACK"))
	_, known := srv.Device("x")
	require.False(t, known)
}

func TestProvisionedBasicCredentials(t *testing.T) {
	srv := provisioning(t)
	converse(t, srv, mqtt5, provisionLogin(), askFor(`"credentialsType":"MQTT_BASIC","clientId":"c","username":"u","password":"p"`,
		`{"credentialsType":"MQTT_BASIC","credentialsValue":{"clientId":"c","userName":"u","password":"p"},"status":"SUCCESS"}`))
	converse(t, srv, mqtt5, table.Login{ClientID: "c", Username: "u", Password: "p"})
	for _, l := range []table.Login{{ClientID: "other", Username: "u", Password: "p"}, {ClientID: "c", Username: "u", Password: "other"}} {
		l.Want = []string{"CONNACK 134", "closed"}
		converse(t, srv, mqtt5, l)
	}
	require.NotEmpty(t, srv.Provisioned()[0].Name, "the platform chooses a name")
}

func TestProvisionedCertificateMustMatch(t *testing.T) {
	certs, others := peer.NewCerts(t), peer.NewCerts(t)
	srv := start(t, tbtest.Config{
		Token: token, Provision: &tbtest.Provision{Key: "pk", Secret: "ps"},
		TLS: &tls.Config{Certificates: []tls.Certificate{certs.Server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12},
	})
	login := loginsOf(certs)
	refused(t, srv, login(certs.Client))
	provisionCertificate(t, srv, login(), certs.ClientCert)

	dial(t, srv, login(certs.Client))
	refused(t, srv, login(others.Client))
	withToken := login(others.Client)
	withToken.Username = token
	refused(t, srv, withToken) // a certificate counts alone
	withToken = login()
	withToken.Username = token
	dial(t, srv, withToken)
}

// TestVerifiedCertificatesCountUntilOneIsProvisioned uses the server's pair as
// another client's.
func TestVerifiedCertificatesCountUntilOneIsProvisioned(t *testing.T) {
	certs := peer.NewCerts(t)
	srv := start(t, tbtest.Config{
		Token: token, Provision: &tbtest.Provision{Key: "pk", Secret: "ps"},
		TLS: &tls.Config{
			Certificates: []tls.Certificate{certs.Server}, MinVersion: tls.VersionTLS12,
			ClientCAs: certs.Roots, ClientAuth: tls.VerifyClientCertIfGiven,
		},
	})
	login := loginsOf(certs)
	dial(t, srv, login(certs.Server))
	provisionCertificate(t, srv, login(), certs.ClientCert)
	dial(t, srv, login(certs.Client))
	refused(t, srv, login(certs.Server))
}

// loginsOf returns logins that show a certificate, or none.
func loginsOf(certs peer.Certs) func(pair ...tls.Certificate) mqttx.Options {
	return func(pair ...tls.Certificate) mqttx.Options {
		return mqttx.Options{TLS: &tls.Config{RootCAs: certs.Roots, Certificates: pair, MinVersion: tls.VersionTLS12}}
	}
}

func refused(t *testing.T, srv *tbtest.Server, o mqttx.Options) {
	t.Helper()
	o.Broker = srv.URL()
	_, err := mqttx.Dial(within(t, patience), o)
	require.True(t, mqttx.IsRefused(err), err)
}

// provisionCertificate has a gateway provisioned that shows a certificate.
func provisionCertificate(t *testing.T, srv *tbtest.Server, o mqttx.Options, file string) {
	t.Helper()
	pem, err := os.ReadFile(file)
	require.NoError(t, err)
	answers := make(chan mqttx.Message, 1)
	o.Username, o.Receive = "provision", func(m mqttx.Message) { m.Ack(); answers <- m }
	c := dial(t, srv, o)
	request, err := json.Marshal(map[string]any{
		"provisionDeviceKey": "pk", "provisionDeviceSecret": "ps", "credentialsType": "X509_CERTIFICATE", "hash": string(pem), "gateway": true,
	})
	require.NoError(t, err)
	require.NoError(t, c.Publish("/provision/request", 1, false, request).Wait(within(t, patience)))
	want, err := json.Marshal(map[string]string{"credentialsType": "X509_CERTIFICATE", "credentialsValue": string(pem), "status": "SUCCESS"})
	require.NoError(t, err)
	require.JSONEq(t, string(want), string((<-answers).Payload))
}

func TestRequestsForProvisioningThatFail(t *testing.T) {
	srv := start(t, tbtest.Config{Provision: &tbtest.Provision{Key: "pk", Secret: "ps", Fail: true}})
	failure := `{"errorMsg":"$any","status":"FAILURE"}`
	converse(t, srv, mqtt5, provisionLogin(), askFor(`"deviceName":"d"`, failure),
		askFor(`"credentialsType":"X509_CERTIFICATE","hash":"no certificate"`, failure),
		publish("/provision/request", `{"provisionDeviceKey":"pk","provisionDeviceSecret":"other"}`, "PUBACK", `PUBLISH /provision/response {"errorMsg":"$any","status":"NOT_FOUND"}`))
	for _, bad := range []string{
		`[]`, `{}`, `{"provisionDeviceKey":"pk"}`,
		`{"provisionDeviceKey":"pk","provisionDeviceSecret":"ps","credentialsType":"ACCESS_TOKEN"}`,
		`{"provisionDeviceKey":"pk","provisionDeviceSecret":"ps","credentialsType":"MQTT_BASIC"}`,
		`{"provisionDeviceKey":"pk","provisionDeviceSecret":"ps","credentialsType":"X509_CERTIFICATE"}`,
		`{"provisionDeviceKey":"pk","provisionDeviceSecret":"ps","credentialsType":"LWM2M_CREDENTIALS"}`,
	} {
		converse(t, srv, mqtt5, provisionLogin(), publish("/provision/request", bad, "PUBACK 131", "closed"))
	}
	require.Empty(t, srv.Provisioned())
}

func TestProvisioningSessionsEnd(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, Provision: &tbtest.Provision{Key: "pk", Secret: "ps", Lifetime: time.Millisecond}})
	converse(t, srv, mqtt5, table.Login{Username: "provision", Want: []string{"CONNACK 0", "closed"}})
}

func TestProvisioningSessionIsNoGateway(t *testing.T) {
	srv := provisioning(t)
	dial(t, srv, mqttx.Options{Username: "provision"})
	_, err := srv.CallGateway(within(t, time.Second), "m", nil)
	require.ErrorContains(t, err, "no gateway")
}
