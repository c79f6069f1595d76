package opcua_test

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func FuzzFile(f *testing.F) {
	f.Add(`{"server":{"url":"opc.tcp://h:1","identity":{"type":"anonymous"}},"mapping":[{"deviceNodePattern":"Root\\.Objects\\.A","deviceInfo":{"deviceNameExpression":"${x}"},"timeseries":[{"key":"a","value":"${ns=2;i=5}"}]}]}`)
	f.Add(`{"server":{"url":"h","mapping":[{"deviceNodePattern":"i=5","deviceNamePattern":"d","rpc_methods":[{"method":"m","arguments":[1,{"value":2}]}]}]}}`)
	f.Fuzz(func(_ *testing.T, doc string) {
		_, _ = opcua.Type().New(json.RawMessage(doc), connector.Env{Logger: slog.New(slog.DiscardHandler)})
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{`Root\.Objects\.2:A[0-9]`, "ns=2;s=x", "nsu=urn:x;i=5", "${a}", "x ${ns=1;g=00112233-4455-6677-8899-aabbccddeeff} y", `\.`, "b=AA=="} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = opcua.ParseAddress(s), opcua.ParseTemplate(s)
	})
}

func FuzzReserved(f *testing.F) {
	f.Add("set", `"ns=2;s=a=b; 5"`)
	f.Add("get", `{"node":"x"}`)
	f.Fuzz(func(t *testing.T, method, params string) {
		name, _, err := opcua.ParseReserved(method, params)
		if err == nil {
			require.NotEmpty(t, name)
		}
	})
}

// FuzzStructure decodes bodies as structures with a field of each kind.
func FuzzStructure(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, uint8(0))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0}, uint8(1))
	f.Add([]byte{2, 0, 0, 0}, uint8(2))
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		doc, ok := opcua.DecodeStructure(body, ua.StructureType(kind%3))
		if ok {
			require.True(t, json.Valid(doc), "%s", doc)
		}
	})
}

func FuzzCoerce(f *testing.F) {
	f.Add("[1,2]", uint8(4), true)
	f.Add("5e3", uint8(7), false)
	f.Fuzz(func(_ *testing.T, s string, kind uint8, array bool) {
		_, _ = opcua.Coerce(telemetry.String(s), ua.TypeID(kind%26), array)
		_, _ = opcua.Coerce(telemetry.Restore(telemetry.KindJSON, 0, s), ua.TypeID(kind%26), array)
	})
}

func TestConvertingNumbersDoesNotAllocate(t *testing.T) {
	c := opcua.NewConverter(100)
	values := []*ua.DataValue{dataValue(true), dataValue(int32(-5)), dataValue(float32(1.5)), dataValue(2.5), dataValue(uint64(7)), dataValue("text")}
	for _, v := range values {
		require.Equal(t, 100, c.Convert(v))
		require.Zero(t, testing.AllocsPerRun(20, func() { c.Convert(v) }), "%T", v.Value.Value())
	}
}

func BenchmarkConvert(b *testing.B) {
	c := opcua.NewConverter(1000)
	v := dataValue(2.5)
	b.ReportAllocs()
	for b.Loop() {
		c.Convert(v)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/value")
}
