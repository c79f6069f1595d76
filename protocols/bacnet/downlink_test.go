package bacnet_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// commanded runs a connector to a device with objects of all types.
func commanded(t *testing.T) (*bacnettest.Device, *bacnet.Connector, *connectortest.Host) {
	t.Helper()
	n := &bacnettest.Network{}
	d := bacnettest.NewDevice(7, "AHU")
	for ot, v := range map[wire.ObjectType]wire.Value{
		wire.AnalogOutput: wire.RealValue(1), wire.BinaryOutput: wire.EnumeratedValue(0), wire.MultiStateOutput: wire.UnsignedValue(1),
		wire.IntegerValue: wire.SignedValue(1), wire.PositiveIntegerValue: wire.UnsignedValue(1), wire.LargeAnalogValue: wire.DoubleValue(1),
		wire.CharacterStringValue: wire.TextValue("x"), wire.OctetStringValue: wire.OctetsValue([]byte{1}), wire.BitStringValue: wire.BitsValue(true),
		wire.DateValue: wire.NewDate(time.Now()), wire.TimeValue: wire.NewTimeOfDay(time.Now()),
	} {
		d.Command(wire.NewObjectID(ot, 1), v)
	}
	d.Set(wire.NewObjectID(wire.AnalogOutput, 1), 9000, wire.BooleanValue(false)) // a proprietary property
	schedule := wire.NewObjectID(17, 1)
	d.Set(schedule, 174, wire.RealValue(0))
	require.NoError(t, n.Add(d, "192.0.2.10"))
	c := bacnet.New(all(n, func(d *bacnet.Device) {
		d.Items = nil
		d.AttributeUpdates = []bacnet.Command{
			{Method: "setpoint", Object: wire.NewObjectID(wire.AnalogOutput, 1), Property: wire.PresentValue, Write: true, Priority: 10},
			{Method: "gone", Object: wire.NewObjectID(wire.AnalogOutput, 99), Property: wire.PresentValue, Write: true},
			{Method: "mode", Object: wire.NewObjectID(wire.MultiStateOutput, 1), Property: wire.PresentValue, Write: true},
		}
	}))
	host := connectortest.NewHost(t)
	start(t, c, host)
	eventually(t, "it is online", online(host, "AHU"))
	return d, c, host
}

func TestValuesAreWrittenInTheTypeOfTheProperty(t *testing.T) {
	d, c, _ := commanded(t)
	for _, w := range []struct {
		params string
		want   wire.Value
	}{
		{`"objectType=analogOutput;objectId=1;propertyId=presentValue;priority=8;value=42;"`, wire.RealValue(42)},
		{`{"objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue", "priority": 8, "value": 21.5}`, wire.RealValue(21.5)},
		{`{"objectType": "analog-output", "objectId": 1, "propertyId": "85", "priority": 8, "value": null}`, wire.NullValue()},
		{`{"objectType": "binaryOutput", "objectId": 1, "propertyId": "presentValue", "value": true}`, wire.EnumeratedValue(1)},
		{`"objectType=binaryOutput;objectId=1;propertyId=presentValue;value=inactive;"`, wire.EnumeratedValue(0)},
		{`{"objectType": "multiStateOutput", "objectId": 1, "propertyId": "presentValue", "value": 3}`, wire.UnsignedValue(3)},
		{`{"objectType": "integerValue", "objectId": 1, "propertyId": "presentValue", "value": -70000}`, wire.SignedValue(-70000)},
		{`{"objectType": "positiveIntegerValue", "objectId": 1, "propertyId": "presentValue", "value": 70000.0}`, wire.UnsignedValue(70000)},
		{`{"objectType": "largeAnalogValue", "objectId": 1, "propertyId": "presentValue", "value": 1e100}`, wire.DoubleValue(1e100)},
		{`{"objectType": "characterstringValue", "objectId": 1, "propertyId": "presentValue", "value": "Größe; =5"}`, wire.TextValue("Größe; =5")},
		{`{"objectType": "octetstringValue", "objectId": 1, "propertyId": "presentValue", "value": "00ff"}`, wire.OctetsValue([]byte{0, 255})},
		{`{"objectType": "bitstringValue", "objectId": 1, "propertyId": "presentValue", "value": "0101"}`, wire.BitsValue(false, true, false, true)},
		{`{"objectType": "dateValue", "objectId": 1, "propertyId": "presentValue", "value": "2026-11-22"}`, wire.NewDate(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))},
		{`{"objectType": "timeValue", "objectId": 1, "propertyId": "presentValue", "value": "13:05"}`, wire.NewTimeOfDay(time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC))},
		{`{"objectType": "analogOutput", "objectId": 1, "propertyId": 9000, "value": true}`, wire.BooleanValue(true)},
		{`{"objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue", "dataType": "real", "value": "7"}`, wire.RealValue(7)},
	} {
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU", Method: "set", Params: json.RawMessage(w.params)})
		require.NoError(t, err, w.params)
		writes := d.Writes()
		require.Len(t, writes, 1, w.params)
		require.Equal(t, w.want.Append(nil), writes[0].Value, w.params)
	}
	for _, params := range []string{
		`{"objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue", "value": "warm"}`,
		`{"objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue", "value": 1e60}`,
		`{"objectType": "multiStateOutput", "objectId": 1, "propertyId": "presentValue", "value": -1}`,
		`{"objectType": "multiStateOutput", "objectId": 1, "propertyId": "presentValue", "value": 4294967296}`,
		`{"objectType": "integerValue", "objectId": 1, "propertyId": "presentValue", "value": 2147483648}`,
		`{"objectType": "integerValue", "objectId": 1, "propertyId": "presentValue", "value": -2147483649}`,
		`{"objectType": "binaryOutput", "objectId": 1, "propertyId": "presentValue", "value": 4294967297}`,
		`{"objectType": "binaryOutput", "objectId": 1, "propertyId": "presentValue", "value": -1}`,
		`{"objectType": "multiStateOutput", "objectId": 1, "propertyId": "presentValue", "value": 1.5}`,
		`{"objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue", "priority": 17, "value": 1}`,
		`{"objectType": "analogOutput", "objectId": 1, "propertyId": "presentValue"}`,
		`{"objectType": "analogOutput", "objectId": 9, "propertyId": "presentValue", "value": 1}`,
		`{"objectType": "octetstringValue", "objectId": 1, "propertyId": "presentValue", "value": "zz"}`,
		`5`, `""`, `"objectType"`, `[]`,
	} {
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU", Method: "set", Params: json.RawMessage(params)})
		require.Error(t, err, params)
		require.Empty(t, d.Writes(), params)
	}
}

