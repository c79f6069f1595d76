package ftp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A loader reads the configuration file.
type loader struct {
	converters map[string]func(config json.RawMessage) (UplinkConverter, error)
	server     ServerReader
}

// Load reads a configuration. In older files the keys of "parameters" and
// "requestsMapping" are at the top, and values of tables are always text.
func (l loader) Load(r *conf.Reader, doc json.RawMessage, env connector.Env) (Config, error) {
	o := r.Root(doc)
	o.Ignore("name", "id", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy")
	o.Unused("useGRPC", "useGRPCForce")
	cfg := Config{Compatible: o.OneOf("compatibility", "", "thingsboard") != ""}
	if cfg.State = o.Text("stateFile", ""); cfg.State != "" && !filepath.IsAbs(cfg.State) {
		cfg.State = filepath.Join(env.Dir, cfg.State)
	}
	old := !o.Has("parameters") && o.Has("host")
	s := o
	if !old {
		s = o.Object("parameters")
	}
	security := s.Object("security")
	log := env.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg.Timeout = s.Duration("timeout", time.Second, DefaultTimeout)
	l.server(s, security, &cfg, env.Dir, log)
	security.Finish()
	for _, p := range o.Objects("paths") {
		cfg.Paths = append(cfg.Paths, l.path(p, old))
	}
	requests := o
	if o.Has("requestsMapping") || !o.Has("attributeUpdates") && !o.Has("serverSideRpc") {
		requests = o.Object("requestsMapping")
	}
	readRequests(requests, &cfg)
	for _, part := range []*conf.Object{s, requests} {
		if part != o {
			part.Finish()
		}
	}
	o.Finish()
	if err := r.Done(); err != nil {
		return Config{}, err
	}
	_, err := cfg.withDefaults().compile()
	return cfg, err
}

// readServer reads how to connect to an FTP server.
func readServer(o, security *conf.Object, cfg *Config, dir string, log *slog.Logger) {
	cfg.Host = o.Text("host", "localhost")
	cfg.Port = int(o.Int("port", 0, 0, 65535))
	cfg.DisableEPSV = o.Flag("disableEPSV", false)
	cfg.AllowTLS13 = o.Flag("allowTLS13", false)
	if o.Flag("TLSSupport", false) {
		cfg.Security = Explicit
	}
	switch o.OneOf("encryption", "", "none", "explicit", "implicit") {
	case "none":
		cfg.Security = Plain
	case "explicit":
		cfg.Security = Explicit
	case "implicit":
		cfg.Security = Implicit
	}
	user, password := security.Text("username", ""), security.Text("password", "")
	if strings.EqualFold(security.Text("type", "basic"), "basic") {
		cfg.User, cfg.Password = user, password
	}
	files := tlsconf.Files{
		Dir: dir, CA: security.Text("pathToCACert", ""), Cert: security.Text("pathToCert", ""), Key: security.Text("pathToPrivateKey", ""),
		ServerName: security.Text("serverName", ""), SkipVerify: security.Flag("insecureSkipVerify", false),
	}
	if cfg.Security == Plain {
		return
	}
	if files.SkipVerify {
		security.Warn("insecureSkipVerify", "the certificate of the server is not verified")
	}
	cfg.TLS = files.Source(tlsconf.Report(log))
	_, err := cfg.TLS()
	security.Fail("", err)
}

// path reads an entry of paths. What its converter says goes before.
func (l loader) path(o *conf.Object, old bool) Path {
	defer o.Finish()
	p := Path{
		Pattern:   o.Required("path"),
		Partial:   o.OneOf("readMode", "full", "full", "partial") == "partial",
		Period:    o.Duration("pollPeriod", time.Second, DefaultPeriod),
		Settle:    o.Duration("settleTime", time.Second, 0),
		MaxBytes:  int64(o.Float("maxFileSize", DefaultMaxBytes>>20, 0, 1024) * (1 << 20)),
		Delimiter: o.Text("delimiter", DefaultDelimiter),
		Sliced:    o.OneOf("txtFileDataView", "table", "table", "sliced") == "sliced",
		Report:    conf.ReportPolicy(o, nil),
		MoveTo:    o.Text("moveTo", ""),
	}
	p.Unsorted = !o.Flag("withSortingFiles", o.Flag("with_sorting_files", true))
	switch o.OneOf("afterDelivery", "keep", "keep", "delete", "move") {
	case "delete":
		p.After = Delete
	case "move":
		p.After = Move
	}
	c := o.Object("converter")
	defer c.Finish()
	custom := strings.EqualFold(c.Text("type", ""), "custom")
	name := c.Text("extension", "")
	if custom {
		p.Converter = l.converter(c, name, c.Raw("extension-config"))
		l.converterKeys(o, &p, old)
		return p
	}
	from := o
	if c.Has("extension-config") {
		from = c.Object("extension-config")
		defer from.Finish()
	}
	l.converterKeys(from, &p, old)
	return p
}

// converterKeys reads what files say.
func (l loader) converterKeys(o *conf.Object, p *Path, old bool) {
	p.Device = o.Text("devicePatternName", "")
	p.Profile = o.Text("devicePatternType", DefaultProfile)
	text := old && kindOf(p.Pattern) != jsonFile
	p.Timeseries = datapoints(o, "timeseries", text, p.Report)
	p.Attributes = datapoints(o, "attributes", text, p.Report)
}

// converter returns the converter that the program knows by the name in the file.
func (l loader) converter(o *conf.Object, name string, config json.RawMessage) UplinkConverter {
	construct, ok := l.converters[name]
	if !ok {
		known := slices.Sorted(maps.Keys(l.converters))
		o.Fail("extension", fmt.Errorf("no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", ")))
		return nil
	}
	c, err := construct(config)
	o.Fail("extension-config", err)
	return c
}

// datapoints reads a list of keys. One without a name costs only itself.
func datapoints(o *conf.Object, key string, text bool, report *telemetry.ReportPolicy) []Datapoint {
	var list []Datapoint
	for _, p := range o.Objects(key) {
		d := Datapoint{
			Key: p.Text("key", ""), Value: p.Text("value", ""), Type: p.Text("type", ""),
			TimeField: p.Text("tsField", ""), DayFirst: p.Flag("dayfirst", false), YearFirst: p.Flag("yearfirst", false),
			Report: conf.ReportPolicy(p, report),
		}
		if text {
			d.Type = "string"
		}
		p.Finish()
		if d.Key == "" {
			p.Warn("key", "is missing; the datapoint is left out")
			continue
		}
		list = append(list, d)
	}
	return list
}

// readRequests reads attribute updates and calls.
func readRequests(o *conf.Object, cfg *Config) {
	for _, u := range o.Objects("attributeUpdates") {
		cfg.Updates = append(cfg.Updates, Update{
			Path:   u.Required("path"),
			Device: u.Text("deviceNameFilter", ".*"),
			Value:  u.Required("valueExpression"),
			Append: u.OneOf("writingMode", "override", "override", "write") == "write",
		})
		u.Finish()
	}
	for _, r := range o.Objects("serverSideRpc") {
		cfg.RPCs = append(cfg.RPCs, RPC{
			Device: r.Text("deviceNameFilter", ".*"),
			Method: r.Required("methodFilter"),
			Value:  r.Text("valueExpression", "${params}"),
			Write:  r.OneOf("operation", "", "read", "write") == "write",
		})
		r.Finish()
	}
}
