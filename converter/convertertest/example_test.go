package convertertest_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// TestVectors is how the package of a protocol runs its vectors: each is a
// configuration, the message that comes in, and what is stored. Here the
// configuration is the name of a key whose values are doubled.
func TestVectors(t *testing.T) {
	convertertest.Run(t, convertertest.Suite{
		Folder: "doubling",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			var key string
			var reading int64
			if err := json.Unmarshal(v.Config, &key); err != nil {
				tb.Fatal(err)
			}
			if err := json.Unmarshal(v.Input, &reading); err != nil {
				return nil, err // the input is refused
			}
			var b telemetry.Batch
			b.Device("meter", "")
			b.Telemetry(key, telemetry.Int(2*reading))
			return &b, nil
		},
		Better: map[string]string{"negative": `[{"deviceName":"meter","telemetry":[{"ts":"NOW","values":{"power":-8}}]}]`},
	})
}

func ExampleDiff() {
	want := json.RawMessage(`{"deviceName":"meter","telemetry":[{"ts":1700000000000,"values":{"power":5.0,"on":true}}]}`)
	var b telemetry.Batch
	b.Device("meter", "")
	b.Telemetry("on", telemetry.Bool(true))
	b.Telemetry("power", telemetry.Int(5))
	fmt.Println(convertertest.Diff(want, convertertest.Messages(&b), 1700000000000))
	// Output: [0].telemetry[0].values.power: want 5.0, got 5
}
