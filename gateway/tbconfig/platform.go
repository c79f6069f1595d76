package tbconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/tbclient"
)

const (
	defaultPort    = 1883
	tlsPort        = 8883
	defaultAlive   = 120 * time.Second
	maxAliveSecond = 65535
)

// client returns the configuration of the platform client. dir is the folder
// of the file.
func (tb ThingsBoard) client(dir string, log *slog.Logger) (tbclient.Config, error) {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("thingsboard.%s: "+format, append([]any{key}, args...)...))
	}
	if tb.Host == "" {
		bad("host", "is missing")
	}
	port := tb.Port
	if port == 0 {
		port = defaultPort
	}
	if port < 1 || port > 65535 {
		bad("port", "%d is not a port", port)
	}
	if tb.KeepAlive < 0 || tb.KeepAlive > maxAliveSecond {
		bad("keep_alive", "%d is not between 0 and %d seconds", tb.KeepAlive, maxAliveSecond)
	}
	c := tbclient.Config{KeepAlive: defaultAlive, Logger: log}
	if tb.KeepAlive > 0 {
		c.KeepAlive = time.Duration(tb.KeepAlive) * time.Second
	}
	encrypted, err := tb.Security.apply(&c, dir)
	if err != nil {
		errs = append(errs, err)
	}
	scheme := "tcp"
	if encrypted || port == tlsPort {
		scheme = "tls"
	}
	c.Broker = scheme + "://" + net.JoinHostPort(tb.Host, strconv.Itoa(port))
	return c, errors.Join(errs...)
}

// apply sets the credentials and certificates of c, and reports whether the
// connection is to be encrypted.
func (s Security) apply(c *tbclient.Config, dir string) (encrypted bool, err error) {
	encrypted = s.TLS || s.CACert != "" || s.Cert != "" || s.PrivateKey != ""
	kind := s.Type
	if kind == "" && s.AccessToken != "" {
		kind = "accessToken"
	}
	switch lower(kind) {
	case "accesstoken", "tlsaccesstoken":
		if s.AccessToken == "" {
			return false, errors.New("thingsboard.security.accessToken: is missing")
		}
		c.AccessToken = s.AccessToken
		encrypted = encrypted || lower(kind) == "tlsaccesstoken"
	case "usernamepassword":
		if s.Username == "" && s.ClientID == "" {
			return false, errors.New("thingsboard.security.username: is missing")
		}
		c.Username, c.Password, c.ClientID = s.Username, s.Password, s.ClientID
	case "tlsprivatekey", "x509certificate":
		if s.Cert == "" || s.PrivateKey == "" {
			return false, errors.New("thingsboard.security: cert and privateKey are needed for the type " + s.Type)
		}
		encrypted = true
	case "":
		return false, errors.New("thingsboard.security.type: is missing")
	default:
		return false, fmt.Errorf("thingsboard.security.type: %q is not accessToken, tlsAccessToken, usernamePassword, tlsPrivateKey or x509Certificate", s.Type)
	}
	if !encrypted {
		return false, nil
	}
	c.TLS, err = tlsconf.Files{Dir: dir, CA: s.CACert, Cert: s.Cert, Key: s.PrivateKey, SkipVerify: s.Insecure}.Config()
	if err != nil {
		return true, fmt.Errorf("thingsboard.security: %w", err)
	}
	return true, nil
}
