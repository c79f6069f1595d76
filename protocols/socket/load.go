package socket

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A loader reads the configuration file.
type loader struct {
	converters map[string]func(config json.RawMessage) (UplinkConverter, error)
	dir        string
	log        *slog.Logger
}

// load reads a configuration. In older files the keys of "socket" are at the top.
func (l loader) load(r *conf.Reader, doc json.RawMessage) (Config, error) {
	o := r.Root(doc)
	o.Ignore("name", "id", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy")
	o.Unused("useGRPC", "useGRPCForce")
	cfg := Config{Compatible: o.OneOf("compatibility", "", "thingsboard") != ""}
	s := o
	if o.Has("socket") || !o.Has("port") && !o.Has("address") {
		o.Ignore("type")
		s = o.Object("socket")
	}
	l.socket(s, &cfg)
	if s != o {
		s.Finish()
	}
	for _, d := range o.Objects("devices") {
		cfg.Devices = append(cfg.Devices, l.device(d))
	}
	o.Finish()
	if err := r.Done(); err != nil {
		return Config{}, err
	}
	_, err := cfg.withDefaults().compile()
	return cfg, err
}

// socket reads where to listen or connect, and how messages end.
func (l loader) socket(o *conf.Object, cfg *Config) {
	cfg.UDP = o.OneOf("type", "tcp", "tcp", "udp", "socket") == "udp"
	cfg.Dial = o.OneOf("mode", "server", "server", "client") == "client"
	cfg.Address = o.Text("address", "127.0.0.1")
	cfg.Port = int(o.Int("port", DefaultPort, 1, 65535))
	o.Unused("bufferSize", "buffer_size") // a message can be as long as maxBytes
	cfg.MaxBytes = int(o.Int("maxBytes", DefaultMaxBytes, 1, 1<<26))
	cfg.MaxConnections = int(o.Int("maxConnections", DefaultMaxConnections, 1, 1<<20))
	cfg.IdleTimeout = o.Duration("idleTimeout", time.Second, 0)
	if cfg.KeepAlive = o.Duration("keepAlive", time.Second, DefaultKeepAlive); cfg.KeepAlive == 0 {
		cfg.KeepAlive = -1
	}
	cfg.WriteTimeout = o.Duration("writeTimeout", time.Second, DefaultWriteTimeout)
	f := o.Object("framing")
	defer f.Finish()
	cfg.Framing = Framing{
		Delimiter: []byte(f.Text("delimiter", "")),
		Keep:      f.Flag("keepDelimiter", false),
		Fixed:     int(f.Int("fixedSize", 0, 0, 1<<26)),
		Gap:       f.Duration("idleGapMs", time.Millisecond, 0),
	}
	n := f.Object("length")
	defer n.Finish()
	length := &Length{
		Offset: int(n.Int("offset", 0, 0, 1<<20)),
		Size:   int(n.Int("size", 2, 1, 4)),
		Little: n.OneOf("byteOrder", "big", "big", "little") == "little",
		Adjust: int(n.Int("adjust", 0, -1<<20, 1<<20)),
		Strip:  n.Flag("strip", false),
	}
	if f.Has("length") {
		cfg.Framing.Length = length
	}
	l.security(o.Object("security"), cfg)
}

// security reads the certificates.
func (l loader) security(o *conf.Object, cfg *Config) {
	defer o.Finish()
	kind := o.OneOf("type", "anonymous", "anonymous", "tls")
	files := tlsconf.Files{
		Dir: l.dir, CA: o.Text("pathToCACert", ""), Cert: o.Text("pathToCert", ""), Key: o.Text("pathToPrivateKey", ""),
		ServerName: o.Text("serverName", ""), SkipVerify: o.Flag("insecureSkipVerify", false),
	}
	if kind == "anonymous" && files.CA == "" && files.Cert == "" {
		return
	}
	if files.SkipVerify && cfg.Dial {
		o.Warn("insecureSkipVerify", "the certificate of the peer is not verified")
	}
	log := l.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial {
		cfg.TLS = files.Source(tlsconf.Report(log))
	} else {
		cfg.TLS = func() (*tls.Config, error) { return files.Server(tlsconf.Report(log)) }
	}
	_, err := cfg.TLS()
	o.Fail("", err)
}

func (l loader) device(o *conf.Object) Device {
	defer o.Finish()
	d := Device{
		Name:     o.Required("deviceName"),
		Profile:  o.Text("deviceType", "default"),
		Encoding: o.Text("encoding", "utf-8"),
	}
	d.Address = o.Text("address", "")
	if filter := o.Text("addressFilter", ""); filter != "" {
		d.Address = filter
	}
	report := conf.ReportPolicy(o, nil)
	key := "telemetry"
	if o.Has("timeseries") {
		key = "timeseries"
	}
	d.Timeseries = datapoints(o, key, report)
	d.Attributes = datapoints(o, "attributes", report)
	d.Converter = l.converter(o)
	for _, q := range o.Objects("attributeRequests") {
		q.Ignore("requestExpressionSource", "attributeNameExpressionSource") // they have always been expressions
		d.Requests = append(d.Requests, AttributeRequest{
			Client: q.OneOf("type", "shared", "shared", "client") == "client",
			Match:  q.Required("requestExpression"),
			Names:  q.Required("attributeNameExpression"),
		})
		q.Finish()
	}
	for _, u := range o.Objects("attributeUpdates") {
		u.Unused("encoding") // that of the device counts
		d.Updates = append(d.Updates, u.Required("attributeOnThingsBoard"))
		u.Finish()
	}
	for _, r := range o.Objects("serverSideRpc") {
		r.Unused("encoding")
		r.OneOf("methodProcessing", "write", "write")
		d.RPCs = append(d.RPCs, RPC{
			Method:       r.Required("methodRPC"),
			WithReply:    r.Flag("withResponse", false),
			ReplyMatch:   r.Text("responseExpression", ""),
			ReplyTimeout: r.Duration("responseTimeoutMs", time.Millisecond, DefaultReplyTimeout),
		})
		r.Finish()
	}
	return d
}

// converter returns the converter that the program knows by the name in the file. A
// name of the reference's own converter is none.
func (l loader) converter(o *conf.Object) UplinkConverter {
	name := o.Text("converter", "")
	config := o.Raw("converterConfig")
	switch construct, ok := l.converters[name]; {
	case name == "" || name == "BytesSocketUplinkConverter" && !ok:
		return nil
	case !ok:
		known := slices.Sorted(maps.Keys(l.converters))
		o.Fail("converter", fmt.Errorf("no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", ")))
		return nil
	default:
		c, err := construct(config)
		o.Fail("converterConfig", err)
		return c
	}
}

// datapoints reads a list of keys. One without a name costs only itself.
func datapoints(o *conf.Object, key string, report *telemetry.ReportPolicy) []Datapoint {
	var list []Datapoint
	for _, p := range o.Objects(key) {
		d := Datapoint{
			Key: p.Text("key", ""), From: int(p.Int("byteFrom", 0, -1<<24, 1<<24)), Type: p.Text("type", ""),
			Decode: p.OneOf("decode", "", "int", "uint", "float"), LittleEndian: p.OneOf("byteOrder", "big", "big", "little") == "little",
			Report: conf.ReportPolicy(p, report),
		}
		if to := int(p.Int("byteTo", -1, -1<<24, 1<<24)); p.Has("byteTo") {
			d.To = &to
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
