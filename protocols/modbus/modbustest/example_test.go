package modbustest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

func ExampleListen() {
	s, err := modbustest.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.Unit(1).SetWords(modbus.Holding, 10, 0x1234)
	s.Unit(1).Refuse(modbus.Holding, 20, 29, modbus.IllegalDataAddress)

	t, err := modbus.Dial(context.Background(), s.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	for _, address := range []byte{10, 20} {
		pdu, err := t.Exchange(context.Background(), 1, []byte{3, 0, address, 0, 1}, time.Second)
		fmt.Printf("% x %v\n", pdu, err)
	}
	// Output:
	// 03 02 12 34 <nil>
	// 83 02 <nil>
}
