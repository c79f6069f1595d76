package conf

import (
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// defaultPeriod is the period of a report strategy that names none, as with the
// reference gateway.
const defaultPeriod = 10 * time.Second

// ReportPolicy reads "reportStrategy" of o, or its predecessor
// "sendDataOnlyOnChange". It returns outer if there is neither. Policies that are
// equal are not the same pointer: read each once.
func ReportPolicy(o *Object, outer *telemetry.ReportPolicy) *telemetry.ReportPolicy {
	onChange := o.Flag("sendDataOnlyOnChange", false)
	if !o.Has("reportStrategy") {
		o.note("reportStrategy", Key{Kind: Dict})
		if onChange {
			return &telemetry.ReportPolicy{Mode: telemetry.OnChange}
		}
		return outer
	}
	s := o.Object("reportStrategy")
	defer s.Finish()
	s.Unused("ttl", "aggregationFunction")
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
	return p
}
