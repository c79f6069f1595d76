package modbus

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// url returns the URL of a slave's bus, or of the gateway as a slave, at host if the
// object names none.
func (f *file) url(o *conf.Object, host string) string {
	switch typ := o.OneOf("type", mediumTCP, mediumTCP, mediumUDP, mediumSerial); typ {
	case mediumSerial:
		return serialURL(o, o.OneOf("method", frameRTU, frameRTU, frameASCII))
	default:
		return f.networkURL(o, typ, host)
	}
}

func (f *file) networkURL(o *conf.Object, medium, host string) string {
	method := o.OneOf("method", "socket", "socket", frameRTU, frameASCII, mediumTLS, mediumTCP, mediumUDP)
	settings, encrypted := f.tls(o)
	if encrypted || method == mediumTLS {
		if medium == mediumUDP {
			o.Failf("type", "TLS runs over type tcp only")
		}
		medium = mediumTLS
	}
	scheme := medium
	if method == frameRTU || method == frameASCII {
		scheme = method + "over" + medium
	}
	if host == "" {
		host = o.Required("host")
	} else {
		host = o.Text("host", host)
	}
	port := int64(502)
	if medium == mediumTLS {
		port = 802
	}
	o.Unused("baudrate", "bytesize", "stopbits", "parity", "handleLocalEcho", "rs485")
	at := net.JoinHostPort(strings.Trim(host, "[]"), strconv.FormatInt(o.Int("port", port, 1, 65535), 10))
	return (&url.URL{Scheme: scheme, Host: at, RawQuery: settings.Encode()}).String()
}

// tls reads the TLS settings of a slave (key tls), or of the gateway as one (key
// security), and whether there are any.
func (f *file) tls(o *conf.Object) (settings url.Values, encrypted bool) {
	settings = url.Values{}
	for _, key := range [...]string{"tls", "security"} {
		s := o.Object(key)
		encrypted = encrypted || !s.Empty()
		if s.Text("password", "") != "" {
			s.Failf("password", "key files with a password are not supported; store the key without one")
		}
		for name, setting := range map[string]string{"certfile": "cert", "keyfile": "key", "cafile": "ca", "serverName": "servername"} {
			if value := s.Text(name, ""); value != "" {
				settings.Set(setting, value)
			}
		}
		if !s.Flag("verify", true) {
			settings.Set("insecure", "true")
		}
		s.Finish()
	}
	if encrypted && f.dir != "" {
		settings.Set("dir", f.dir)
	}
	return settings, encrypted
}

func serialURL(o *conf.Object, scheme string) string {
	o.Unused("host", "tls", "security")
	path := o.Required("port")
	q := url.Values{}
	q.Set("baud", strconv.FormatInt(o.Int("baudrate", 19200, 50, 4_000_000), 10))
	q.Set("data", strconv.FormatInt(o.Int("bytesize", 8, 5, 8), 10))
	q.Set("stop", strconv.FormatInt(o.Int("stopbits", 1, 1, 2), 10))
	q.Set("parity", o.OneOf("parity", "n", "n", "e", "o", "none", "even", "odd"))
	for key, setting := range map[string]string{"handleLocalEcho": "echo", "rs485": "rs485"} {
		if o.Flag(key, false) {
			q.Set(setting, "true")
		}
	}
	if strings.HasPrefix(path, "/") {
		return (&url.URL{Scheme: scheme, Path: path, RawQuery: q.Encode()}).String()
	}
	return (&url.URL{Scheme: scheme, Host: path, RawQuery: q.Encode()}).String()
}

// retries reads true as 3 and false as none.
func retries(o *conf.Object) int {
	n := 3
	switch strings.ToLower(strings.Trim(string(o.Raw("retries")), `"`)) {
	case "true":
		o.Flag("retries", true)
	case "false":
		o.Flag("retries", true)
		n = 0
	default:
		n = int(o.Int("retries", 3, 0, 100))
	}
	if n == 0 {
		return -1
	}
	return n
}

// reconnect reads how a connection is made again. The least that the keys can say is
// that of the reference gateway.
func reconnect(o *conf.Object) Reconnect {
	const least, leastPause, leastAttempts = 500 * time.Millisecond, 30 * time.Second, 2
	r := Reconnect{
		First:    max(o.Duration("connectAttemptTimeMs", time.Millisecond, least), least),
		Longest:  max(o.Duration("waitAfterFailedAttemptsMs", time.Millisecond, leastPause), leastPause),
		Attempts: max(int(o.Int("connectAttemptCount", leastAttempts, 0, 1<<30)), leastAttempts),
	}
	if !o.Has("connectAttemptTimeMs") && !o.Has("connectAttemptCount") && !o.Has("waitAfterFailedAttemptsMs") {
		return Reconnect{}
	}
	r.Longest = max(r.Longest, r.First)
	return r
}
