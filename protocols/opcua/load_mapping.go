package opcua

import (
	"encoding/json"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// mapping reads a mapping in its form of today or in the old one.
func (f *file) mapping(o *conf.Object) {
	defer o.Finish()
	info := o.Object("deviceInfo")
	defer info.Finish()
	m := Mapping{
		Node:       o.Required("deviceNodePattern"),
		DeviceName: info.Text("deviceNameExpression", o.Text("deviceNamePattern", "")),
		Profile:    info.Text("deviceProfileExpression", o.Text("deviceTypePattern", "default")),
		Report:     conf.ReportPolicy(o, f.report),
	}
	// What an expression is can be seen from it.
	o.Ignore("deviceNodeSource")
	info.Ignore("deviceNameExpressionSource", "deviceProfileExpressionSource")
	if name := o.Text("converter", ""); name != "" && name != "OpcUaUplinkConverter" {
		o.Failf("converter", "%q is a converter in Python, which cannot be run", name)
	}
	failures := f.r.Failures()
	m.Telemetry = f.items(o, "timeseries", m.Report)
	m.Attributes = f.items(o, "attributes", m.Report)
	for _, u := range o.Objects("attributes_updates") {
		m.Updates = append(m.Updates, update(u))
	}
	for _, r := range o.Objects("rpc_methods") {
		m.Methods = append(m.Methods, f.method(r))
	}
	if f.r.Failures() == failures {
		f.check(o, m)
	}
	f.cfg.Mappings = append(f.cfg.Mappings, m)
}

// check refuses what compilation refuses, with the path of the mapping.
func (f *file) check(o *conf.Object, m Mapping) {
	if m.Node == "" {
		return // reported
	}
	if _, err := newMapping(m); err != nil {
		for _, e := range split(err) {
			o.Fail("", e)
		}
	}
}

func (f *file) items(o *conf.Object, section string, report *telemetry.ReportPolicy) (list []Item) {
	for _, e := range o.Objects(section) {
		it := Item{
			Key: e.Required("key"), Node: e.Text("value", e.Text("path", "")),
			Report:          conf.ReportPolicy(e, report),
			Sampling:        e.Duration("samplingInMillis", time.Millisecond, 0),
			QueueSize:       int(e.Int("queueSize", 0, 0, 10000)),
			Deadband:        e.Float("deadband", 0, 0, 1e300),
			DeadbandPercent: e.OneOf("deadbandType", "absolute", "absolute", "percent") == "percent",
		}
		switch e.OneOf("timestampLocation", "gateway", "gateway", "sourcetimestamp", "servertimestamp") {
		case "sourcetimestamp":
			it.Time = SourceTime
		case "servertimestamp":
			it.Time = ServerTime
		}
		if it.Node == "" {
			e.Failf("value", "is missing")
		}
		kind := "" // of the old form, which says nothing of it
		if e.Has("path") && !e.Has("value") {
			kind = "constant"
		}
		it.constant = e.Text("type", kind) == "constant" && constant(it.Node)
		e.Finish()
		list = append(list, it)
	}
	return list
}

// constant reports whether the text of a value is one, rather than a node: the
// older files call whatever they do not understand a constant.
func constant(s string) bool {
	if unwrap(s) != s {
		return false
	}
	a, err := parseAddress(s)
	return err != nil || a.id == nil && a.uri == "" && !a.absolute
}

func update(o *conf.Object) Update {
	defer o.Finish()
	o.Ignore("type")
	u := Update{Key: o.Text("key", o.Text("attributeOnThingsBoard", "")), Node: o.Text("value", o.Text("attributeOnDevice", ""))}
	if u.Key == "" {
		o.Failf("key", "is missing")
	}
	if u.Node == "" {
		o.Failf("value", "is missing")
	}
	return u
}

// method reads a method, whose arguments are values, or objects with one.
func (f *file) method(o *conf.Object) Method {
	defer o.Finish()
	m := Method{Name: o.Required("method")}
	for i, raw := range o.Elements("arguments") {
		var arg struct {
			Value json.RawMessage
		}
		if json.Unmarshal(raw, &arg) == nil {
			raw = arg.Value
		}
		var v telemetry.Value
		if len(raw) > 0 {
			var err error
			if v, err = jsonValue(raw); err != nil {
				f.r.Fail(o.Item("arguments", i), err)
			}
		}
		m.Arguments = append(m.Arguments, v)
	}
	return m
}
