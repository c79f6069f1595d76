package modbus

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
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
func parseFile(doc json.RawMessage, profiles Profiles, dir string, log *slog.Logger) (Config, error) {
	r := &reader{}
	f := file{r: r, profiles: profiles, dir: dir, log: log}
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
	if len(r.idle) > 0 {
		slices.Sort(r.idle)
		log.Warn("configuration keys do not apply here and have no effect", slog.Any("keys", r.idle))
	}
	for _, err := range r.left {
		log.Error("tag is left out", slog.Any("error", err))
	}
	f.limitTimeouts()
	return f.cfg, nil
}

type file struct {
	r        *reader
	profiles Profiles
	dir      string // that relative paths start from
	log      *slog.Logger
	cfg      Config
	quirks   bool                    // convert as the reference gateway
	old      bool                    // the file has the form with server
	report   *telemetry.ReportPolicy // of the connector
}

func (f *file) root(o object) {
	o.knows("master", "server", "slave", "name", "id", "type", "logLevel", "enableRemoteLogging", "configVersion",
		"reportStrategy", "sendDataOnlyOnChange", "class", "configuration", "useGRPC", "useGRPCForce", "compatibility")
	switch name := strings.ToLower(o.text("compatibility", "")); name {
	case "":
	case "thingsboard":
		f.quirks = true
	default:
		f.r.fail(o.at("compatibility"), "%q is not known; there is thingsboard", name)
	}
	f.report = reportPolicy(o, nil)
	f.cfg.WrapResults = true
	slaves, ok := f.slaves(o)
	for _, s := range slaves {
		f.slave(s)
	}
	own, isServer := f.serverSection(o)
	if isServer {
		f.server(own)
	}
	if !ok && !isServer {
		f.r.fail("master", "missing")
	}
}

func (f *file) slave(o object) {
	before := len(f.r.errs)
	d := f.device(o, "deviceName", "unitId")
	d.URL = f.url(o)
	if o.has("pollPeriod") && d.Poll == 0 {
		f.r.fail(o.at("pollPeriod"), "zero")
	}
	f.tags(o, &d)
	d = f.profile(o, d)
	if len(f.r.errs) == before {
		f.check(o, d)
	}
	f.cfg.Devices = append(f.cfg.Devices, d)
}

// device reads what a slave and the gateway as a slave have in common, of which the
// members named required have to be there.
func (f *file) device(o object, required ...string) Device {
	o.knows("type", "method", "host", "port", "unitId", "deviceName", "deviceType", "pollPeriod", "timeout", "retries",
		"byteOrder", "wordOrder", "delayBetweenRequestsMs", "baudrate", "stopbits", "bytesize", "parity", "handleLocalEcho",
		"rs485", "repack", "tls", "security", "uplink_converter", "downlink_converter", "reportStrategy", "attributes",
		"timeseries", "attributeUpdates", "rpc", "profile", "profileOptions", "maxGap", "maxRegistersPerRequest",
		"connectAttemptTimeMs", "connectAttemptCount", "waitAfterFailedAttemptsMs", "retryOnEmpty", "retryOnInvalid",
		"strict", "exclusive", "sendDataOnlyOnChange", "timeseriesPollPeriod", "attributesPollPeriod", "rpcPollPeriod",
		"attributeUpdatesPollPeriod", "name", "id", "identity", "values", "sendDataToThingsBoard", "maxConnections")
	o.idle(true, "rpcPollPeriod", "attributeUpdatesPollPeriod") // commands are not polled
	o.idle(false, "strict", "exclusive")                        // frames keep their gaps, and lines are locked, always
	d := Device{
		Name:    o.text("deviceName", ""),
		Profile: o.text("deviceType", "default"),
		Unit:    uint8(o.integer("unitId", 0, 0, 255)),
		Poll:    o.duration("pollPeriod", time.Millisecond, o.duration("timeseriesPollPeriod", time.Millisecond, DefaultPoll)),
		Timeout: o.duration("timeout", time.Second, 30*time.Second),
		Retries: retries(o),
		Delay:   o.duration("delayBetweenRequestsMs", time.Millisecond, 0),
		Report:  reportPolicy(o, f.report),
		MaxGap:  o.integer("maxGap", DefaultMaxGap, 0, maxReadRegisters),

		SkipEmpty:   o.has("retryOnEmpty") && !o.flag("retryOnEmpty"),
		SkipInvalid: o.has("retryOnInvalid") && !o.flag("retryOnInvalid"),
		Reconnect:   reconnect(o),
		Order:       f.order(o, o),
		Quirks:      f.quirks,
	}
	for _, key := range required {
		if !o.has(key) || key == "deviceName" && d.Name == "" {
			o.r.fail(o.at(key), "missing")
		}
	}
	if d.MaxGap == 0 {
		d.MaxGap, d.MaxBitGap = -1, -1
	}
	d.MaxRegisters = o.integer("maxRegistersPerRequest", maxReadRegisters, 1, maxReadRegisters)
	f.refuseConverters(o)
	return d
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

func (f *file) refuseConverters(o object) {
	for key, builtin := range map[string]string{
		"uplink_converter": "BytesModbusUplinkConverter", "downlink_converter": "BytesModbusDownlinkConverter",
	} {
		if name := o.text(key, builtin); name != builtin && name != "" {
			f.r.fail(o.at(key), "%q is a converter in Python, which cannot be run", name)
		}
	}
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
