package telemetry_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/telemetry"
)

func ExampleReportPolicy_Changed() {
	p := telemetry.ReportPolicy{Mode: telemetry.OnChange, Deadband: 0.5}
	fmt.Println(p.Changed(telemetry.Float(21), telemetry.Float(21.3)))
	fmt.Println(p.Changed(telemetry.Float(21), telemetry.Float(21.5)))
	// Output:
	// false
	// true
}
