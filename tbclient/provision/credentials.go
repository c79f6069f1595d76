package provision

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gridlinks/iot-gateway/tbclient"
)

// Credentials are what a device connects with. Type says which of the others
// matter.
type Credentials struct {
	Type Type

	Token string // AccessToken

	ClientID, Username, Password string // MQTTBasic

	Certificate, Key string // X509, in PEM

	// CACert is the name of the file with the authority that has signed the
	// platform's certificate, which the Python gateway keeps with the
	// credentials. Nothing here reads that file. Empty: none.
	CACert string
}

// String tells nothing secret.
func (c Credentials) String() string { return string(c.Type) + " credentials" }

// LogValue implements slog.LogValuer, and tells nothing secret.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Apply makes cfg connect with the credentials. For X509 it replaces cfg.TLS by
// a copy that has the certificate, which makes the connection encrypted.
func (c Credentials) Apply(cfg *tbclient.Config) error {
	if err := c.check(); err != nil {
		return err
	}
	cfg.AccessToken, cfg.Username, cfg.Password = "", "", ""
	switch c.Type {
	case AccessToken:
		cfg.AccessToken = c.Token
	case MQTTBasic:
		cfg.ClientID, cfg.Username, cfg.Password = c.ClientID, c.Username, c.Password
	case X509:
		config, err := c.tls(cfg.TLS)
		if err != nil {
			return err
		}
		cfg.TLS = config
	}
	return nil
}

// tls returns a copy of base with the certificate.
func (c *Credentials) tls(base *tls.Config) (*tls.Config, error) {
	pair, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key))
	if err != nil {
		return nil, fmt.Errorf("provision: certificate and key: %w", err)
	}
	if base == nil {
		base = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config := base.Clone()
	config.Certificates = []tls.Certificate{pair}
	config.GetClientCertificate = nil
	return config, nil
}

// check reports what is missing for a connection.
func (c Credentials) check() error {
	switch c.Type {
	case AccessToken:
		if c.Token == "" {
			return errors.New("provision: the credentials have no access token")
		}
	case MQTTBasic:
		if c.ClientID == "" && c.Username == "" {
			return errors.New("provision: the credentials have neither a client identifier nor a user name")
		}
	case X509:
		_, err := c.tls(nil)
		return err
	default:
		return fmt.Errorf("provision: unknown credentials type %q", c.Type)
	}
	return nil
}

// ErrRejected says that the platform has refused the request: the key or secret
// is wrong, or the device exists, or does not where it has to. Asking again does
// not help.
var ErrRejected = errors.New("provision: the platform rejects the request")

// An answer is what the platform sends, and what the file of the credentials
// holds.
type answer struct {
	Status string          `json:"status"` // SUCCESS, FAILURE or NOT_FOUND
	Type   Type            `json:"credentialsType,omitempty"`
	Value  json.RawMessage `json:"credentialsValue,omitempty"`
	Error  string          `json:"errorMsg,omitempty"`
	CACert *string         `json:"caCert,omitempty"` // not from the platform
}

// A basic is the value of MQTT_BASIC credentials.
type basic struct {
	ClientID string `json:"clientId"`
	Username string `json:"userName"`
	Password string `json:"password"`
}

// parse returns the credentials in an answer. Those of X509 are without their
// certificate and key.
func parse(msg []byte) (Credentials, error) {
	var a answer
	if err := json.Unmarshal(msg, &a); err != nil {
		return Credentials{}, errors.New("provision: the answer is not the JSON that it should be")
	}
	switch a.Status {
	case "SUCCESS":
	case "FAILURE", "NOT_FOUND":
		return Credentials{}, fmt.Errorf("%w: %s: %q", ErrRejected, a.Status, clip(a.Error))
	default:
		return Credentials{}, fmt.Errorf("provision: the answer has the unknown status %q", clip(a.Status))
	}
	c := Credentials{Type: a.Type}
	if a.CACert != nil {
		c.CACert = *a.CACert
	}
	var err error
	switch a.Type {
	case AccessToken:
		err = json.Unmarshal(a.Value, &c.Token)
	case MQTTBasic:
		var b basic
		err = json.Unmarshal(a.Value, &b)
		c.ClientID, c.Username, c.Password = b.ClientID, b.Username, b.Password
	case X509:
		return c, nil // the value repeats the certificate
	default:
		return Credentials{}, fmt.Errorf("provision: the answer has the unknown credentials type %q", clip(string(a.Type)))
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("provision: the answer has no value of %s credentials", a.Type)
	}
	return c, c.check()
}

// clip bounds what is quoted of an answer.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// answer returns the credentials as an answer of the platform.
func (c *Credentials) answer() ([]byte, error) {
	a := answer{Status: "SUCCESS", Type: c.Type}
	var value any
	switch c.Type {
	case AccessToken:
		value = c.Token
	case MQTTBasic:
		value = basic{c.ClientID, c.Username, c.Password}
	default:
		value = c.Certificate
	}
	if c.CACert != "" || c.Type == X509 { // the Python gateway insists on it
		a.CACert = &c.CACert
	}
	var err error
	if a.Value, err = json.Marshal(value); err != nil {
		return nil, err
	}
	return json.Marshal(a)
}
