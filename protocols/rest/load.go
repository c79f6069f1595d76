package rest

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A loader reads the configuration file.
type loader struct {
	converters map[string]func(config json.RawMessage) (UplinkConverter, error)
	dir        string
	log        *slog.Logger
}

// load reads a configuration. In older files the keys of "server" and "requestsMapping"
// are at the top.
func (l loader) load(r *conf.Reader, doc json.RawMessage) (Config, error) {
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	o := r.Root(doc)
	o.Ignore("name", "id", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy")
	o.Unused("useGRPC", "useGRPCForce", "debugMode")
	cfg := Config{WrapResults: true, Compatible: o.OneOf("compatibility", "", "thingsboard") != ""}
	server := o
	if o.Has("server") || !o.Has("host") && !o.Has("port") {
		server = o.Object("server")
	}
	l.server(server, &cfg)
	if server != o {
		server.Finish()
	}
	local := !slices.ContainsFunc(cfg.Hosts, func(h string) bool { ip := net.ParseIP(h); return h != "localhost" && (ip == nil || !ip.IsLoopback()) })
	for _, m := range o.Objects("mapping") {
		cfg.Endpoints = append(cfg.Endpoints, l.endpoint(m, local))
	}
	requests := o
	if o.Has("requestsMapping") {
		requests = o.Object("requestsMapping")
	}
	l.requests(requests, &cfg)
	if requests != o {
		requests.Finish()
	}
	if o.Finish(); cfg.TLS != nil && !verifies(server) {
		for i, e := range cfg.Endpoints {
			if e.Auth.Certificate {
				o.Failf(o.Item("mapping", i)+".security", "there is no server.security.ca to verify certificates with")
			}
		}
	}
	if err := r.Done(); err != nil {
		return Config{}, err
	}
	_, err := cfg.withDefaults().compile()
	return cfg, err
}

// verifies reports whether the server verifies certificates of clients.
func verifies(server *conf.Object) bool { return server.Object("security").Has("ca") }

// server reads where to listen, and the limits.
func (l loader) server(o *conf.Object, cfg *Config) {
	if cfg.Hosts = o.Strings("host"); len(cfg.Hosts) == 0 {
		cfg.Hosts = []string{"127.0.0.1"}
	}
	if cfg.Port = int(o.Int("port", DefaultPort, 0, 65535)); cfg.Port == 0 {
		cfg.Port = -1
	}
	cfg.MaxConnections = int(o.Int("maxConnections", DefaultMaxConnections, 1, 1<<20))
	cfg.MaxBody = int(o.Int("maxBodyBytes", DefaultMaxBody, 1, 1<<28))
	cfg.MaxHeader = int(o.Int("maxHeaderBytes", DefaultMaxHeader, 1024, 1<<24))
	cfg.HeaderTimeout = o.Duration("headerTimeout", time.Second, DefaultHeaderTimeout)
	cfg.ReadTimeout = o.Duration("readTimeout", time.Second, DefaultReadTimeout)
	cfg.WriteTimeout = o.Duration("writeTimeout", time.Second, DefaultWriteTimeout)
	cfg.IdleTimeout = o.Duration("idleTimeout", time.Second, DefaultIdleTimeout)
	cfg.StoreTimeout = o.Duration("storeTimeout", time.Second, DefaultStoreTimeout)
	cfg.OpenAPI = o.Text("openApiPath", "")
	cors := o.Object("cors")
	if o.Has("cors") {
		cfg.CORS = new(CORS)
	}
	c := CORS{Origins: cors.Strings("origins"), Headers: cors.Strings("headers"), MaxAge: cors.Duration("maxAge", time.Second, 0)}
	if cors.Finish(); cfg.CORS != nil {
		*cfg.CORS = c
	}
	l.serverTLS(o, cfg)
}

// endpoint reads a path that takes data.
func (l loader) endpoint(o *conf.Object, local bool) Endpoint {
	defer o.Finish()
	if !o.Has("security") && !local {
		o.Warn("security", `is missing: everyone may send data; {"type": "anonymous"} says that this is meant`)
	}
	e := Endpoint{Path: o.Required("endpoint"), Methods: o.Strings("HTTPMethods"), Auth: access(o.Object("security"))}
	resp := o.Object("response")
	defer resp.Finish()
	e.Response = Response{
		Success: resp.Text("successResponse", ""), Failure: resp.Text("unsuccessfulResponse", ""), ContentType: resp.Text("contentType", ""),
		Expected: resp.Flag("responseExpected", false), Attribute: resp.Text("responseAttribute", ""),
		Timeout: resp.Duration("timeout", time.Second, DefaultAnswerTimeout),
	}
	l.converter(o, &e)
	return e
}

// access reads who may use a path.
func access(o *conf.Object) (a Auth) {
	defer o.Finish()
	kind := o.OneOf("type", "anonymous", "anonymous", "basic", "bearer", "certificate")
	user := User{o.Text("username", ""), o.Text("password", "")}
	tokens, names := o.Strings("token"), o.Strings("names")
	switch kind {
	case "basic":
		o.Need("username", "password")
		a.Users = []User{user}
	case "bearer":
		o.Need("token")
		a.Tokens = tokens
	case "certificate":
		a.Certificate, a.Names = true, names
	}
	return a
}

// converter reads the device and the keys of an endpoint, or which converter of the
// program has them.
func (l loader) converter(m *conf.Object, e *Endpoint) {
	o := m.Object("converter")
	defer o.Finish()
	report := conf.ReportPolicy(o, conf.ReportPolicy(m, nil))
	kind := o.OneOf("type", "json", "json", "custom")
	e.Device, report = device(o, report)
	e.Attributes = datapoints(o, "attributes", report)
	e.Timeseries = datapoints(o, "timeseries", report)
	name, config := m.Text("extension", ""), o.Raw("extensionConfig")
	if text := o.Text("extension", ""); text != "" {
		name = text
	}
	if old := o.Raw("extension-config"); config == nil {
		config = old
	}
	switch construct, ok := l.converters[name]; {
	case name == "" && kind == "custom":
		o.Failf("extension", "is missing")
	case name == "" || name == "JsonRESTUplinkConverter" && !ok:
	case !ok:
		known := slices.Sorted(maps.Keys(l.converters))
		o.Fail("extension", fmt.Errorf("no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", ")))
	default:
		c, err := construct(config)
		o.Fail("extensionConfig", err)
		e.Converter = c
	}
}

// device reads "deviceInfo", or the keys that older files have instead.
func device(o *conf.Object, outer *telemetry.ReportPolicy) (DeviceInfo, *telemetry.ReportPolicy) {
	info := o.Object("deviceInfo")
	defer info.Finish()
	d := DeviceInfo{expression(info, "deviceNameExpression"), expression(info, "deviceProfileExpression")}
	name, profile := o.Text("deviceNameExpression", ""), o.Text("deviceTypeExpression", "")
	if d.Name.Text == "" {
		d.Name = Expression{name, !strings.Contains(name, "${")}
	}
	if d.Profile.Text == "" && profile != "" {
		d.Profile = Expression{profile, !strings.Contains(profile, "${")}
	}
	if d.Profile.Text == "" {
		d.Profile = Expression{"default", true}
	}
	return d, conf.ReportPolicy(info, outer)
}

func expression(o *conf.Object, key string) Expression {
	return Expression{o.Text(key, ""), o.OneOf(key+"Source", "request", "request", "constant") == "constant"}
}

// datapoints reads a list of keys. One without a name or a value costs only itself.
func datapoints(o *conf.Object, key string, report *telemetry.ReportPolicy) (list []Datapoint) {
	for _, p := range o.Objects(key) {
		d := Datapoint{
			Key: p.Text("key", ""), Value: p.Text("value", ""), Type: p.Text("type", ""),
			TimeField: p.Text("tsField", ""), DayFirst: p.Flag("dayfirst", false), YearFirst: p.Flag("yearfirst", false),
			Report: conf.ReportPolicy(p, report),
		}
		p.Finish()
		switch {
		case d.Key == "":
			p.Warn("key", "is missing; the datapoint is left out")
		case d.Value == "":
			p.Warn("value", "is missing; the datapoint is left out")
		default:
			list = append(list, d)
		}
	}
	return list
}

// requests reads what devices ask for, and what is sent to them.
func (l loader) requests(o *conf.Object, cfg *Config) {
	for _, q := range o.Objects("attributeRequests") {
		cfg.AttributeRequests = append(cfg.AttributeRequests, AttributeRequest{
			Path: q.Required("endpoint"), Methods: q.Strings("HTTPMethods"), Auth: access(q.Object("security")),
			Client:  q.OneOf("type", "shared", "shared", "client") == "client",
			Timeout: q.Duration("timeout", time.Second, DefaultTimeout),
			Device:  q.Required("deviceNameExpression"), Names: q.Required("attributeNameExpression"),
		})
		q.Finish()
	}
	for _, u := range o.Objects("attributeUpdates") {
		a := AttributeUpdate{DeviceFilter: u.Text("deviceNameFilter", ""), AttributeFilter: u.Text("attributeFilter", ""), Request: l.request(u)}
		if a.URL != "" {
			cfg.AttributeUpdates = append(cfg.AttributeUpdates, a)
		}
		u.Finish()
	}
	for _, c := range o.Objects("serverSideRpc") {
		c.Unused("responseTimeout") // timeout is the time for the answer
		a := RPC{DeviceFilter: c.Text("deviceNameFilter", ""), MethodFilter: c.Text("methodFilter", ""), Request: l.request(c)}
		if a.URL != "" {
			cfg.RPCs = append(cfg.RPCs, a)
		}
		c.Finish()
	}
}

// request reads a request to make. One without a URL costs only itself.
func (l loader) request(o *conf.Object) Request {
	o.Unused("extension") // the template is all that there is
	q := Request{
		URL: o.Text("requestUrlExpression", ""), Method: o.Text("HTTPMethod", "GET"), Value: o.Text("valueExpression", ""),
		Timeout: o.Duration("timeout", time.Second, DefaultTimeout), Tries: int(o.Int("tries", 1, 1, 100)),
		Redirects: o.Flag("allowRedirects", false),
	}
	headers := o.Object("httpHeaders")
	for _, key := range headers.Keys() {
		if q.Headers == nil {
			q.Headers = make(map[string]string)
		}
		value := fieldText(headers.Peek(key))
		if strings.ContainsAny(key+value, "\r\n") {
			o.Fail("httpHeaders", errors.New("a header has a line break"))
		}
		q.Headers[key] = value
	}
	s := o.Object("security")
	defer s.Finish()
	verify := o.Flag("SSLVerify", true)
	kind := s.OneOf("type", "anonymous", "anonymous", "basic", "cert")
	user := User{s.Text("username", ""), s.Text("password", "")}
	if kind == "basic" {
		s.Need("username", "password")
		q.User = &user
	}
	q.TLS = l.clientTLS(o, s, kind, verify)
	if q.URL == "" {
		o.Warn("requestUrlExpression", "is missing; the request is left out")
	}
	return q
}

func (l loader) clientTLS(o, s *conf.Object, kind string, verify bool) func() (*tls.Config, error) {
	files := l.files(s)
	files.SkipVerify = !verify
	if kind == "cert" {
		s.Need("cert", "key")
	}
	if verify && files.CA == "" && files.Cert == "" {
		return nil
	}
	if !verify {
		o.Warn("SSLVerify", "the server's certificate is not verified")
	}
	source := files.Source(l.report())
	_, err := source()
	s.Fail("", err)
	return source
}
