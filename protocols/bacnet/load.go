package bacnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// defaultDecimals is how the reference gateway rounds.
const defaultDecimals = 2

// A loader reads a configuration file.
type loader struct {
	decimals int
	report   *telemetry.ReportPolicy
	cov      COV
}

// load reads the configuration of a connector, whose files are in dir. The error
// names every problem.
func load(r *conf.Reader, raw json.RawMessage, dir string) (Config, error) {
	raw, err := Upgrade(raw, dir)
	if err != nil {
		return Config{}, fmt.Errorf("bacnet: %w", err)
	}
	o := r.Root(raw)
	cfg := read(o)
	if err := r.Done(); err != nil {
		return Config{}, fmt.Errorf("bacnet: %w", err)
	}
	if err := cfg.Validate(); err != nil {
		return Config{}, fmt.Errorf("bacnet: %w", err)
	}
	return cfg, nil
}

// read reads a file.
func read(o *conf.Object) Config {
	o.Ignore("name", "id", "type", "class", "configuration", "logLevel", "enableRemoteLogging", "configVersion", "edeFilePath", "edeConfig")
	o.Unused("useGRPC", "useGRPCForce", "loadProprietaryDevices")
	cfg := Config{WrapResults: true}
	cfg.Compatible = o.OneOf("compatibility", "", "thingsboard") != ""
	l := &loader{decimals: decimals(o, defaultDecimals), report: conf.ReportPolicy(o, nil)}
	l.cov = cov(o, COV{})
	app := o.Object("application")
	application(app, &cfg)
	// The documentation has these in application, the reference gateway reads them here.
	cfg.Discover = o.Duration("devicesDiscoverPeriodSeconds", time.Second, cfg.Discover)
	cfg.Rescan = o.Duration("devicesRescanObjectsPeriodSeconds", time.Second, cfg.Rescan)
	for key, d := range map[string]time.Duration{"devicesDiscoverPeriodSeconds": cfg.Discover, "devicesRescanObjectsPeriodSeconds": cfg.Rescan} {
		if d <= 0 {
			o.Fail(key, errNotPositive)
		}
	}
	app.Finish()
	foreign(o.Object("foreignDevice"), &cfg)
	for _, d := range o.Objects("devices") {
		cfg.Devices = append(cfg.Devices, l.device(d))
		d.Finish()
	}
	o.Finish()
	return cfg
}

func application(o *conf.Object, cfg *Config) {
	o.Unused("deviceDiscoveryTimeoutInSec", "networkNumber", "networkNumberQuality", "loadProprietaryDevices")
	l := &cfg.Local
	l.Host = o.Required("host")
	if ip, err := netip.ParseAddr(l.Host); l.Host != "" && (err != nil || !ip.Is4()) {
		o.Failf("host", "%q is not an IPv4 address", l.Host)
	}
	l.Port = int(o.Int("port", wire.DefaultPort, 0, 65535))
	if l.Port == 0 {
		l.Port = -1 // any that is free
	}
	l.Mask = mask(o)
	l.Instance = uint32(o.Int("objectIdentifier", 0, 0, wire.AnyInstance-1))
	if !o.Has("objectIdentifier") {
		o.Failf("objectIdentifier", "is missing")
	}
	l.Name = o.Text("objectName", DefaultName)
	l.Vendor = uint16(o.Int("vendorIdentifier", DefaultVendor, 0, 65535))
	l.MaxAPDU = int(o.Int("maxApduLengthAccepted", DefaultMaxAPDU, 0, 65535))
	if wire.Length(wire.LengthCode(l.MaxAPDU)) != l.MaxAPDU {
		o.Warn("maxApduLengthAccepted", "not one of 50, 128, 206, 480, 1024, 1476; 1476 is used")
		l.MaxAPDU = DefaultMaxAPDU
	}
	s := o.OneOf("segmentationSupported", "segmentedboth", "segmentedboth", "segmentedtransmit", "segmentedreceive", "nosegmentation",
		"segmented-both", "segmented-transmit", "segmented-receive", "no-segmentation")
	switch strings.ReplaceAll(s, "-", "") {
	case "segmentedtransmit":
		l.Segmentation = wire.SegmentedTransmit
	case "segmentedreceive":
		l.Segmentation = wire.SegmentedReceive
	case "nosegmentation":
		l.Segmentation = wire.NoSegmentation
	}
	cfg.Discover = o.Duration("devicesDiscoverPeriodSeconds", time.Second, DefaultDiscover)
	cfg.Rescan = o.Duration("devicesRescanObjectsPeriodSeconds", time.Second, DefaultRescan)
	cfg.Timeout = o.Duration("apduTimeout", time.Millisecond, DefaultTimeout)
	cfg.Retries = retries(o, DefaultRetries)
}

// retries reads how often requests are repeated: Config takes none for the default.
func retries(o *conf.Object, def int) int {
	if n := int(o.Int("apduRetries", int64(max(def, 0)), 0, 100)); o.Has("apduRetries") && n == 0 {
		return -1
	} else if o.Has("apduRetries") {
		return n
	}
	return def
}

// mask reads the length of the network's prefix, or a mask such as 255.255.255.0.
func mask(o *conf.Object) int {
	s := strings.TrimSpace(o.Text("mask", strconv.Itoa(DefaultMask)))
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 32 {
		return n
	}
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is4() {
		b := ip.As4()
		m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if n := bits.LeadingZeros32(^m); m == ^uint32(0)<<(32-n) {
			return n
		}
	}
	if s != "" {
		o.Warn("mask", "not a mask, 24 is used")
	}
	return DefaultMask
}

func foreign(o *conf.Object, cfg *Config) {
	defer o.Finish()
	cfg.Foreign.Address = o.Text("address", "")
	if _, err := cfg.Foreign.bbmd(); err != nil {
		o.Failf("address", "%q is not an IPv4 address", cfg.Foreign.Address)
	}
	cfg.Foreign.TTL = time.Duration(o.Int("ttl", 900, 1, 65535)) * time.Second
}

func decimals(o *conf.Object, def int) int { return int(o.Int("decimals", int64(def), 0, 15)) }

// cov reads the key cov: true, or an object.
func cov(o *conf.Object, def COV) COV {
	raw := o.Peek("cov")
	if raw == nil {
		return def
	}
	if raw[0] != '{' {
		def.Enabled = o.Flag("cov", def.Enabled)
		return def
	}
	c := o.Object("cov")
	defer c.Finish()
	def.Enabled = c.Flag("enabled", true)
	def.Unconfirmed = !c.Flag("confirmed", !def.Unconfirmed)
	def.Lifetime = c.Duration("lifetime", time.Second, def.Lifetime)
	if c.Has("lifetime") && def.Lifetime < minLifetime {
		c.Failf("lifetime", "%v is shorter than %v", def.Lifetime, minLifetime)
	}
	def.Resync = c.Duration("resyncPeriod", time.Second, def.Resync)
	return def
}

// minLifetime is the shortest lifetime of a subscription: it is renewed in time only
// if requests can be repeated.
const minLifetime = 10 * time.Second

var errNotPositive = errors.New("is not positive")
