package tbconfig

import (
	"fmt"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Policy returns the policy that s describes. The type DISABLED reports every
// reading, as ON_RECEIVED does.
func (s ReportStrategy) Policy() (telemetry.ReportPolicy, error) {
	mode, ok := strategy(s.Type)
	if !ok {
		return telemetry.ReportPolicy{}, fmt.Errorf("type: %q is not ON_RECEIVED, ON_CHANGE, ON_REPORT_PERIOD or ON_CHANGE_OR_REPORT_PERIOD", s.Type)
	}
	p := telemetry.ReportPolicy{Mode: mode}
	if mode == telemetry.OnPeriod || mode == telemetry.OnChangeOrPeriod {
		if s.ReportPeriod <= 0 {
			return p, fmt.Errorf("reportPeriod: %d is not a positive number of milliseconds", s.ReportPeriod)
		}
		p.Period = time.Duration(s.ReportPeriod) * time.Millisecond
	}
	return p, nil
}
