package request

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// A loader reads the configuration file.
type loader struct {
	converters map[string]func(config json.RawMessage) (UplinkConverter, error)
	dir        string
	log        *slog.Logger
}

func (l loader) load(r *conf.Reader, doc json.RawMessage) (Config, error) {
	o := r.Root(doc)
	o.Ignore("name", "id", "type", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy")
	o.Unused("useGRPC", "useGRPCForce")
	cfg := Config{
		Host: o.Text("host", ""), Compatible: o.OneOf("compatibility", "", "thingsboard") != "",
		MaxBytes:       o.Int("maxBytes", DefaultMaxBytes, 1, 1<<30),
		MaxConnections: int(o.Int("maxConnections", 0, 0, 1<<16)),
	}
	l.security(o, &cfg)
	for _, m := range o.Objects("mapping") {
		cfg.Endpoints = append(cfg.Endpoints, l.endpoint(m))
	}
	for _, u := range o.Objects("attributeUpdates") {
		cfg.Updates = append(cfg.Updates, attributeUpdateOf(u))
	}
	for _, c := range o.Objects("serverSideRpc") {
		cfg.RPCs = append(cfg.RPCs, rpcOf(c))
	}
	o.Finish()
	if err := r.Done(); err != nil {
		return Config{}, err
	}
	_, err := cfg.withDefaults().compile()
	return cfg, err
}

// security reads the credentials and the certificates. The environment goes before
// the user and the password of the file.
func (l loader) security(top *conf.Object, cfg *Config) {
	verify := top.Flag("SSLVerify", true)
	o := top.Object("security")
	defer o.Finish()
	files := tlsconf.Files{
		Dir: l.dir, CA: o.Text("pathToCACert", ""), Cert: o.Text("pathToCert", ""), Key: o.Text("pathToPrivateKey", ""),
		ServerName: o.Text("serverName", ""), SkipVerify: !verify,
	}
	if !verify {
		top.Warn("SSLVerify", "the certificates of servers are not verified")
	}
	if !verify || files.CA != "" || files.Cert != "" || files.Key != "" || files.ServerName != "" {
		cfg.TLS = l.source(files)
		_, err := cfg.TLS()
		o.Fail("", err)
	}
	user, password := o.Text("username", ""), o.Text("password", "")
	token, file := o.Text("token", ""), o.Text("tokenFile", "")
	client := ClientCredentials{
		TokenURL: o.Text("tokenUrl", ""), ClientID: o.Text("clientId", ""), Secret: o.Text("clientSecret", ""),
		Scope: o.Text("scope", ""), TLS: cfg.TLS,
	}
	switch o.OneOf("type", "anonymous", "anonymous", "basic", "bearer", "oauth2", "tls") {
	case "basic":
		cfg.Auth.User, cfg.Auth.Password = fromEnv("REQUEST_BASIC_USERNAME", user), fromEnv("REQUEST_BASIC_PASSWORD", password)
		if cfg.Auth.User == "" {
			o.Fail("username", errors.New("is missing"))
		}
	case "bearer":
		cfg.Auth.Token = l.token(o, token, file)
	case "oauth2":
		if u, err := parseHost(client.TokenURL); err != nil || u == nil || !absolute(client.TokenURL) {
			o.Fail("tokenUrl", errors.New("is not the URL of an HTTP server"))
		}
		if client.ClientID == "" {
			o.Fail("clientId", errors.New("is missing"))
		}
		cfg.Auth = client.Auth()
	case "tls":
		if files.Cert == "" {
			o.Fail("pathToCert", errors.New("is missing"))
		}
	}
}

// source returns a source of TLS configurations.
func (l loader) source(files tlsconf.Files) func() (*tls.Config, error) {
	log := l.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return files.Source(tlsconf.Report(log))
}

func (l loader) token(o *conf.Object, token, file string) tokenFunc {
	switch {
	case token != "" && file != "":
		o.Fail("token", errors.New("excludes tokenFile"))
	case token != "":
		return Token(token)
	case file == "":
		o.Fail("token", errors.New("is missing"))
	default:
		if !filepath.IsAbs(file) {
			file = filepath.Join(l.dir, file)
		}
		return TokenFile(file)
	}
	return nil
}

func fromEnv(name, def string) string {
	if s := os.Getenv(name); s != "" {
		return s
	}
	return def
}

// request reads what all requests have. The text of the body is not among it.
func request(o *conf.Object, urlKey string) Request {
	r := Request{
		URL:          o.Required(urlKey),
		Method:       o.OneOf("httpMethod", "get", "get", "post", "put", "patch", "delete", "head", "options"),
		Headers:      texts(o, "httpHeaders"),
		Redirects:    o.Flag("allowRedirects", false),
		Timeout:      o.Duration("timeout", time.Second, DefaultTimeout),
		TotalTimeout: o.Duration("totalTimeout", time.Second, DefaultTotalTimeout),
		Tries:        int(o.Int("tries", 1, 1, 100)),
	}
	if !o.Has("totalTimeout") {
		r.TotalTimeout = max(r.TotalTimeout, r.Timeout)
	}
	return r
}

// texts reads an object of texts by names.
func texts(o *conf.Object, key string) map[string]string {
	if !o.Has(key) {
		o.Object(key)
		return nil
	}
	all := o.Object(key)
	m := make(map[string]string)
	for _, name := range all.Keys() {
		m[name] = text(all.Peek(name))
	}
	return m
}

// text returns the contents of a JSON text, and any other JSON as it is.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func attributeUpdateOf(o *conf.Object) AttributeUpdate {
	defer o.Finish()
	o.Unused("converter", "responseTimeout", "SSLVerify")
	u := AttributeUpdate{
		DeviceFilter: o.Text("deviceNameFilter", ".*"), AttributeFilter: o.Text("attributeFilter", ".*"),
		Request: request(o, "requestUrlExpression"),
	}
	u.Request.Body = value(o)
	return u
}

func rpcOf(o *conf.Object) RPC {
	defer o.Finish()
	o.Unused("converter", "SSLVerify")
	c := RPC{
		DeviceFilter: o.Text("deviceNameFilter", ".*"), MethodFilter: o.Text("methodFilter", ".*"),
		Request:      request(o, "requestUrlExpression"),
		Reply:        o.Text("responseValueExpression", ""),
		ReplyTimeout: o.Duration("responseTimeout", time.Second, DefaultReplyTimeout),
	}
	c.Request.Body = value(o)
	return c
}

// value reads the template of a body, whose older name is valueExpression. An object
// counts as its JSON.
func value(o *conf.Object) string {
	old, now := text(o.Raw("valueExpression")), text(o.Raw("requestValueExpression"))
	if now != "" {
		return now
	}
	return old
}
