package modbus

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// sharedTimeout bounds the time-out of a configuration file on a bus of several
// slaves: the files' usual 35 s would let a silent slave hold up the others for as
// long.
const sharedTimeout = 3 * time.Second

// Profiles make devices from the "profile" key of configuration files: a function
// completes a device with the registers of its kind, as the "profileOptions" key
// (nil if it is missing) says.
type Profiles map[string]func(d Device, options json.RawMessage) (Device, error)

// parseFile turns a modbus.json into a Config. The error names everything that is
// wrong with it.
func parseFile(doc json.RawMessage, profiles Profiles, log *slog.Logger) (Config, error) {
	r := &reader{}
	f := file{r: r, profiles: profiles, log: log}
	root, ok := r.object("", doc)
	if ok {
		f.root(root)
	}
	if len(r.errs) > 0 {
		return Config{}, errors.Join(r.errs...)
	}
	if len(r.unknown) > 0 {
		slices.Sort(r.unknown)
		log.Warn("configuration keys without a meaning are ignored", slog.Any("keys", r.unknown))
	}
	f.limitTimeouts()
	return f.cfg, nil
}

type file struct {
	r        *reader
	profiles Profiles
	log      *slog.Logger
	cfg      Config
}

func (f *file) root(o object) {
	o.knows("master", "server", "slave", "name", "id", "type", "logLevel", "enableRemoteLogging", "configVersion",
		"reportStrategy", "sendDataOnlyOnChange", "class", "configuration", "useGRPC", "useGRPCForce")
	if doc, ok := o.raw("slave"); ok {
		if s, ok := f.r.object("slave", doc); ok && s.flag("sendDataToThingsBoard") {
			f.r.fail("slave", "the gateway as a Modbus slave is not supported yet")
		}
	}
	switch {
	case o.has("master"):
		doc, _ := o.raw("master")
		if m, ok := f.r.object("master", doc); ok {
			m.knows("slaves")
			for _, s := range m.list("slaves") {
				f.slave(s)
			}
		}
	case o.has("server"):
		f.server(o)
	default:
		f.r.fail("master", "missing")
	}
}

// server reads the old form, in which the devices of one connection inherit its
// settings.
func (f *file) server(o object) {
	doc, _ := o.raw("server")
	s, ok := f.r.object("server", doc)
	if !ok {
		return
	}
	for _, d := range s.list("devices") {
		merged := maps.Clone(s.fields)
		delete(merged, "devices")
		delete(merged, "name")
		maps.Copy(merged, d.fields)
		f.slave(object{r: f.r, path: d.path, fields: merged})
	}
}

func (f *file) slave(o object) {
	o.knows("type", "method", "host", "port", "unitId", "deviceName", "deviceType", "pollPeriod", "timeout", "retries",
		"byteOrder", "wordOrder", "delayBetweenRequestsMs", "baudrate", "stopbits", "bytesize", "parity", "handleLocalEcho",
		"rs485", "repack", "tls", "security", "uplink_converter", "downlink_converter", "reportStrategy", "attributes",
		"timeseries", "attributeUpdates", "rpc", "profile", "profileOptions", "maxGap", "maxRegistersPerRequest",
		// These have no effect: reconnection needs no settings, and the rest
		// has none in the reference gateway either.
		"connectAttemptTimeMs", "connectAttemptCount", "waitAfterFailedAttemptsMs", "retryOnEmpty", "retryOnInvalid",
		"strict", "sendDataOnlyOnChange", "timeseriesPollPeriod", "attributesPollPeriod", "rpcPollPeriod",
		"attributeUpdatesPollPeriod", "name", "id", "pollPeriodMs", "identity", "vendorName", "productCode", "vendorUrl",
		"productName", "modelName")
	before := len(f.r.errs)
	d := Device{
		Name:    o.text("deviceName", ""),
		Profile: o.text("deviceType", "default"),
		URL:     f.url(o),
		Unit:    uint8(o.integer("unitId", 0, 0, 255)),
		Poll:    o.duration("pollPeriod", time.Millisecond, o.duration("timeseriesPollPeriod", time.Millisecond, DefaultPoll)),
		Timeout: o.duration("timeout", time.Second, 30*time.Second),
		Retries: retries(o),
		Delay:   o.duration("delayBetweenRequestsMs", time.Millisecond, 0),
		Report:  reportPolicy(o),
		MaxGap:  o.integer("maxGap", DefaultMaxGap, 0, maxReadRegisters),
	}
	for _, key := range [...]string{"deviceName", "unitId"} {
		if !o.has(key) || key == "deviceName" && d.Name == "" {
			o.r.fail(o.at(key), "missing")
		}
	}
	if d.MaxGap == 0 {
		d.MaxGap, d.MaxBitGap = -1, -1
	}
	if d.Poll == 0 {
		o.r.fail(o.at("pollPeriod"), "zero")
	}
	d.MaxRegisters = o.integer("maxRegistersPerRequest", maxReadRegisters, 1, maxReadRegisters)
	f.refuseUnsupported(o)
	f.tags(o, &d)
	d = f.profile(o, d)
	if len(f.r.errs) == before {
		f.check(o, d)
	}
	f.cfg.Devices = append(f.cfg.Devices, d)
}

