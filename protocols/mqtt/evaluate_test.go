package mqtt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// evaluated returns what useEval makes of a value, and whether it is kept.
func evaluated(t *testing.T, value, typ, payload string, compatible bool) telemetry.Value {
	t.Helper()
	c := newJSON(t, mqtt.JSONConfig{
		Compatible: compatible, Evaluate: true,
		Timeseries: []mqtt.Datapoint{{Key: key("v"), Type: typ, Value: value}},
	})
	var b telemetry.Batch
	require.NoError(t, c.ConvertUplink(mqtt.Message{Payload: []byte(payload)}, &b))
	if b.Empty() {
		return telemetry.Value{}
	}
	return b.Groups()[0].Telemetry[0].Value
}

func TestEvaluatedValues(t *testing.T) {
	const payload = `{"c":"20.5","n":-3,"m":7,"on":true,"s":"AM","r":"1+2*3","l":[4,5],"o":{"x":1},"z":0,"null":null,"big":9007199254740993}`
	doc, err := telemetry.JSON([]byte("[4,5]"))
	require.NoError(t, err)
	for _, c := range []struct {
		value, typ string
		want       telemetry.Value
	}{
		{"${c} * 9 / 5 + 32", "double", telemetry.Float(68.9)},
		{"${c}+1", "integer", telemetry.Int(21)},
		{"${c}+1", "string", telemetry.String("21.5")},
		{"${n} ** 2", "", telemetry.Int(9)}, // a variable, not its text
		{"${m} / 2 if ${on} else 0", "double", telemetry.Float(3.5)},
		{"${m} > 5", "boolean", telemetry.Bool(true)},
		{"${m} > 5", "integer", telemetry.Int(1)},
		{"${l}[1] * ${m}", "integer", telemetry.Int(35)},
		{"max(${m}, ${n}, ${m} * ${m})", "integer", telemetry.Int(49)},
		{"${big} + 2", "long", telemetry.Int(9007199254740995)},
		{"'${s}' == 'AM'", "boolean", telemetry.Bool(true)}, // filled in
		{"0x${m}", "integer", telemetry.Int(7)},
		{"${r}", "integer", telemetry.Int(7)},
		{"${r} + 1", "integer", telemetry.Int(8)},
		{"${r}", "string", telemetry.String("1+2*3")},
		{"5 * 3", "integer", telemetry.Int(15)},
		{"${l}", "", doc},
		{"${on}", "", telemetry.Bool(true)},

		{"${s}", "string", telemetry.String("AM")},
		{"${s}-${m}", "string", telemetry.String("AM-7")}, // a text that happens to be an expression
		{"${s} of ${m}", "string", telemetry.String("AM of 7")},
		{"${o}.x", "string", telemetry.String(`{"x":1}.x`)},
		{"running", "string", telemetry.String("running")},
		{"__import__('os')", "string", telemetry.String("__import__('os')")},
		{"${m} / ${z}", "double", telemetry.Value{}},
		{"${m} + ${null}", "double", telemetry.Value{}},
		{"${m} + ${gone}", "double", telemetry.Value{}},
		{"${m} * 1e308 * 1e308", "double", telemetry.Value{}},
	} {
		require.Equal(t, c.want, evaluated(t, c.value, c.typ, payload, false), "%s as %q", c.value, c.typ)
	}
}

// The results are those of Python's eval.
func TestEvaluatedValuesOfTheReferenceAreFilledInFirst(t *testing.T) {
	const payload = `{"n":-3,"on":true,"r":"1+2","s":"AM","o":{"x":1}}`
	for _, c := range []struct {
		value, typ string
		want       telemetry.Value
	}{
		{"${n} ** 2", "integer", telemetry.Int(-9)},
		{"${r} * 2", "integer", telemetry.Int(5)},
		{"${on}", "integer", telemetry.Int(1)},
		{"${on} + 0", "double", telemetry.Float(1)},
		{"${n} + 1", "string", telemetry.String("-3 + 1")}, // a text stays one
		{"${gone} is None", "boolean", telemetry.Bool(true)},
		{"${gone}", "double", telemetry.Value{}},
		{"${s}", "string", telemetry.String("AM")},
		{"${s}", "double", telemetry.String("AM")},
		{"${n} ** 2 / 2", "integer", telemetry.Int(-4)},
	} {
		require.Equal(t, c.want, evaluated(t, c.value, c.typ, payload, true), "%s as %q", c.value, c.typ)
	}
}

func TestEvaluatingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool allocate")
	}
	c := newJSON(t, mqtt.JSONConfig{Evaluate: true, Timeseries: []mqtt.Datapoint{
		{Key: key("f"), Type: "double", Value: "${temperature} * 9 / 5 + 32"},
		{Key: key("s"), Type: "string", Value: "${status}"},
		{Key: key("hot"), Type: "boolean", Value: "${temperature} > 80 and ${on}"},
	}})
	var out telemetry.Batch
	m := mqtt.Message{Payload: []byte(payload300)}
	convert := func() {
		out.Reset()
		if err := c.ConvertUplink(m, &out); err != nil || out.Len() != 3 {
			t.Fatal(err, out.Len())
		}
	}
	convert()
	require.Zero(t, testing.AllocsPerRun(1000, convert))
}
