package bacnettest_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A device that answers over UDP.
func ExampleListen() {
	d := bacnettest.NewDevice(1234, "AHU")
	d.Set(wire.NewObjectID(wire.AnalogInput, 1), wire.PresentValue, wire.RealValue(21.5))
	s, err := bacnettest.Listen("127.0.0.1:0", d)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Close(), d.Instance)
	// Output: <nil> 1234
}
