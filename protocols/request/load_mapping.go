package request

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// endpoint reads an element of "mapping".
func (l loader) endpoint(o *conf.Object) Endpoint {
	defer o.Finish()
	e := Endpoint{
		Request:     request(o, "url"),
		Period:      o.Duration("scanPeriod", time.Second, DefaultPeriod),
		Format:      o.OneOf("responseFormat", "", "json", "xml", "csv", "text"),
		NoHeader:    !o.Flag("csvHeader", true),
		Items:       o.Text("dataUnpackExpression", ""),
		Conditional: o.Flag("onlyChanged", false),
		Pages:       pages(o.Object("pagination")),
	}
	if o.Has("scanPeriod") && e.Period <= 0 {
		o.Fail("scanPeriod", errors.New("is not positive"))
	}
	if comma := o.Text("csvDelimiter", ","); utf8.RuneCountInString(comma) == 1 {
		e.Comma, _ = utf8.DecodeRuneInString(comma)
	} else {
		o.Failf("csvDelimiter", "%q is not one character", comma)
	}
	body(o, &e.Request)
	for _, s := range o.Members("subRequests") {
		e.SubRequests = append(e.SubRequests, sub(s))
	}
	report := conf.ReportPolicy(o, nil)
	if !o.Has("converter") {
		o.Fail("converter", errors.New("is missing"))
	}
	l.converter(o.Object("converter"), report, &e)
	return e
}

// body reads "data", which is a form or a text, or else "content", which is JSON.
func body(o *conf.Object, r *Request) {
	data, content := o.Raw("data"), o.Raw("content")
	switch {
	case len(data) > 0 && data[0] == '{' && string(data) != "{}":
		r.Form = texts(o, "data")
	case len(data) > 0 && data[0] != '{' && text(data) != "":
		r.Body = text(data)
	case content != nil:
		r.Body = text(content)
	}
}

func pages(o *conf.Object) Pages {
	defer o.Finish()
	p := Pages{
		Parameter: o.Text("parameter", "cursor"),
		Max:       int(o.Int("maxPages", DefaultMaxPages, 1, 100_000)),
	}
	path := o.Text("path", "")
	switch o.OneOf("type", "", "link", "cursor") {
	case "link":
		p.Link, p.Next = true, path
	case "cursor":
		if p.Cursor = path; path == "" {
			o.Fail("path", errors.New("is missing"))
		}
	default:
		if !o.Empty() {
			o.Fail("type", errors.New("is missing"))
		}
		return Pages{}
	}
	return p
}

func sub(m conf.Member) SubRequest {
	defer m.Finish()
	s := SubRequest{Key: m.Name, URL: m.Required("url"), Value: m.Text("valueExpression", "")}
	if source := m.Text("processingFunction", ""); strings.TrimSpace(source) != "" && !m.Has("valueExpression") {
		m.Fail("processingFunction", errors.New("is Python, which is not run here; valueExpression says what to take of the answer, such as ${status}"))
	}
	return s
}

// converter reads the converter of e.
func (l loader) converter(o *conf.Object, report *telemetry.ReportPolicy, e *Endpoint) {
	defer o.Finish()
	report = conf.ReportPolicy(o, report)
	kind := o.OneOf("type", "json", "json", "custom")
	name := o.Text("extension", "")
	configKey := "extensionConfig"
	if !o.Has(configKey) && o.Has("extension-config") {
		configKey = "extension-config"
	}
	o.Ignore("extensionConfig", "extension-config")
	config := o.Raw(configKey)
	key := "telemetry"
	if o.Has("timeseries") {
		key = "timeseries"
	}
	e.JSON = JSONConfig{
		Device: o.Text("deviceNameJsonExpression", ""), Profile: o.Text("deviceTypeJsonExpression", "default"),
		Attributes: datapoints(o, "attributes", report), Timeseries: datapoints(o, key, report),
		Types: o.Flag("convertTypes", false),
	}
	if construct, ok := l.converters[name]; ok {
		c, err := construct(config)
		if err == nil && c == nil {
			err = errors.New("the converter could not be made")
		}
		o.Fail(configKey, err)
		e.Converter, e.JSON = c, JSONConfig{}
		return
	}
	switch {
	case kind == "custom" && name == "":
		o.Fail("extension", errors.New("is missing"))
	case kind == "custom" || name != "" && name != "JsonRequestUplinkConverter":
		known := slices.Sorted(maps.Keys(l.converters))
		o.Failf("extension", "no converter %q is linked into this program (it has: %s)", name, strings.Join(known, ", "))
	case e.JSON.Device == "":
		o.Fail("deviceNameJsonExpression", errors.New("is missing"))
	}
}

func datapoints(o *conf.Object, key string, report *telemetry.ReportPolicy) []Datapoint {
	var list []Datapoint
	for _, p := range o.Objects(key) {
		list = append(list, Datapoint{
			Key: p.Required("key"), Value: p.Required("value"), Type: p.Text("type", ""), TimeField: p.Text("tsField", ""),
			DayFirst: p.Flag("dayfirst", false), YearFirst: p.Flag("yearfirst", false), Report: conf.ReportPolicy(p, report),
		})
		p.Finish()
	}
	return list
}
