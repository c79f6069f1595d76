package provision_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/provision"
)

func request(p *platform) provision.Request {
	return provision.Request{
		Broker: "tcp://" + p.addr(), Key: "key", Secret: "secret",
		ShortestBackoff: time.Millisecond, LongestBackoff: 5 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func TestWhatIsNotGivenIsChosenAtRandom(t *testing.T) {
	p := newPlatform(t, nil)
	names := make(map[string]bool)
	for range 3 {
		c, err := provision.Do(t.Context(), request(p))
		require.NoError(t, err)
		require.Equal(t, provision.AccessToken, c.Type)
		require.Regexp(t, `^[a-zA-Z]{15}$`, c.Token)
	}
	for _, m := range p.asked() {
		require.Regexp(t, `^Gateway [a-zA-Z]{5}$`, m.DeviceName)
		require.Equal(t, "ACCESS_TOKEN", m.Type)
		require.True(t, m.Gateway)
		names[m.DeviceName], names[m.Token] = true, true
	}
	require.Len(t, names, 6)

	r := request(p)
	r.Type = provision.MQTTBasic
	c, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	for _, s := range []string{c.ClientID, c.Username, c.Password} {
		require.Regexp(t, `^[a-zA-Z]{15}$`, s)
	}
}

func TestWhatIsGivenIsAskedFor(t *testing.T) {
	p := newPlatform(t, nil)
	r := request(p)
	r.DeviceName, r.Token, r.NotGateway = "Pump", "mine", true
	c, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "mine", c.Token)
	r.DeviceName, r.Type, r.ClientID, r.Username, r.Password = "Boiler", provision.MQTTBasic, "id", "user", "pass"
	c, err = provision.Do(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, provision.Credentials{Type: provision.MQTTBasic, ClientID: "id", Username: "user", Password: "pass"}, c)
	require.Equal(t, []message{
		{DeviceName: "Pump", Key: "key", Secret: "secret", Type: "ACCESS_TOKEN", Token: "mine"},
		{DeviceName: "Boiler", Key: "key", Secret: "secret", Type: "MQTT_BASIC", ClientID: "id", Username: "user", Password: "pass"},
	}, p.asked())
}

// The answer counts: a device that exists keeps its credentials.
func TestThePlatformsCredentialsReplaceTheChosenOnes(t *testing.T) {
	p := newPlatform(t, nil)
	p.setAnswer(func(message) ([]byte, bool) {
		return []byte(`{"credentialsType":"ACCESS_TOKEN","credentialsValue":"theirs","status":"SUCCESS"}`), true
	})
	r := request(p)
	r.Type = provision.MQTTBasic
	c, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, provision.Credentials{Type: provision.AccessToken, Token: "theirs"}, c)
}

func TestX509SendsACertificateThatItSignsItself(t *testing.T) {
	p := newPlatform(t, nil)
	r := request(p)
	r.Type, r.DeviceName, r.CACert = provision.X509, "Plant 1", "ca.pem"
	c, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, c.Certificate, p.asked()[0].Hash)
	require.Equal(t, "ca.pem", c.CACert)
	block, rest := pem.Decode([]byte(c.Certificate))
	require.Empty(t, rest)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.Equal(t, "Plant 1", cert.Subject.CommonName)
	require.Equal(t, elliptic.P256(), cert.PublicKey.(*ecdsa.PublicKey).Curve)
	require.WithinDuration(t, time.Now().AddDate(10, 0, 0), cert.NotAfter, time.Hour)
	require.Empty(t, cert.Subject.Organization)
	_, err = tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key))
	require.NoError(t, err)

	// One's own certificate is sent as it is.
	r.DeviceName, r.Certificate, r.PrivateKey = "Plant 2", c.Certificate, c.Key
	again, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, c, again)
	r.PrivateKey = ""
	_, err = provision.Do(t.Context(), r)
	require.ErrorContains(t, err, "provision: certificate and key: ")
}

func TestARejectionSaysWhy(t *testing.T) {
	p := newPlatform(t, nil)
	r := request(p)
	r.Secret = "wrong"
	_, err := provision.Do(t.Context(), r)
	require.ErrorIs(t, err, provision.ErrRejected)
	require.ErrorContains(t, err, `NOT_FOUND: "Provision data was not found!"`)
	require.NotContains(t, err.Error(), "wrong")
	r = request(p)
	r.DeviceName = "Twice"
	_, err = provision.Do(t.Context(), r)
	require.NoError(t, err)
	_, err = provision.Do(t.Context(), r)
	require.ErrorIs(t, err, provision.ErrRejected)
	require.ErrorContains(t, err, `FAILURE: "Failed to provision device!"`)
}

