package provision

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Type is a kind of credentials. Its text is the platform's.
type Type string

// The types that a gateway can use.
const (
	AccessToken Type = "ACCESS_TOKEN"
	MQTTBasic   Type = "MQTT_BASIC"
	X509        Type = "X509_CERTIFICATE"
)

// A Request asks a platform for a device. Broker, Key and Secret are required.
type Request struct {
	// Broker is scheme://host[:port] with scheme tcp, tls, ws or wss, such as
	// "tls://demo.thingsboard.io:8883". Without encryption, whoever listens
	// learns the secret and the credentials.
	Broker string
	TLS    *tls.Config // as in tbclient.Config
	Proxy  string      // URL of an http, https or socks5 proxy; empty: none

	Key    string // provisioning key of the device profile
	Secret string // and its provisioning secret

	// DeviceName is the name that the device has or gets. Empty: "Gateway " and
	// five random letters.
	DeviceName string

	// NotGateway asks for a plain device, in place of one that is a gateway.
	NotGateway bool

	// Type is the kind of credentials to ask for. Zero: AccessToken. What is
	// empty of those below is chosen at random: 15 letters, or for X509 a P-256
	// key with a certificate that it signs itself, for the device's name and ten
	// years.
	Type                         Type
	Token                        string // for AccessToken
	ClientID, Username, Password string // for MQTTBasic
	Certificate, PrivateKey      string // for X509, in PEM; both or neither

	// CACert is kept in the credentials as it is: see [Credentials].
	CACert string

	// Timeout is how long one attempt may take, the connection included. Zero:
	// 60 seconds.
	Timeout time.Duration

	// ShortestBackoff and LongestBackoff bound the delay between the attempts of
	// LoadOrRequest. Zero: one second and one minute.
	ShortestBackoff time.Duration
	LongestBackoff  time.Duration

	Logger *slog.Logger // zero: slog.Default()
}

// String tells nothing secret.
func (r Request) String() string {
	return fmt.Sprintf("%s credentials for %q", r.Type, r.DeviceName)
}

// LogValue implements slog.LogValuer, and tells nothing secret.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// chosen returns r with everything that is to be chosen.
func (r Request) chosen() (Request, error) {
	switch {
	case r.Broker == "":
		return r, errors.New("provision: no broker address")
	case r.Key == "" || r.Secret == "":
		return r, errors.New("provision: the provisioning key and secret are required")
	}
	if r.Timeout <= 0 {
		r.Timeout = time.Minute
	}
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	if r.DeviceName == "" {
		r.DeviceName = "Gateway " + letters(5)
	}
	if r.Type == "" {
		r.Type = AccessToken
	}
	switch r.Type {
	case AccessToken:
		choose(&r.Token)
	case MQTTBasic:
		choose(&r.ClientID)
		choose(&r.Username)
		choose(&r.Password)
	case X509:
		return r, r.chooseCertificate()
	default:
		return r, fmt.Errorf("provision: unknown credentials type %q", r.Type)
	}
	return r, nil
}

func (r *Request) chooseCertificate() (err error) {
	if r.Certificate == "" && r.PrivateKey == "" {
		r.Certificate, r.PrivateKey, err = selfSigned(r.DeviceName, time.Now())
		return err
	}
	return r.own().check()
}

// own returns the credentials that the request asks for.
func (r *Request) own() Credentials {
	c := Credentials{Type: r.Type, CACert: r.CACert}
	switch r.Type {
	case AccessToken:
		c.Token = r.Token
	case MQTTBasic:
		c.ClientID, c.Username, c.Password = r.ClientID, r.Username, r.Password
	case X509:
		c.Certificate, c.Key = r.Certificate, r.PrivateKey
	}
	return c
}

// message returns the request as it is sent.
func (r *Request) message() ([]byte, error) {
	own := r.own()
	return json.Marshal(struct {
		DeviceName string `json:"deviceName"`
		Key        string `json:"provisionDeviceKey"`
		Secret     string `json:"provisionDeviceSecret"`
		Type       Type   `json:"credentialsType"`
		Token      string `json:"token,omitempty"`
		ClientID   string `json:"clientId,omitempty"`
		Username   string `json:"username,omitempty"`
		Password   string `json:"password,omitempty"`
		Hash       string `json:"hash,omitempty"` // the certificate, despite its name
		Gateway    bool   `json:"gateway,omitempty"`
	}{
		r.DeviceName, r.Key, r.Secret, r.Type,
		own.Token, own.ClientID, own.Username, own.Password, own.Certificate, !r.NotGateway,
	})
}

func choose(s *string) {
	if *s == "" {
		*s = letters(15)
	}
}

// letters returns n random letters.
func letters(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	text := make([]byte, 0, n)
	var b [32]byte
	for len(text) < n {
		_, _ = rand.Read(b[:]) // never fails
		for _, x := range b {
			if i := int(x & 63); i < len(alphabet) && len(text) < n {
				text = append(text, alphabet[i])
			}
		}
	}
	return string(text)
}
