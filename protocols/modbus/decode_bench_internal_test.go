package modbus

import (
	"fmt"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

func BenchmarkDecodeAHundredRegisters(b *testing.B) {
	for _, typ := range []DataType{Uint16, Float32} {
		b.Run(fmt.Sprint(100/max(typ.registers(), 1), " values"), func(b *testing.B) {
			var registers []Register
			for a := 0; a < 100; a += typ.registers() {
				registers = append(registers, Register{Key: fmt.Sprint("r", a), Address: uint16(a), Type: typ, Scale: 0.1})
			}
			net, err := compile(Config{Devices: []Device{{Name: "m", URL: "tcp://x", Registers: registers}}})
			if err != nil {
				b.Fatal(err)
			}
			g := net.targets[0].groups[0]
			data := make([]byte, 200)
			for i := range data {
				data[i] = byte(i)
			}
			b.ReportAllocs()
			for b.Loop() {
				g.batch.Reset()
				g.batch.Device("m", "p")
				g.accept(&g.blocks[0], data, 1)
			}
		})
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	registers := []Register{
		{Key: "a", Scale: 0.1},
		{Key: "b", Address: 2, Type: Float32},
		{Key: "c", Address: 4, Type: String, Count: 4},
		{Key: "d", Address: 8, Type: Bits, Count: 16},
		{Key: "e", Address: 9, Variants: map[string]telemetry.Value{"0": telemetry.String("x")}},
	}
	net, err := compile(Config{Devices: []Device{{Name: "m", URL: "tcp://x", Poll: time.Second, Registers: registers}}})
	if err != nil {
		t.Fatal(err)
	}
	g := net.targets[0].groups[0]
	data := make([]byte, 20)
	allocs := testing.AllocsPerRun(100, func() {
		g.batch.Reset()
		g.batch.Device("m", "p")
		g.accept(&g.blocks[0], data, 1)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
