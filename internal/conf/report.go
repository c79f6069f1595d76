package conf

import (
	"math"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// defaultPeriod is the period of a report strategy that names none, as with the
// reference gateway.
const defaultPeriod = 10 * time.Second

// ReportPolicy reads "reportStrategy" of o, or its predecessor
// "sendDataOnlyOnChange". It returns outer if there is neither. Policies that are
// equal are not the same pointer: read each once.
//
//	{"reportStrategy": {
//		"type": "ON_CHANGE",          // or ON_RECEIVED, ON_REPORT_PERIOD, ON_CHANGE_OR_REPORT_PERIOD, DISABLED
//		"reportPeriod": 10000,        // milliseconds, for the types with a period
//		"ttl": 86400,                 // seconds after which an equal value is reported again; 0: never
//		"deadband": 0.5,              // smallest change of a number
//		"deadbandPercent": 1,         // the same in percent of the last reported value
//		"minReportPeriod": 1000,      // milliseconds between two reports at least
//		"aggregationFunction": "AVG", // or LAST, MIN, MAX, SUM, COUNT; for ON_REPORT_PERIOD
//		"repeat": true,               // the last value in periods without a reading
//		"attributes": {…}             // the same for attributes, if they differ
//	}}
func ReportPolicy(o *Object, outer *telemetry.ReportPolicy) *telemetry.ReportPolicy {
	onChange := o.Flag("sendDataOnlyOnChange", false)
	if !o.Has("reportStrategy") {
		strategy(o.Object("reportStrategy"), true) // so that its keys are known
		if onChange {
			return &telemetry.ReportPolicy{Mode: telemetry.OnChange}
		}
		return outer
	}
	return strategy(o.Object("reportStrategy"), true)
}

// strategy reads s. With attributes, they can have a strategy of their own in it.
func strategy(s *Object, attributes bool) *telemetry.ReportPolicy {
	defer s.Finish()
	p := &telemetry.ReportPolicy{}
	switch s.OneOf("type", "on_received", "on_received", "on_change", "on_report_period", "on_change_or_report_period", "disabled") {
	case "on_change":
		p.Mode = telemetry.OnChange
	case "on_report_period":
		p.Mode = telemetry.OnPeriod
	case "on_change_or_report_period":
		p.Mode = telemetry.OnChangeOrPeriod
	default:
		p.Mode = telemetry.OnReceived
	}
	p.Period = s.Duration("reportPeriod", time.Millisecond, defaultPeriod)
	if p.Period <= 0 && (p.Mode == telemetry.OnPeriod || p.Mode == telemetry.OnChangeOrPeriod) {
		s.Failf("reportPeriod", "is not a positive number of milliseconds")
		p.Period = defaultPeriod
	}
	p.TTL = s.Duration("ttl", time.Second, 0)
	p.Deadband = s.Float("deadband", 0, 0, math.MaxFloat64)
	p.DeadbandPercent = s.Float("deadbandPercent", 0, 0, math.MaxFloat64)
	p.MinInterval = s.Duration("minReportPeriod", time.Millisecond, 0)
	p.Aggregate = aggregation(s)
	p.Repeat = s.Flag("repeat", false)
	if p.Aggregate != telemetry.AggregateLast && p.Mode != telemetry.OnPeriod {
		s.Warn("aggregationFunction", "has an effect with the type ON_REPORT_PERIOD only")
		p.Aggregate = telemetry.AggregateLast
	}
	if p.Repeat && (p.Mode != telemetry.OnPeriod && p.Mode != telemetry.OnChangeOrPeriod || p.Aggregate != telemetry.AggregateLast) {
		s.Warn("repeat", "has an effect with the types with a period only, and without an aggregationFunction")
		p.Repeat = false
	}
	if attributes {
		if s.note("attributes", Key{Kind: Dict}); s.Has("attributes") {
			p.Attributes = strategy(s.Object("attributes"), false)
		}
	}
	return p
}

// aggregation reads the aggregation of s, whose name NONE is that of the
// platform.
func aggregation(s *Object) telemetry.Aggregation {
	choices := []string{"last", "min", "max", "avg", "sum", "count", "none"} // in the order of the constants
	name := s.OneOf("aggregationFunction", choices[0], choices...)
	return telemetry.Aggregation(slices.Index(choices, name) % len(choices[1:]))
}
