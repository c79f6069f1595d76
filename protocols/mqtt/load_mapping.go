package mqtt

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// mappings reads "mapping", which older files call "dataMapping".
func (l *loader) mappings(o *object, cfg *Config) {
	key := "mapping"
	if !o.has(key) && o.has("dataMapping") {
		key = "dataMapping"
	}
	report := o.onChange(nil)
	if o.has("reportStrategy") {
		report = nil // whoever runs the connector reads it
	}
	for i, raw := range o.elements(key) {
		m := l.object(raw, o.item(key, i))
		cfg.Mappings = append(cfg.Mappings, Mapping{
			Filter:    m.filter(),
			QoS:       m.qos("subscriptionQos", 1),
			Converter: l.converter(m, report),
		})
		m.finish()
	}
}

func (o *object) filter() string {
	filter := o.required("topicFilter")
	if filter != "" {
		o.add("topicFilter", checkFilter(filter))
	}
	return filter
}

// converter reads the converter of a mapping. After a problem it is nil.
func (l *loader) converter(m *object, report *telemetry.ReportPolicy) UplinkConverter {
	report = m.report(m.onChange(report))
	if !m.has("converter") {
		m.add("converter", errors.New("is missing"))
		return nil
	}
	o := m.object("converter")
	report = o.report(o.onChange(report))
	o.unused("cached", "timeout")
	defer o.finish()
	kind := strings.ToLower(o.text("type"))
	switch name := o.text("extension"); {
	case name != "" || kind == "custom":
		o.ignore("deviceInfo", "attributes", "timeseries", "useEval", "useReceivedTs")
		return l.custom(o, name)
	case kind == "json":
		return l.json(o, report)
	case kind == "bytes":
		return l.bytes(o, report)
	case kind == "":
		o.add("type", errors.New("is missing"))
	default:
		o.oneOf("type", kind, "json, bytes, custom")
	}
	o.ignore(slices.Collect(maps.Keys(o.fields))...)
	return nil
}