// check refuses what the device's compilation refuses, with the path of the slave.
func (f *file) check(o object, d Device) {
	if !d.hasWork() {
		f.log.Warn("slave has nothing to read or write", slog.String("path", o.path), slog.String("device", d.Name))
		return
	}
	if err := (Config{Devices: []Device{d}}).Validate(); err != nil {
		for _, e := range split(err) {
			f.r.fail(o.path, "%w", e)
		}
	}
}

func (d Device) hasWork() bool {
	return len(d.Registers)+len(d.RPC)+len(d.AttributeUpdates) > 0
}

func (f *file) refuseUnsupported(o object) {
	for _, key := range [...]string{"tls", "security"} {
		var m map[string]any
		if doc, ok := o.raw(key); ok && (json.Unmarshal(doc, &m) != nil || len(m) > 0) {
			f.r.fail(o.at(key), "TLS is not supported yet")
		}
	}
	for key, builtin := range map[string]string{
		"uplink_converter": "BytesModbusUplinkConverter", "downlink_converter": "BytesModbusDownlinkConverter",
	} {
		if name := o.text(key, builtin); name != builtin && name != "" {
			f.r.fail(o.at(key), "%q is a converter in Python, which cannot be run", name)
		}
	}
}

// url returns the URL of a slave's bus.
func (f *file) url(o object) string {
	typ, method := strings.ToLower(o.text("type", "tcp")), strings.ToLower(o.text("method", ""))
	switch typ {
	case "tcp":
		scheme := map[string]string{"": "tcp", "socket": "tcp", "rtu": "rtuovertcp"}[method]
		if scheme == "" {
			f.r.fail(o.at("method"), "%q is not supported with type tcp yet; socket and rtu are", method)
			return ""
		}
		host := o.text("host", "")
		if host == "" {
			f.r.fail(o.at("host"), "missing")
			return ""
		}
		return scheme + "://" + net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(o.integer("port", 502, 1, 65535)))
	case "serial":
		if method != "" && method != "rtu" {
			f.r.fail(o.at("method"), "%q is not supported with type serial yet; rtu is", method)
			return ""
		}
		return f.serialURL(o)
	default:
		f.r.fail(o.at("type"), "%q is not supported yet; tcp and serial are", typ)
		return ""
	}
}

func (f *file) serialURL(o object) string {
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
	if strings.HasPrefix(path, "/") {
		return (&url.URL{Scheme: "rtu", Path: path, RawQuery: q.Encode()}).String()
	}
	return (&url.URL{Scheme: "rtu", Host: path, RawQuery: q.Encode()}).String()
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

// reportPolicy reads a reportStrategy; nil if there is none.
func reportPolicy(o object) *telemetry.ReportPolicy {
	doc, ok := o.raw("reportStrategy")
	if !ok {
		return nil
	}
	s, ok := o.r.object(o.at("reportStrategy"), doc)
	if !ok {
		return nil
	}
	p := &telemetry.ReportPolicy{Period: s.duration("reportPeriod", time.Millisecond, 10*time.Second)}
	switch typ := strings.ToUpper(s.text("type", "ON_RECEIVED")); typ {
	case "ON_RECEIVED", "DISABLED":
		return &telemetry.ReportPolicy{Mode: telemetry.OnReceived}
	case "ON_CHANGE":
		p.Mode = telemetry.OnChange
	case "ON_REPORT_PERIOD":
		p.Mode = telemetry.OnPeriod
	case "ON_CHANGE_OR_REPORT_PERIOD":
		p.Mode = telemetry.OnChangeOrPeriod
	default:
		s.r.fail(s.at("type"), "%q is not a report strategy", typ)
	}
	return p
}

func (f *file) profile(o object, d Device) Device {
	name := o.text("profile", "")
	if name == "" {
		return d
	}
	complete := f.profiles[name]
	if complete == nil {
		f.r.fail(o.at("profile"), "%q is not known; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(f.profiles)), ", "))
		return d
	}
	options, _ := o.raw("profileOptions")
	out, err := complete(d, options)
	if err != nil {
		f.r.fail(o.at("profileOptions"), "%w", err)
		return d
	}
	return out
}

// limitTimeouts applies sharedTimeout, and leaves out slaves without work.
func (f *file) limitTimeouts() {
	f.cfg.Devices = slices.DeleteFunc(f.cfg.Devices, func(d Device) bool { return !d.hasWork() })
	shared := make(map[string]int)
	for _, d := range f.cfg.Devices {
		shared[busKey(d)]++
	}
	limited := 0
	for i, d := range f.cfg.Devices {
		if shared[busKey(d)] > 1 && d.Timeout > sharedTimeout {
			f.cfg.Devices[i].Timeout = sharedTimeout
			limited++
		}
	}
	if limited > 0 {
		f.log.Warn("time-outs of slaves that share a bus are limited", slog.Duration("limit", sharedTimeout), slog.Int("slaves", limited))
	}
}

func busKey(d Device) string {
	e, _ := parseURL(d.URL) // was checked
	return e.key()
}
