package modbus

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// url returns the URL of a slave's bus, or of the gateway as a slave.
func (f *file) url(o object) string {
	typ, method := strings.ToLower(o.text("type", "tcp")), strings.ToLower(o.text("method", ""))
	switch typ {
	case "tcp", "udp":
		return f.networkURL(o, typ, method)
	case "serial":
		if method != "" && method != "rtu" && method != "ascii" {
			f.r.fail(o.at("method"), "%q is not a method of type serial; rtu and ascii are", method)
			return ""
		}
		return f.serialURL(o, method)
	default:
		f.r.fail(o.at("type"), "%q is not tcp, udp or serial", typ)
		return ""
	}
}

func (f *file) networkURL(o object, medium, method string) string {
	settings, encrypted := f.tls(o)
	if (encrypted || method == "tls") && medium == "udp" {
		f.r.fail(o.at("type"), "TLS runs over type tcp only")
		return ""
	}
	if encrypted || method == "tls" {
		medium = mediumTLS
	}
	scheme := medium
	switch method {
	case "", "socket", "tcp", "udp", "tls":
	case "rtu", "ascii":
		scheme = method + "over" + medium
	default:
		f.r.fail(o.at("method"), "%q is not socket, rtu, ascii or tls", method)
		return ""
	}
	host := o.text("host", "")
	if host == "" {
		f.r.fail(o.at("host"), "missing")
		return ""
	}
	port := 502
	if medium == mediumTLS {
		port = 802
	}
	at := net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(o.integer("port", port, 1, 65535)))
	return (&url.URL{Scheme: scheme, Host: at, RawQuery: settings.Encode()}).String()
}

// tls reads the TLS settings of a slave (key tls), or of the gateway as one (key
// security), and whether there are any.
func (f *file) tls(o object) (settings url.Values, encrypted bool) {
	settings = url.Values{}
	for _, key := range [...]string{"tls", "security"} {
		doc, ok := o.raw(key)
		if !ok {
			continue
		}
		s, ok := f.r.object(o.at(key), doc)
		if !ok || len(s.fields) == 0 {
			continue
		}
		encrypted = true
		s.knows("certfile", "keyfile", "cafile", "password", "serverName", "verify")
		if s.text("password", "") != "" {
			f.r.fail(s.at("password"), "key files with a password are not supported; store the key without one")
		}
		for name, setting := range map[string]string{"certfile": "cert", "keyfile": "key", "cafile": "ca", "serverName": "servername"} {
			if value := s.text(name, ""); value != "" {
				settings.Set(setting, value)
			}
		}
		if s.has("verify") && !s.flag("verify") {
			settings.Set("insecure", "true")
		}
	}
	if encrypted && f.dir != "" {
		settings.Set("dir", f.dir)
	}
	return settings, encrypted
}

func (f *file) serialURL(o object, method string) string {
	path := o.text("port", "")
	if path == "" {
		f.r.fail(o.at("port"), "missing")
		return ""
	}
	q := url.Values{}
	q.Set("baud", strconv.Itoa(o.integer("baudrate", 19200, 50, 4_000_000)))
	q.Set("data", strconv.Itoa(o.integer("bytesize", 8, 5, 8)))
	q.Set("stop", strconv.Itoa(o.integer("stopbits", 1, 1, 2)))
	parity := o.text("parity", "N")
	if _, err := parseParity(parity); err != nil {
		f.r.fail(o.at("parity"), "%w", err)
	}
	q.Set("parity", parity)
	for key, setting := range map[string]string{"handleLocalEcho": "echo", "rs485": "rs485"} {
		if o.flag(key) {
			q.Set(setting, "true")
		}
	}
	scheme := "rtu"
	if method == "ascii" {
		scheme = method
	}
	if strings.HasPrefix(path, "/") {
		return (&url.URL{Scheme: scheme, Path: path, RawQuery: q.Encode()}).String()
	}
	return (&url.URL{Scheme: scheme, Host: path, RawQuery: q.Encode()}).String()
}

// retries reads true as 3 and false as none.
func retries(o object) int {
	doc, ok := o.raw("retries")
	n := 3
	switch s := strings.TrimSpace(string(doc)); {
	case !ok, s == "true":
	case s == "false":
		n = 0
	default:
		n = o.integer("retries", 3, 0, 100)
	}
	if n == 0 {
		return -1
	}
	return n
}

// reconnect reads how a connection is made again. The least that the keys can say is
// that of the reference gateway.
func reconnect(o object) Reconnect {
	if !o.has("connectAttemptTimeMs") && !o.has("connectAttemptCount") && !o.has("waitAfterFailedAttemptsMs") {
		return Reconnect{}
	}
	const least, leastPause, leastAttempts = 500 * time.Millisecond, 30 * time.Second, 2
	r := Reconnect{
		First:    max(o.duration("connectAttemptTimeMs", time.Millisecond, least), least),
		Longest:  max(o.duration("waitAfterFailedAttemptsMs", time.Millisecond, leastPause), leastPause),
		Attempts: max(o.integer("connectAttemptCount", leastAttempts, 0, 1<<30), leastAttempts),
	}
	r.Longest = max(r.Longest, r.First)
	return r
}
