package tbconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/tbclient"
)

const (
	defaultPort     = 1883
	tlsPort         = 8883
	proxyPort       = 3128
	defaultAlive    = 120 * time.Second
	maxAliveSecond  = 65535
	defaultIdle     = 50 * time.Second
	defaultCertLook = 24 * time.Hour
)

// A section collects what is wrong with the keys of a section.
type section struct {
	name string
	errs []error
}

func (s *section) bad(key, format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf("%s.%s: "+format, append([]any{s.name, key}, args...)...))
}

// port checks a port, of which zero means otherwise.
func (s *section) port(key string, n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	if n < 1 || n > 65535 {
		s.bad(key, "%d is not a port", n)
	}
	return n
}

// client returns the configuration of the platform client. dir is the folder
// of the file, and state that of what the client keeps.
func (tb *ThingsBoard) client(dir, state string, log *slog.Logger) (tbclient.Config, error) {
	sec := &section{name: "thingsboard"}
	if tb.Host == "" {
		sec.bad("host", "is missing")
	}
	port := sec.port("port", tb.Port, defaultPort)
	c := tbclient.Config{
		KeepAlive:     defaultAlive,
		Version:       tb.MQTTVersion,
		Confirm:       time.Duration(tb.ConfirmSeconds * float64(time.Second)),
		Protobuf:      tb.Protobuf,
		IgnoreRenames: tb.HandleRenaming != nil && !*tb.HandleRenaming,
		KeepUnsynced:  tb.Sync != nil && !*tb.Sync,
		Names:         filepath.Join(state, "renamed_devices.json"),
		Quarantine:    filepath.Join(state, "quarantine.jsonl"),
		Logger:        log,
	}
	tb.bounds(&c, sec)
	tb.rates(&c, sec)
	if tb.ProxyHost != "" {
		at := net.JoinHostPort(tb.ProxyHost, strconv.Itoa(sec.port("proxy_port", tb.ProxyPort, proxyPort)))
		c.Proxy = (&url.URL{Scheme: "http", Host: at}).String()
	}
	if tb.Provisioning == nil && !tb.Security.given() && exists(filepath.Join(dir, credentialsFile)) {
		tb.Provisioning = &Provisioning{}
	}
	encrypted, err := tb.Security.apply(&c, dir, tb.Provisioning != nil)
	if err != nil {
		sec.errs = append(sec.errs, err)
	}
	scheme := "tcp"
	if encrypted || port == tlsPort {
		scheme = "tls"
	}
	c.Broker = scheme + "://" + net.JoinHostPort(tb.Host, strconv.Itoa(port))
	if p := tb.Provisioning; p != nil && !tb.Security.given() {
		if err := p.apply(&c, dir); err != nil {
			sec.errs = append(sec.errs, err)
		}
	}
	return c, errors.Join(sec.errs...)
}

// bounds sets the times and numbers of c.
func (tb *ThingsBoard) bounds(c *tbclient.Config, sec *section) {
	if tb.KeepAlive < 0 || tb.KeepAlive > maxAliveSecond {
		sec.bad("keep_alive", "%d is not between 0 and %d seconds", tb.KeepAlive, maxAliveSecond)
	} else if tb.KeepAlive > 0 {
		c.KeepAlive = time.Duration(tb.KeepAlive) * time.Second
	}
	if v := tb.MQTTVersion; v != 0 && v != 4 && v != 5 {
		sec.bad("mqttVersion", "%d is not 4 (for MQTT 3.1.1) or 5", v)
	}
	if s := tb.ConfirmSeconds; s < 0 || s > 3600 {
		sec.bad("confirmSeconds", "%v is not between 0 and 3600", s)
	}
	if s := tb.Activity.Timeout; tb.Activity.Check && s < 0 {
		sec.bad("checkingDeviceActivity.inactivityTimeoutSeconds", "%d is negative", s)
	}
}

// The rate limits that the original applies to the ThingsBoard cloud.
const (
	cloudMessages   = "10:1,60:60"
	cloudDataPoints = "10:1,300:60"
)

