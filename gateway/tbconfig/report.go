package tbconfig

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// policy returns the report policy of the gateway. Without one every reading is
// reported.
func (f *File) policy(log *slog.Logger) (telemetry.ReportPolicy, error) {
	fields := map[string]any{"reportStrategy": f.ThingsBoard.ReportStrategy}
	doc, err := encode(fields)
	if err != nil {
		return telemetry.ReportPolicy{}, fmt.Errorf("thingsboard.reportStrategy: %w", err)
	}
	r := conf.NewReader(log)
	p := conf.ReportPolicy(r.Root(doc), &telemetry.ReportPolicy{})
	if err := r.Done(); err != nil {
		return *p, fmt.Errorf("thingsboard.%w", err)
	}
	return *p, nil
}
