package snmp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The reference gateway's defaults, where they are not those of this package.
const (
	fileTimeout    = 6 * time.Second
	fileRPCTimeout = 5 * time.Second
)

// A loader reads a configuration file.
type loader struct {
	log    *slog.Logger
	cfg    Config
	report *telemetry.ReportPolicy // of the file
}

// load reads the configuration of a connector by r. The error names every problem.
func load(r *conf.Reader, doc json.RawMessage, env connector.Env) (Config, error) {
	l := &loader{log: env.Logger}
	if l.log == nil {
		l.log = slog.Default()
	}
	o := r.Root(doc)
	o.Ignore("name", "id", "type", "class", "logLevel", "enableRemoteLogging", "configVersion", "configuration")
	o.Unused("useGRPC", "useGRPCForce")
	l.cfg.WrapResults = true
	l.cfg.Compatible = o.OneOf("compatibility", "", "thingsboard") != ""
	l.report = conf.ReportPolicy(o, nil)
	l.names(o)
	if !o.Has("devices") && !o.Has("traps") {
		o.Failf("devices", "is missing")
	}
	for _, d := range o.Objects("devices") {
		l.device(d)
	}
	if o.Has("traps") {
		l.traps(o.Object("traps"))
	}
	o.Finish()
	if err := r.Done(); err != nil {
		return Config{}, fmt.Errorf("snmp: %w", err)
	}
	if err := l.cfg.Validate(); err != nil {
		return Config{}, fmt.Errorf("snmp: %w", err)
	}
	return l.cfg, nil
}

// names reads the table of symbolic names.
func (l *loader) names(o *conf.Object) {
	table := o.Object("oids")
	l.cfg.Names = make(Names)
	for _, name := range table.Keys() {
		var oid string
		err := json.Unmarshal(table.Peek(name), &oid)
		if err == nil {
			_, err = parseOID(oid)
		}
		if err != nil {
			table.Failf(name, "%s is not an object identifier", table.Peek(name))
			continue
		}
		l.cfg.Names[name] = oid
	}
}

// device reads an element of devices.
func (l *loader) device(o *conf.Object) {
	d := Device{
		Name:           o.Required("deviceName"),
		Profile:        o.Text("deviceType", "default"),
		Community:      o.Text("community", DefaultCommunity),
		TCP:            o.OneOf("transport", "udp", "udp", "tcp") == "tcp",
		Poll:           l.period(o, DefaultPoll),
		Timeout:        o.Duration("timeout", time.Second, fileTimeout),
		Retries:        int(o.Int("retries", DefaultRetries, 0, 100)),
		MaxOIDs:        int(o.Int("maxOids", DefaultMaxOIDs, 1, DefaultMaxOIDs)),
		MaxRepetitions: int(o.Int("bulkSize", DefaultMaxRepetitions, 1, maxRepetitions)),
		Report:         conf.ReportPolicy(o, l.report),
	}
	host, port := o.Required("ip"), o.Int("port", DefaultPort, 1, math.MaxUint16)
	d.Address = net.JoinHostPort(strings.Trim(host, "[]"), strconv.FormatInt(port, 10))
	if d.Retries == 0 {
		d.Retries = -1
	}
	if d.Timeout == 0 {
		o.Failf("timeout", "is zero")
	}
	l.refuseConverter(o)
	switch o.OneOf("version", "v2c", "v1", "v2c", "v2", "v3", "1", "2c", "2", "3") {
	case "v1", "1":
		d.Version = V1
	case "v3", "3":
		d.Version = V3
	}
	security := o.Object("security")
	if d.Version == V3 {
		u := user(security)
		d.User = &u
	} else {
		_ = user(security) // its keys are known ones
	}
	security.Finish()
	for _, section := range []struct {
		key       string
		attribute bool
	}{{"attributes", true}, {"telemetry", false}, {"timeseries", false}} {
		for _, item := range o.Objects(section.key) {
			l.object(item, &d, section.attribute)
		}
	}
	for _, item := range o.Objects("attributeUpdateRequests") {
		l.command(item, &d, "attributeFilter", &d.AttributeUpdates)
	}
	for _, item := range o.Objects("serverSideRpcRequests") {
		l.command(item, &d, "requestFilter", &d.RPC)
	}
	o.Finish()
	l.cfg.Devices = append(l.cfg.Devices, d)
}

// refuseConverter refuses a converter in Python. The one that the reference's example
// names does not exist there either.
func (l *loader) refuseConverter(o *conf.Object) {
	switch name := o.Text("converter", ""); name {
	case "", "SNMPUplinkConverter", "SNMPDownlinkConverter", "CustomSNMPConverter":
	default:
		o.Failf("converter", "%q is a converter in Python, which cannot be run", name)
	}
}

// period reads pollPeriod, in milliseconds.
func (l *loader) period(o *conf.Object, def time.Duration) time.Duration {
	p := o.Duration("pollPeriod", time.Millisecond, def)
	if p == 0 && o.Has("pollPeriod") {
		o.Failf("pollPeriod", "is zero")
		return def
	}
	return p
}

// user reads a section security, or an element of users.
func user(o *conf.Object) User {
	return User{
		Name: o.Text("username", ""),
		Auth: o.Text("authProtocol", ""), AuthPassword: o.Text("authPassword", ""),
		Priv: o.Text("privProtocol", ""), PrivPassword: o.Text("privPassword", ""),
		ContextName: o.Text("contextName", ""), ContextEngine: o.Text("contextEngineId", ""),
	}
}