func TestAnAnswerThatMakesNoSenseIsAnError(t *testing.T) {
	p := newPlatform(t, nil)
	for answer, want := range map[string]string{
		`nonsense`:             "not the JSON",
		`{}`:                   `unknown status ""`,
		`{"status":"SUCCESS"}`: `unknown credentials type ""`,
		`{"status":"SUCCESS","credentialsType":"LWM2M_CREDENTIALS","credentialsValue":"x"}`:    `unknown credentials type "LWM2M`,
		`{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":{}}`:          "no value of ACCESS_TOKEN",
		`{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":""}`:          "no access token",
		`{"status":"SUCCESS","credentialsType":"MQTT_BASIC","credentialsValue":{"a":1}}`:       "neither a client identifier",
		`{"status":"SUCCESS","credentialsType":"X509_CERTIFICATE","credentialsValue":"-----"}`: "key is not known here",
	} {
		p.setAnswer(func(message) ([]byte, bool) { return []byte(answer), true })
		_, err := provision.Do(t.Context(), request(p))
		require.ErrorContains(t, err, want, answer)
		require.ErrorContains(t, err, "provision: ")
	}
}

func TestWaitingForAnAnswerIsBounded(t *testing.T) {
	p := newPlatform(t, nil)
	p.setAnswer(func(message) ([]byte, bool) { return nil, true })
	r := request(p)
	r.Timeout = 200 * time.Millisecond
	_, err := provision.Do(t.Context(), r)
	require.ErrorContains(t, err, "no answer within 200ms")
	p.setAnswer(func(message) ([]byte, bool) { return nil, false })
	r.Timeout = time.Minute
	_, err = provision.Do(t.Context(), r)
	require.ErrorContains(t, err, "connection lost")
	ctx, cancel := context.WithCancel(t.Context())
	p.setAnswer(func(message) ([]byte, bool) { cancel(); return nil, true })
	_, err = provision.Do(ctx, r)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnIncompleteRequestIsAnErrorAtOnce(t *testing.T) {
	for want, r := range map[string]provision.Request{
		"no broker address": {Key: "k", Secret: "s"},
		"key and secret":    {Broker: "tcp://127.0.0.1:1", Key: "k"},
		`type "TOKEN"`:      {Broker: "tcp://127.0.0.1:1", Key: "k", Secret: "s", Type: "TOKEN"},
	} {
		_, err := provision.LoadOrRequest(soon(t), t.TempDir()+"/.credentials", r)
		require.ErrorContains(t, err, want)
	}
}

func TestTheConnectionIsEncryptedAndVerified(t *testing.T) {
	certs := peer.NewCerts(t)
	p := newPlatform(t, &tls.Config{Certificates: []tls.Certificate{certs.Server}, MinVersion: tls.VersionTLS12})
	r := request(p)
	r.Broker = "tls://" + p.addr()
	_, err := provision.Do(t.Context(), r)
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, p.asked())
	r.TLS = &tls.Config{RootCAs: certs.Roots, MinVersion: tls.VersionTLS12}
	_, err = provision.Do(t.Context(), r)
	require.NoError(t, err)
}

func TestApplyMakesAClientUseTheCredentials(t *testing.T) {
	cfg := tbclient.Config{Username: "old", Password: "old", AccessToken: "old", ClientID: "kept"}
	require.NoError(t, provision.Credentials{Type: provision.AccessToken, Token: "t"}.Apply(&cfg))
	require.Equal(t, tbclient.Config{AccessToken: "t", ClientID: "kept"}, cfg)
	require.NoError(t, provision.Credentials{Type: provision.MQTTBasic, ClientID: "c", Username: "u", Password: "p"}.Apply(&cfg))
	require.Equal(t, tbclient.Config{ClientID: "c", Username: "u", Password: "p"}, cfg)

	p := newPlatform(t, nil)
	r := request(p)
	r.Type = provision.X509
	c, err := provision.Do(t.Context(), r)
	require.NoError(t, err)
	base := &tls.Config{ServerName: "platform", MinVersion: tls.VersionTLS13}
	cfg.TLS = base
	require.NoError(t, c.Apply(&cfg))
	require.Equal(t, "platform", cfg.TLS.ServerName)
	require.Len(t, cfg.TLS.Certificates, 1)
	require.Empty(t, base.Certificates, "the caller's own was changed")
	require.Empty(t, cfg.Username)
	cfg.TLS = nil
	require.NoError(t, c.Apply(&cfg))
	require.NotNil(t, cfg.TLS)
	require.Error(t, provision.Credentials{}.Apply(&cfg))
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := provision.Credentials{Type: provision.MQTTBasic, ClientID: "SECRET", Username: "SECRET", Password: "SECRET", Token: "SECRET", Key: "SECRET"}
	r := provision.Request{Key: "SECRET", Secret: "SECRET", Token: "SECRET", Password: "SECRET", PrivateKey: "SECRET"}
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	l.Info("m", "c", c, "r", r)
	text := fmt.Sprintf("%v %+v %s %v %+v", c, c, c, r, r) + log.String()
	require.NotContains(t, text, "SECRET")
}
