package telemetry_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/telemetry"
)

func ExampleBatch() {
	var b telemetry.Batch // made once, reused for each message
	b.Reset()
	b.Device("meter-7", "adw300")
	b.Telemetry("voltage", telemetry.Float32(230.1))
	b.Telemetry("energy", telemetry.Float(5))
	b.Attribute("serial", telemetry.String("0012"))

	for _, g := range b.Groups() {
		fmt.Println(g.Device.Name, g.Device.Profile)
		for _, p := range g.Telemetry {
			fmt.Println(p.Key, p.Value)
		}
	}
	// Output:
	// meter-7 adw300
	// voltage 230.1
	// energy 5.0
}
