package mqtt

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// mappings reads "mapping", which older files call "dataMapping".
func (l *loader) mappings(o *conf.Object, cfg *Config) {
	key := "mapping"
	if !o.Has(key) && o.Has("dataMapping") {
		key = "dataMapping"
	}
	report := conf.ReportPolicy(o, nil)
	if o.Has("reportStrategy") {
		report = nil // whoever runs the connector reads it
	}
	for _, m := range o.Objects(key) {
		cfg.Mappings = append(cfg.Mappings, Mapping{
			Filter:    filter(m),
			QoS:       qos(m, "subscriptionQos", 1),
			Converter: l.converter(m, report),
		})
		m.Finish()
	}
}

func filter(o *conf.Object) string {
	filter := o.Required("topicFilter")
	if filter != "" {
		o.Fail("topicFilter", checkFilter(filter))
	}
	return filter
}

// converter reads the converter of a mapping. After a problem it is nil.
func (l *loader) converter(m *conf.Object, report *telemetry.ReportPolicy) UplinkConverter {
	report = conf.ReportPolicy(m, report)
	if !m.Has("converter") {
		m.Fail("converter", errors.New("is missing"))
		return nil
	}
	o := m.Object("converter")
	report = conf.ReportPolicy(o, report)
	o.Unused("cached", "timeout")
	defer o.Finish()
	if name := o.Text("extension", ""); name != "" {
		o.Ignore("type") // the extension goes before it
		return l.custom(o, name)
	}
	before := o.Reader().Failures()
	switch o.OneOf("type", "", "json", "bytes", "custom") {
	case "json":
		return l.json(o, report)
	case "bytes":
		return l.bytes(o, report)
	case "custom":
		return l.custom(o, "")
	}
	if o.Reader().Failures() == before {
		o.Fail("type", errors.New("is missing"))
	}
	o.Ignore(o.Keys()...)
	return nil
}

// custom makes a converter that the program knows by name. With sharedGlobal all
// mappings that name it have one, and with sharedId those with the same one.
func (l *loader) custom(o *conf.Object, name string) UplinkConverter {
	o.Ignore("deviceInfo", "attributes", "timeseries", "useEval", "useReceivedTs")
	config := o.Raw("extensionConfig")
	share := o.Text("sharedId", "")
	if o.Flag("sharedGlobal", false) {
		share = "global"
	}
	if name == "" {
		o.Fail("extension", errors.New("is missing"))
		return nil
	}
	shareKey := name + "\x00" + share
	if c := l.shared[shareKey]; c != nil && share != "" {
		return c
	}
	construct, ok := l.options.converters[name]
	if !ok {
		known := slices.Sorted(maps.Keys(l.options.converters))
		o.Failf("extension", "no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", "))
		return nil
	}
	c, err := construct(config)
	if err == nil && c == nil {
		err = fmt.Errorf("converter %q could not be made", name)
	}
	o.Fail("extensionConfig", err)
	l.shared[shareKey] = c
	return c
}

func (l *loader) json(o *conf.Object, report *telemetry.ReportPolicy) UplinkConverter {
	o.Unused("sharedGlobal", "sharedId")
	device, report := device(o, report)
	cfg := JSONConfig{
		Device:          device,
		Compatible:      l.compatible,
		UseReceivedTime: o.Flag("useReceivedTs", false),
		Evaluate:        o.Flag("useEval", false),
	}
	cfg.Attributes, cfg.AllAttributes = datapoints(o, "attributes", report)
	cfg.Timeseries, cfg.AllTimeseries = datapoints(o, "timeseries", report)
	return compileJSON(cfg, below(o))
}

func (l *loader) bytes(o *conf.Object, report *telemetry.ReportPolicy) UplinkConverter {
	o.Unused("sharedGlobal", "sharedId", "useEval", "useReceivedTs")
	device, report := device(o, report)
	cfg := BytesConfig{Device: device, Compatible: l.compatible}
	var allAttributes, allTimeseries bool
	cfg.Attributes, allAttributes = datapoints(o, "attributes", report)
	cfg.Timeseries, allTimeseries = datapoints(o, "timeseries", report)
	if allAttributes || allTimeseries {
		o.Fail("", errors.New(`"*" is for messages in JSON only`))
	}
	return compileBytes(cfg, below(o))
}

// device reads "deviceInfo", in which a device's own way to report may be.
func device(o *conf.Object, outer *telemetry.ReportPolicy) (DeviceInfo, *telemetry.ReportPolicy) {
	info := o.Object("deviceInfo")
	defer info.Finish()
	return DeviceInfo{
		Name:    expression(info, "deviceNameExpression", "deviceNameExpressionSource"),
		Profile: expression(info, "deviceProfileExpression", "deviceProfileExpressionSource"),
	}, conf.ReportPolicy(info, outer)
}

func expression(o *conf.Object, key, sourceKey string) Expression {
	e := Expression{Text: o.Text(key, "")}
	switch o.OneOf(sourceKey, "message", "message", "topic", "constant") {
	case "topic":
		e.Source = FromTopic
	case "constant":
		e.Source = Constant
	}
	return e
}

// datapoints reads a list of keys. An element "*", or "*" instead of the list,
// stands for all.
func datapoints(o *conf.Object, key string, report *telemetry.ReportPolicy) (points []Datapoint, all bool) {
	if raw := o.Raw(key); raw != nil && isStar(raw) {
		o.OneOf(key, "", "*")
		return nil, true
	}
	for i, raw := range o.Elements(key) {
		if isStar(raw) {
			all = true
			continue
		}
		points = append(points, datapoint(o.Element(key, i, raw), report))
	}
	return points, all
}

func isStar(raw json.RawMessage) bool {
	var text string
	return json.Unmarshal(raw, &text) == nil && text == "*"
}

func datapoint(o *conf.Object, report *telemetry.ReportPolicy) Datapoint {
	defer o.Finish()
	d := Datapoint{
		Key:          expression(o, "key", "keySource"),
		Value:        o.Text("value", ""),
		Type:         o.Text("type", ""),
		TimeField:    o.Text("tsField", ""),
		DayFirst:     o.Flag("dayfirst", false),
		YearFirst:    o.Flag("yearfirst", false),
		HexMode:      o.Flag("hexMode", false),
		Decode:       o.OneOf("decode", "", "int", "uint", "float"),
		LittleEndian: o.OneOf("byteOrder", "big", "big", "little") == "little",
		Report:       conf.ReportPolicy(o, report),
	}
	if !o.Has("value") {
		o.Fail("value", errors.New("is missing"))
	}
	return d
}
