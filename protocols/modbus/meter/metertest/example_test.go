package metertest_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter/metertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

func ExampleADW300() {
	s, err := modbustest.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for unit := range uint8(3) {
		metertest.ADW300(s.Unit(unit+1), 20)
	}
	volts := s.Unit(2).Word(modbus.Holding, 20) / 10
	fmt.Println(volts > 220 && volts < 240)
	// Output: true
}