func TestPropertiesAreReadOnCommand(t *testing.T) {
	_, c, _ := commanded(t)
	get := func(params string) (telemetry.Value, error) {
		return c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU", Method: "get", Params: json.RawMessage(params)})
	}
	v, err := get(`"objectType=analogOutput;objectId=1;propertyId=presentValue;"`)
	require.NoError(t, err)
	require.Equal(t, telemetry.Float32(1), v)
	v, err = get(`"objectType=analogOutput;objectId=1;propertyId=priorityArray[0];"`)
	require.NoError(t, err)
	require.Equal(t, telemetry.Int(16), v)
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{
		Device: "AHU", Method: "set",
		Params: json.RawMessage(`"objectType=analogOutput;objectId=1;propertyId=presentValue;priority=8;value=42;"`),
	})
	require.NoError(t, err)
	v, err = get(`"objectType=analogOutput;objectId=1;propertyId=priorityArray;"`)
	require.NoError(t, err)
	require.JSONEq(t, `[null,null,null,null,null,null,null,42.0,null,null,null,null,null,null,null,null]`, v.String())
	_, err = get(`"objectType=analogOutput;objectId=5;propertyId=presentValue;"`)
	require.EqualError(t, err, "bacnet: AHU get: analog-output,5:present-value: object: unknown-object")
}

func TestWeeklySchedulesAreWrittenAndRead(t *testing.T) {
	_, c, _ := commanded(t)
	week := `[[["08:00:00",21.5],["17:30:00",18.0]],[],[],[],[],[],[["10:00:00",19.0]]]`
	params, err := json.Marshal(map[string]any{"objectType": "schedule", "objectId": 1, "propertyId": "weeklySchedule", "value": json.RawMessage(week)})
	require.NoError(t, err)
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU", Method: "set", Params: params})
	require.NoError(t, err)
	v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU", Method: "get", Params: json.RawMessage(`"objectType=schedule;objectId=1;propertyId=weeklySchedule;"`)})
	require.NoError(t, err)
	require.JSONEq(t, week, v.String())
}

func TestAttributeUpdatesAreWrittenAndErrorsNameTheObject(t *testing.T) {
	d, c, _ := commanded(t)
	require.Equal(t, []string{"gone", "mode", "setpoint"}, c.SharedAttributes("AHU"))
	err := c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "AHU", Attributes: []telemetry.Point{
		{Key: "gone", Value: telemetry.Int(1)}, {Key: "setpoint", Value: telemetry.Float(21.5)}, {Key: "other", Value: telemetry.Int(1)}, {Key: "mode", Value: telemetry.Int(2)},
	}})
	require.EqualError(t, err, "bacnet: AHU gone: analog-output,99:present-value: object: unknown-object")
	writes := d.Writes()
	require.Len(t, writes, 2, "the others are written all the same")
	require.Equal(t, uint8(10), writes[0].Priority)
	require.Equal(t, wire.RealValue(21.5).Append(nil), writes[0].Value)
}

func TestACommandToASilentDeviceFailsInTime(t *testing.T) {
	d, c, _ := commanded(t)
	d.Silence(true)
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU", Method: "get", Params: json.RawMessage(`"objectType=analogOutput;objectId=1;propertyId=presentValue;"`)})
	require.ErrorIs(t, err, bacnet.ErrTimeout)
}
