package modbus_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestRemoteProcedureCalls(t *testing.T) {
	var bus modbustest.Bus
	u := bus.Unit(1)
	u.SetWords(modbus.Holding, 5, 215)
	u.SetFloat32(modbus.Input, 8, 12.5)
	u.Refuse(modbus.Holding, 90, 99, modbus.IllegalDataAddress)
	d := device("D1", 1,
		modbus.Register{Key: "setpoint", Address: 5, Scale: 0.1, Writable: true},
		modbus.Register{Key: "level", Table: modbus.Input, Address: 8, Type: modbus.Float32})
	d.RPC = []modbus.Command{
		{Method: "relay", Function: 5, Register: modbus.Register{Address: 3}},
		{Method: "getRelay", Function: 1, Register: modbus.Register{Address: 3}},
		{Method: "bad", Function: 6, Register: modbus.Register{Address: 95}},
	}
	c := modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}})
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D1", Method: "level"})
	require.ErrorContains(t, err, "not running")
	h, _ := run(t, c)
	h.Eventually(t, "first poll", func() bool { return h.last("D1", "level") != "" })

	tests := []struct {
		method, params, want, err string
	}{
		{"setpoint", `22.5`, "22.5", ""},
		{"setpoint", ``, "22.5", ""},
		{"setpoint", `null`, "22.5", ""},
		{"setpoint", `{"value": "30"}`, "30", ""},
		{"setpoint", `9999`, "", "not an unsigned integer of 16 bits"},
		{"setpoint", `"abc"`, "", `value "abc" is not a number`},
		{"level", ``, "12.5", ""},
		{"level", `3`, "", "not writable"},
		{"relay", `true`, "true", ""},
		{"getRelay", `null`, "true", ""},
		{"relay", ``, "", "no value to write"},
		{"bad", `1`, "", "exception 2 (illegal data address) to function 6"},
		{"nope", `1`, "", `method not found: nope`},
		{"get", `"type=16int;functionCode=3;objectsCount=1;address=5;"`, "300", ""},
		{"get", `"address=5; functionCode=3;type=16int"`, "300", ""},
		{"get", `"type=bits;functionCode=1;objectsCount=1;address=3;"`, "true", ""},
		{"get", `{"type": "uint", "functionCode": 3, "address": 5}`, "300", ""},
		{"set", `"type=16int;functionCode=6;objectsCount=1;address=8;value=55;"`, "55", ""},
		{"set", `"type=string;functionCode=16;objectsCount=4;address=40;value=a;b=c;"`, "a;b=c", ""},
		{"set", `{"type": "long", "functionCode": 16, "objectsCount": 4, "address": 50, "value": -7}`, "-7", ""},
		{"set", `"type=16int;functionCode=3;objectsCount=1;address=8;value=55;"`, "", "functionCode: 3"},
		{"get", `"type=16int;functionCode=6;address=8"`, "", "functionCode: 6"},
		{"get", `"type=48int;functionCode=3;address=8"`, "", `"48int"`},
		{"get", `"typ=16int"`, "", `unknown setting "typ"`},
		{"get", `"type=16int;functionCode=3;address=70000"`, "", "address"},
		{"get", `7`, "", "not a text"},
	}
	for _, tt := range tests {
		v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D1", Method: tt.method, Params: json.RawMessage(tt.params)})
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, "%s %s", tt.method, tt.params)
			continue
		}
		require.NoError(t, err, "%s %s", tt.method, tt.params)
		require.Equal(t, tt.want, v.String(), "%s %s", tt.method, tt.params)
	}
	require.EqualValues(t, 0x613b, u.Word(modbus.Holding, 40))
	require.EqualValues(t, 0xFFF9, u.Word(modbus.Holding, 53))
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{Device: "Ghost", Method: "get"})
	require.ErrorContains(t, err, `no device "Ghost"`)
}

func TestAttributeUpdatesWriteWhatTheyNameAndReportEveryFailure(t *testing.T) {
	var bus modbustest.Bus
	u := bus.Unit(1)
	u.Refuse(modbus.Holding, 90, 99, modbus.IllegalDataAddress)
	d := device("D1", 1, modbus.Register{Key: "limit", Address: 5, Writable: true})
	d.AttributeUpdates = []modbus.Command{
		{Method: "f", Function: 16, Register: modbus.Register{Address: 30, Type: modbus.Float32, Order: modbus.CDAB}},
		{Method: "coils", Function: 15, Register: modbus.Register{Address: 7, Type: modbus.Bits, Count: 3}},
		{Method: "bad", Function: 6, Register: modbus.Register{Address: 95}},
	}
	c := modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}})
	h, _ := run(t, c)
	h.Eventually(t, "first poll", func() bool { return h.last("D1", "limit") != "" })
	require.Equal(t, []string{"bad", "coils", "f", "limit"}, c.SharedAttributes("D1"), "they are asked for when the device is announced")
	require.Empty(t, c.SharedAttributes("Ghost"))
	list, err := telemetry.JSON([]byte(`[true, false, true]`))
	require.NoError(t, err)
	err = c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "D1", Attributes: []telemetry.Point{
		{Key: "bad", Value: telemetry.Int(1)},
		{Key: "other", Value: telemetry.Int(1)},
		{Key: "limit", Value: telemetry.Int(99)},
		{Key: "f", Value: telemetry.Float(2.5)},
		{Key: "coils", Value: list},
	}})
	require.ErrorContains(t, err, "modbus: D1 bad: exception 2")
	require.EqualValues(t, 99, u.Word(modbus.Holding, 5))
	require.EqualValues(t, 0x4020, u.Word(modbus.Holding, 31))
	require.Equal(t, []bool{true, false, true, false}, []bool{u.Bit(modbus.Coil, 7), u.Bit(modbus.Coil, 8), u.Bit(modbus.Coil, 9), u.Bit(modbus.Coil, 10)})
}

func TestACommandToADeadDeviceEndsWithItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		bus.Unit(1).SetSilent(true)
		d := device("m", 1, modbus.Register{Key: "r", Writable: true})
		d.Timeout = 10 * time.Second
		c := modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}})
		_, _ = run(t, c)
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.HandleRPC(ctx, connector.RPCRequest{Device: "m", Method: "r", Params: json.RawMessage("1")})
		require.Error(t, err)
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}
