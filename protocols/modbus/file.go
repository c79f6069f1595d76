package modbus

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
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

// parseFile turns a modbus.json, which r reads, into a Config. The error names
// everything that is wrong with it.
func parseFile(r *conf.Reader, doc json.RawMessage, profiles Profiles, dir string, log *slog.Logger) (Config, error) {
	f := file{r: r, profiles: profiles, dir: dir, log: log}
	f.root(r.Root(doc))
	if err := r.Done(); err != nil {
		return Config{}, err
	}
	for _, err := range f.left {
		log.Error("tag is left out", slog.Any("error", err))
	}
	f.limitTimeouts()
	return f.cfg, nil
}

type file struct {
	r        *conf.Reader
	profiles Profiles
	dir      string // that relative paths start from
	log      *slog.Logger
	cfg      Config
	left     []error                 // why tags are left out: the others do without them
	quirks   bool                    // convert as the reference gateway
	old      bool                    // the file has the form with server
	repack   bool                    // of the slave
	report   *telemetry.ReportPolicy // of the connector

	attributePoll time.Duration // of the slave's attributes; 0: that of the slave
}

func (f *file) root(o *conf.Object) {
	defer o.Finish()
	o.Ignore("name", "id", "type", "logLevel", "enableRemoteLogging", "configVersion", "class", "configuration")
	o.Unused("useGRPC", "useGRPCForce")
	f.quirks = o.OneOf("compatibility", "", "thingsboard") != ""
	f.report = conf.ReportPolicy(o, nil)
	f.cfg.WrapResults = true
	slaves, ok := f.slaves(o)
	for _, s := range slaves {
		f.slave(s)
		s.Finish()
	}
	own, isServer := f.serverSection(o)
	if isServer {
		f.server(own)
	}
	if !ok && !isServer {
		o.Need("master")
	}
}

func (f *file) slave(o *conf.Object) {
	before := f.r.Failures()
	o.Required("deviceName")
	o.Need("unitId")
	d := f.device(o)
	d.Timeout = o.Duration("timeout", time.Second, 30*time.Second)
	d.Retries = retries(o)
	d.SkipEmpty, d.SkipInvalid = !o.Flag("retryOnEmpty", true), !o.Flag("retryOnInvalid", true)
	d.Delay = o.Duration("delayBetweenRequestsMs", time.Millisecond, 0)
	d.Reconnect = reconnect(o)
	d.URL = f.url(o, "")
	f.tags(o, &d)
	d = f.profile(o, d)
	if f.r.Failures() == before {
		f.check(o, d)
	}
	f.cfg.Devices = append(f.cfg.Devices, d)
}

// device reads what a slave and the gateway as a slave have in common.
func (f *file) device(o *conf.Object) Device {
	o.Ignore("name", "id")
	o.Unused("rpcPollPeriod", "attributeUpdatesPollPeriod") // commands are not polled
	for _, key := range [...]string{"strict", "exclusive"} {
		if !o.Flag(key, true) { // frames keep their gaps, and lines are locked, always
			o.Unused(key)
		}
	}
	d := Device{
		Name:    o.Text("deviceName", ""),
		Profile: o.Text("deviceType", "default"),
		Unit:    uint8(o.Int("unitId", 0, 0, 255)),
		Poll:    o.Duration("pollPeriod", time.Millisecond, o.Duration("timeseriesPollPeriod", time.Millisecond, DefaultPoll)),
		Report:  conf.ReportPolicy(o, f.report),
		MaxGap:  int(o.Int("maxGap", DefaultMaxGap, 0, maxReadRegisters)),
		Order:   order(o, DCBA),
		Quirks:  f.quirks,
	}
	if o.Has("pollPeriod") && d.Poll == 0 {
		o.Failf("pollPeriod", "is zero")
	}
	if d.MaxGap == 0 {
		d.MaxGap, d.MaxBitGap = -1, -1
	}
	d.MaxRegisters = int(o.Int("maxRegistersPerRequest", maxReadRegisters, 1, maxReadRegisters))
	f.repack = o.Flag("repack", false)
	if f.attributePoll = o.Duration("attributesPollPeriod", time.Millisecond, 0); !f.old && o.Has("pollPeriod") {
		f.attributePoll = 0
	}
	refuseConverters(o)
	return d
}

// check refuses what the device's compilation refuses, with the path of the slave.
func (f *file) check(o *conf.Object, d Device) {
	if !d.hasWork() {
		f.log.Warn("slave has nothing to read or write", slog.String("path", o.At("")), slog.String("device", d.Name))
		return
	}
	if err := (Config{Devices: []Device{d}}).Validate(); err != nil {
		for _, e := range split(err) {
			o.Fail("", e)
		}
	}
}

func (d Device) hasWork() bool {
	return len(d.Registers)+len(d.RPC)+len(d.AttributeUpdates) > 0
}

func refuseConverters(o *conf.Object) {
	for key, builtin := range map[string]string{
		"uplink_converter": "BytesModbusUplinkConverter", "downlink_converter": "BytesModbusDownlinkConverter",
	} {
		if name := o.Text(key, builtin); name != builtin && name != "" {
			o.Failf(key, "%q is a converter in Python, which cannot be run", name)
		}
	}
}

func (f *file) profile(o *conf.Object, d Device) Device {
	name, options := o.Text("profile", ""), o.Raw("profileOptions")
	if name == "" {
		return d
	}
	complete := f.profiles[name]
	if complete == nil {
		o.Failf("profile", "%q is not known; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(f.profiles)), ", "))
		return d
	}
	out, err := complete(d, options)
	if err != nil {
		o.Fail("profileOptions", err)
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
