package monitor_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/monitor"
)

// A program adds what it counts itself.
func ExampleCollector() {
	alarms := monitor.CollectorFunc(func(m *monitor.Metrics) {
		m.Counter("plant_alarms_total", "Alarms that were raised.", 3, "hall", "north")
	})
	m := monitor.New(monitor.Config{
		Gateway:    func() gateway.Stats { return gateway.Stats{} }, // the Stats of a *gateway.Gateway
		Collectors: []monitor.Collector{alarms},
	})
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, "plant") {
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP plant_alarms_total Alarms that were raised.
	// # TYPE plant_alarms_total counter
	// plant_alarms_total{hall="north"} 3
}
