package modbus

import (
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// reportPolicy reads a reportStrategy, or its predecessor, sendDataOnlyOnChange. It
// returns missing if there is neither.
func reportPolicy(o object, missing *telemetry.ReportPolicy) *telemetry.ReportPolicy {
	doc, ok := o.raw("reportStrategy")
	if !ok && o.flag("sendDataOnlyOnChange") {
		return &telemetry.ReportPolicy{Mode: telemetry.OnChange}
	}
	if !ok {
		return missing
	}
	s, ok := o.r.object(o.at("reportStrategy"), doc)
	if !ok {
		return missing
	}
	s.knows("type", "reportPeriod", "ttl", "aggregationFunction")
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
