package serial

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A loader reads the configuration file.
type loader struct {
	converters map[string]func(config json.RawMessage) (UplinkConverter, error)
}

// load reads the file in the form of the Python gateway's example.
func (l loader) load(r *conf.Reader, doc json.RawMessage) (Config, error) {
	o := r.Root(doc)
	o.Ignore("name", "id", "type", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy")
	o.Unused("uplinkQueueSize", "useGRPC", "useGRPCForce") // the line waits while the store is full
	cfg := Config{Compatible: o.OneOf("compatibility", "", "thingsboard") != ""}
	o.Need("devices")
	for _, d := range o.Objects("devices") {
		cfg.Devices = append(cfg.Devices, l.device(d))
	}
	o.Finish()
	if err := r.Done(); err != nil {
		return Config{}, err
	}
	return cfg, cfg.check()
}

// either returns the text of key, or of its other name.
func either(o *conf.Object, key, other, def string) string {
	s := o.Text(other, def)
	return o.Text(key, s)
}

func (l loader) device(o *conf.Object) Device {
	defer o.Finish()
	o.Unused("dsrdtr", "exclusive", "downlink_converter") // lines are locked, always
	d := Device{
		Name:         either(o, "name", "deviceName", ""),
		Profile:      either(o, "type", "deviceType", "default"),
		Port:         o.Text("port", "/dev/ttyUSB0"),
		Baud:         int(o.Int("baudrate", DefaultBaud, 50, 4_000_000)),
		DataBits:     int(o.Int("bytesize", 8, 5, 8)),
		StopBits:     int(o.Int("stopbits", 1, 1, 2)),
		RTSCTS:       o.Flag("rtscts", false),
		XONXOFF:      o.Flag("xonxoff", false),
		Delimiter:    o.Text("delimiter", DefaultDelimiter),
		Silence:      o.Duration("interByteTimeout", time.Second, o.Duration("timeout", time.Second, DefaultSilence)),
		MaxBytes:     int(o.Int("maxBytes", 0, 0, 1<<24)),
		WriteTimeout: o.Duration("writeTimeout", time.Second, DefaultWriteTimeout),
		LittleEndian: o.OneOf("byteorder", "big", "big", "little") == "little",
	}
	if d.Name == "" {
		o.Required("name")
	}
	switch o.OneOf("parity", "n", "n", "e", "o", "none", "even", "odd") {
	case "e", "even":
		d.Parity = EvenParity
	case "o", "odd":
		d.Parity = OddParity
	}
	report := conf.ReportPolicy(o, nil)
	key := "telemetry"
	if o.Has("timeseries") {
		key = "timeseries"
	}
	d.Timeseries = datapoints(o, key, report)
	d.Attributes = datapoints(o, "attributes", report)
	d.Converter = l.converter(o)
	for _, u := range o.Objects("attributeUpdates") {
		d.Updates = append(d.Updates, AttributeUpdate{Key: u.Required("attributeOnPlatform"), Format: u.Required("stringToDevice")})
		u.Finish()
	}
	for _, r := range o.Objects("serverSideRpc") {
		d.RPCs = append(d.RPCs, rpc(r))
	}
	return d
}

// converter returns the converter that the program knows by the name in the file.
// A name of the reference's own converter is none.
func (l loader) converter(o *conf.Object) UplinkConverter {
	name := either(o, "uplink_converter", "converter", "")
	config := o.Raw("converterConfig")
	switch construct, ok := l.converters[name]; {
	case name == "" || name == "SerialUplinkConverter" && !ok:
		return nil
	case !ok:
		known := slices.Sorted(maps.Keys(l.converters))
		o.Failf("converter", "no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", "))
		return nil
	default:
		c, err := construct(config)
		o.Fail("converterConfig", err)
		return c
	}
}

func datapoints(o *conf.Object, key string, report *telemetry.ReportPolicy) []Datapoint {
	var list []Datapoint
	for _, p := range o.Objects(key) {
		list = append(list, Datapoint{
			Key: p.Required("key"), Part: part(p, ""), Type: typeOf(p.Text("type", "string")), Report: conf.ReportPolicy(p, report),
		})
		p.Finish()
	}
	return list
}

// part reads the keys of a part, which may all have a prefix.
func part(o *conf.Object, prefix string) Part {
	key := func(name string) string {
		if prefix == "" {
			return name
		}
		return prefix + strings.ToUpper(name[:1]) + name[1:]
	}
	p := Part{
		FromDelimiter:  o.Text(key("fromDelimiter"), ""),
		UntilDelimiter: o.Text(key("untilDelimiter"), ""),
		FromByte:       int(o.Int(key("fromByte"), 0, -1<<24, 1<<24)),
	}
	if to := int(o.Int(key("toByte"), 0, -1<<24, 1<<24)); o.Has(key("toByte")) {
		p.ToByte = &to
	}
	return p
}

// typeOf returns the type of the given name: any that is not known means bytes, as
// with the reference.
func typeOf(name string) ValueType {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", "string", "str", "text":
		return Text
	case "int", "integer", "long":
		return Int
	case "float", "double":
		return Float
	case "bool", "boolean":
		return Bool
	case "json":
		return JSON
	default:
		return Hex
	}
}

func rpc(o *conf.Object) RPC {
	defer o.Finish()
	return RPC{
		Method:       o.Required("method"),
		Params:       typeOf(o.Text("type", "string")),
		WithReply:    o.Flag("withResponse", false),
		Reply:        part(o, "response"),
		ReplyType:    typeOf(o.Text("responseType", "string")),
		ReplyTimeout: o.Duration("responseTimeoutSec", time.Second, DefaultReplyTimeout),
	}
}

// wrap names the package in err.
func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("serial: %w", err)
	}
	return nil
}