// custom makes a converter that the program knows by name. With sharedGlobal all
// mappings that name it have one, and with sharedId those with the same one.
func (l *loader) custom(o *object, name string) UplinkConverter {
	config := o.raw("extensionConfig")
	share := o.text("sharedId")
	if o.flag("sharedGlobal", false) {
		share = "global"
	}
	if name == "" {
		o.add("extension", errors.New("is missing"))
		return nil
	}
	shareKey := name + "\x00" + share
	if c := l.shared[shareKey]; c != nil && share != "" {
		return c
	}
	construct, ok := l.options.converters[name]
	if !ok {
		known := slices.Sorted(maps.Keys(l.options.converters))
		o.add("extension", fmt.Errorf("no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", ")))
		return nil
	}
	c, err := construct(config)
	if err == nil && c == nil {
		err = fmt.Errorf("converter %q could not be made", name)
	}
	o.add("extensionConfig", err)
	l.shared[shareKey] = c
	return c
}

func (l *loader) json(o *object, report *telemetry.ReportPolicy) UplinkConverter {
	o.unused("sharedGlobal", "sharedId")
	device, report := o.device(report)
	cfg := JSONConfig{
		Device:          device,
		Compatible:      l.compatible,
		UseReceivedTime: o.flag("useReceivedTs", false),
		Evaluate:        o.flag("useEval", false),
	}
	cfg.Attributes, cfg.AllAttributes = l.datapoints(o, "attributes", report)
	cfg.Timeseries, cfg.AllTimeseries = l.datapoints(o, "timeseries", report)
	return compileJSON(cfg, o.problems)
}

func (l *loader) bytes(o *object, report *telemetry.ReportPolicy) UplinkConverter {
	o.unused("sharedGlobal", "sharedId", "useEval", "useReceivedTs")
	device, report := o.device(report)
	cfg := BytesConfig{Device: device, Compatible: l.compatible}
	var allAttributes, allTimeseries bool
	cfg.Attributes, allAttributes = l.datapoints(o, "attributes", report)
	cfg.Timeseries, allTimeseries = l.datapoints(o, "timeseries", report)
	if allAttributes || allTimeseries {
		o.add("", errors.New(`"*" is for messages in JSON only`))
	}
	return compileBytes(cfg, o.problems)
}

// device reads "deviceInfo", in which a device's own way to report may be.
func (o *object) device(outer *telemetry.ReportPolicy) (DeviceInfo, *telemetry.ReportPolicy) {
	info := o.object("deviceInfo")
	defer info.finish()
	return DeviceInfo{
		Name:    info.expression("deviceNameExpression", "deviceNameExpressionSource"),
		Profile: info.expression("deviceProfileExpression", "deviceProfileExpressionSource"),
	}, info.report(outer)
}

func (o *object) expression(key, sourceKey string) Expression {
	e := Expression{Text: o.text(key)}
	switch source := strings.ToLower(o.text(sourceKey)); source {
	case "", "message":
	case "topic":
		e.Source = FromTopic
	case "constant":
		e.Source = Constant
	default:
		o.oneOf(sourceKey, source, "message, topic, constant")
	}
	return e
}

// datapoints reads a list of keys. An element "*", or "*" instead of the list,
// stands for all.
func (l *loader) datapoints(o *object, key string, report *telemetry.ReportPolicy) (points []Datapoint, all bool) {
	if raw := o.raw(key); raw != nil && isStar(raw) {
		return nil, true
	}
	for i, raw := range o.elements(key) {
		if isStar(raw) {
			all = true
			continue
		}
		points = append(points, l.datapoint(l.object(raw, o.item(key, i)), report))
	}
	return points, all
}

func isStar(raw json.RawMessage) bool {
	var text string
	return json.Unmarshal(raw, &text) == nil && text == "*"
}

func (l *loader) datapoint(o *object, report *telemetry.ReportPolicy) Datapoint {
	defer o.finish()
	d := Datapoint{
		Key:       o.expression("key", "keySource"),
		Value:     o.text("value"),
		Type:      o.text("type"),
		TimeField: o.text("tsField"),
		DayFirst:  o.flag("dayfirst", false),
		YearFirst: o.flag("yearfirst", false),
		HexMode:   o.flag("hexMode", false),
		Decode:    strings.ToLower(o.text("decode")),
		Report:    o.report(report),
	}
	if !o.has("value") {
		o.add("value", errors.New("is missing"))
	}
	switch order := strings.ToLower(o.text("byteOrder")); order {
	case "", "big":
	case "little":
		d.LittleEndian = true
	default:
		o.oneOf("byteOrder", order, "big, little")
	}
	return d
}

// onChange reads "sendDataOnlyOnChange", an older word for the strategy ON_CHANGE;
// without it, outer counts.
func (o *object) onChange(outer *telemetry.ReportPolicy) *telemetry.ReportPolicy {
	if !o.flag("sendDataOnlyOnChange", false) {
		return outer
	}
	return &telemetry.ReportPolicy{Mode: telemetry.OnChange}
}

// report reads "reportStrategy"; without one, outer counts.
func (o *object) report(outer *telemetry.ReportPolicy) *telemetry.ReportPolicy {
	if !o.has("reportStrategy") {
		return outer
	}
	s := o.object("reportStrategy")
	defer s.finish()
	s.unused("ttl", "aggregationFunction")
	p := &telemetry.ReportPolicy{Period: time.Duration(s.number("reportPeriod", 10_000, 1, 1<<40)) * time.Millisecond}
	switch mode := strings.ToUpper(s.text("type")); mode {
	case "", "ON_RECEIVED", "DISABLED":
		p.Mode = telemetry.OnReceived
	case "ON_CHANGE":
		p.Mode = telemetry.OnChange
	case "ON_REPORT_PERIOD":
		p.Mode = telemetry.OnPeriod
	case "ON_CHANGE_OR_REPORT_PERIOD":
		p.Mode = telemetry.OnChangeOrPeriod
	default:
		s.oneOf("type", mode, "ON_RECEIVED, ON_CHANGE, ON_REPORT_PERIOD, ON_CHANGE_OR_REPORT_PERIOD, DISABLED")
	}
	return p
}