// timeout returns how long a device may be silent; zero: for ever.
func (a Activity) timeout() time.Duration {
	switch {
	case !a.Check:
		return 0
	case a.Timeout > 0:
		return time.Duration(a.Timeout) * time.Second
	default:
		return defaultIdle
	}
}

// rates sets the rate limits of c.
func (tb *ThingsBoard) rates(c *tbclient.Config, sec *section) {
	cloud := strings.Contains(tb.Host, "thingsboard.cloud") || strings.Contains(tb.Host, "demo.thingsboard.io") ||
		strings.Contains(tb.Host, "tb") && strings.Contains(tb.Host, "cloud")
	for _, r := range []struct {
		key   string
		given *string
		cloud string
		set   *string
	}{
		{"messagesRateLimits", tb.MessagesRateLimits, cloudMessages, &c.OwnRates.Messages},
		{"rateLimits", tb.RateLimits, cloudMessages, &c.OwnRates.TelemetryMessages},
		{"dpRateLimits", tb.DataPointRateLimits, cloudDataPoints, &c.OwnRates.DataPoints},
		{"deviceMessagesRateLimits", tb.DeviceMessagesRateLimits, cloudMessages, &c.Rates.Messages},
		{"deviceRateLimits", tb.DeviceRateLimits, cloudMessages, &c.Rates.TelemetryMessages},
		{"deviceDpRateLimits", tb.DeviceDPRateLimits, cloudDataPoints, &c.Rates.DataPoints},
	} {
		switch {
		case r.given != nil && !strings.HasPrefix(*r.given, "DEFAULT_"):
			*r.set = *r.given
			if err := tbclient.CheckRates(*r.given); err != nil {
				sec.bad(r.key, "%w", err)
			}
		case cloud:
			*r.set = r.cloud
		}
	}
}

// given reports whether the section has credentials.
func (s *Security) given() bool {
	return s.Type != "" || s.AccessToken != ""
}

// apply sets the credentials and certificates of c, and reports whether the
// connection is to be encrypted. Without credentials it fails unless they are
// optional.
func (s *Security) apply(c *tbclient.Config, dir string, optional bool) (encrypted bool, err error) {
	encrypted = s.TLS || s.CACert != "" || s.Cert != "" || s.PrivateKey != ""
	if encrypted, err = s.credentials(c, encrypted); err != nil && (s.given() || !optional) {
		return false, err
	}
	if !encrypted {
		return false, nil
	}
	c.TLSFiles = &tbclient.TLSFiles{
		Dir: dir, CA: s.CACert, Cert: s.Cert, Key: s.PrivateKey, SkipVerify: s.Insecure,
		WarnDays: s.DaysLeft, CheckEvery: defaultCertLook,
	}
	if s.CheckPeriod > 0 {
		c.TLSFiles.CheckEvery = time.Duration(s.CheckPeriod) * time.Second
	}
	if err := c.TLSFiles.Check(); err != nil {
		return true, fmt.Errorf("thingsboard.security: %w", err)
	}
	return true, nil
}

// credentials sets those of c, and reports whether they need encryption.
func (s *Security) credentials(c *tbclient.Config, encrypted bool) (bool, error) {
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
		return encrypted || lower(kind) == "tlsaccesstoken", nil
	case "usernamepassword":
		if s.Username == "" && s.ClientID == "" {
			return false, errors.New("thingsboard.security.username: is missing")
		}
		c.Username, c.Password, c.ClientID = s.Username, s.Password, s.ClientID
		return encrypted, nil
	case "tlsprivatekey", "x509certificate":
		if s.Cert == "" || s.PrivateKey == "" {
			return false, errors.New("thingsboard.security: cert and privateKey are needed for the type " + s.Type)
		}
		return true, nil
	case "":
		return encrypted, errors.New("thingsboard.security.type: is missing")
	default:
		return false, fmt.Errorf("thingsboard.security.type: %q is not accessToken, tlsAccessToken, usernamePassword, tlsPrivateKey or x509Certificate", s.Type)
	}
}
