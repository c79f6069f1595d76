package modbus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// planOf shows the requests for registers given as "key@address" with a type.
func planOf(t *testing.T, d Device) []string {
	t.Helper()
	d.Name, d.URL = "d", "tcp://localhost"
	net, err := compile(Config{Devices: []Device{d}})
	require.NoError(t, err)
	var list []string
	for _, g := range net.targets[0].groups {
		list = append(list, show(g.blocks)...)
	}
	return list
}

func show(blocks []block) (list []string) {
	for _, b := range blocks {
		list = append(list, fmt.Sprintf("%d %d+%d", b.table.readFunction(), b.addr, b.count))
	}
	return list
}

func registers(table Table, typ DataType, addrs ...int) (list []Register) {
	for _, a := range addrs {
		list = append(list, Register{Key: fmt.Sprint(table, a), Table: table, Address: uint16(a), Type: typ})
	}
	return list
}

func span(from, to, step int) (list []int) {
	for a := from; a < to; a += step {
		list = append(list, a)
	}
	return list
}

func TestPlans(t *testing.T) {
	tests := []struct {
		name   string
		device Device
		want   string
	}{
		{"a hundred contiguous registers are one request", Device{Registers: registers(Holding, Uint16, span(0, 100, 1)...)}, "3 0+100"},
		{"a request holds up to 125 registers", Device{Registers: registers(Holding, Uint16, span(0, 126, 1)...)}, "3 0+125, 3 125+1"},
		{"a value of two registers is not cut", Device{Registers: registers(Holding, Uint32, span(0, 252, 2)...)}, "3 0+124, 3 124+124, 3 248+4"},
		{"gaps up to 16 are read over", Device{Registers: registers(Input, Uint16, 0, 17, 35)}, "4 0+18, 4 35+1"},
		{"gap is configurable", Device{MaxGap: 2, Registers: registers(Input, Uint16, 0, 3, 7)}, "4 0+4, 4 7+1"},
		{"no gap", Device{MaxGap: -1, Registers: registers(Holding, Uint16, 0, 1, 3)}, "3 0+2, 3 3+1"},
		{"size is configurable", Device{MaxRegisters: 10, Registers: registers(Holding, Uint16, span(0, 25, 1)...)}, "3 0+10, 3 10+10, 3 20+5"},
		{"tables are apart", Device{Registers: append(registers(Holding, Uint16, 1, 0), registers(Coil, Bool, 0, 60)...)}, "3 0+2, 1 0+61"},
		{"coils have limits of their own", Device{Registers: registers(Discrete, Bool, span(0, 2001, 60)...)}, "2 0+1981"},
		{"overlapping values are read once", Device{Registers: append(registers(Holding, Uint32, 0), registers(Holding, Uint16, 1)...)}, "3 0+2"},
		{"the end of the address space", Device{Registers: registers(Holding, Uint16, 65535, 65530)}, "3 65530+6"},
		{"intervals are apart", Device{Poll: time.Second, Registers: []Register{
			{Key: "slow", Address: 0, Poll: time.Minute}, {Key: "a", Address: 1}, {Key: "b", Address: 2},
		}}, "3 1+2, 3 0+1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, strings.Join(planOf(t, tt.device), ", "))
		})
	}
}

func TestABlockIsSplitAtItsGapsFirstAndThenIntoHalves(t *testing.T) {
	items := func(addrs ...int) (list []*item) {
		for _, a := range addrs {
			list = append(list, &item{field: field{addr: a, count: 1}})
		}
		return list
	}
	l := limits{gap: 16, registers: 125}
	b := plan(items(0, 1, 2, 5, 6, 9), l)
	require.Len(t, b, 1)
	require.Equal(t, []string{"3 0+3", "3 5+2", "3 9+1"}, show(b[0].split()))

	b = plan(items(0, 1, 2, 3, 9), l)
	require.Equal(t, []string{"3 0+4", "3 9+1"}, show(b[0].split()), "what is contiguous stays together")

	b = plan(items(0, 1, 2, 3, 4), l)
	require.Equal(t, []string{"3 0+2", "3 2+3"}, show(b[0].split()))

	// A value that overlaps the middle is not cut.
	wide := plan([]*item{
		{field: field{addr: 0, count: 4}},
		{field: field{addr: 1, count: 1}},
		{field: field{addr: 2, count: 1}},
		{field: field{addr: 4, count: 1}},
	}, l)
	require.Equal(t, []string{"3 0+4", "3 4+1"}, show(wide[0].split()))
	require.Nil(t, plan(items(7), l)[0].split())
	require.Nil(t, plan(items(7, 7), l)[0].split(), "two values of one register")
}
