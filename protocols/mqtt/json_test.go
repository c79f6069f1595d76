package mqtt_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

type batch = telemetry.Batch

func constant(text string) mqtt.Expression {
	return mqtt.Expression{Source: mqtt.Constant, Text: text}
}

func key(name string) mqtt.Expression { return mqtt.Expression{Text: name} }

// points converts a message, whose time of receipt is 1.
func points(t *testing.T, c mqtt.UplinkConverter, topic, payload string) map[point]bool {
	t.Helper()
	var b telemetry.Batch
	require.NoError(t, c.ConvertUplink(mqtt.Message{Topic: topic, Payload: []byte(payload)}, &b))
	return batchPoints(&b, 1)
}

func newJSON(t testing.TB, cfg mqtt.JSONConfig) mqtt.UplinkConverter {
	t.Helper()
	if cfg.Device.Name.Text == "" {
		cfg.Device.Name = constant("Dev")
	}
	c, err := mqtt.NewJSON(cfg)
	require.NoError(t, err)
	return c
}

func pt(device, key string, ts int64, v telemetry.Value) point {
	return point{device: device, ts: ts, key: key, kind: v.Kind(), value: v.String()}
}

func TestDevicesOfAnArray(t *testing.T) {
	c := newJSON(t, mqtt.JSONConfig{
		Device:     mqtt.DeviceInfo{Name: key("${id}")},
		Timeseries: []mqtt.Datapoint{{Key: key("t"), Type: "double", Value: "${t}"}},
	})
	got := points(t, c, "x", `[{"id":"A","t":1,"ts":1000},{"t":9},5,{"id":"A","t":2,"ts":2000},{"id":"B","t":3}]`)
	require.Equal(t, map[point]bool{
		pt("A", "t", 1000, telemetry.Float(1)): true,
		pt("A", "t", 2000, telemetry.Float(2)): true,
		pt("B", "t", 1, telemetry.Float(3)):    true,
	}, got, "an element that does not convert costs the others nothing")

	var b telemetry.Batch
	require.Error(t, c.ConvertUplink(mqtt.Message{Payload: []byte(`[{"t":9},5]`)}, &b), "nothing converts")
	require.NoError(t, c.ConvertUplink(mqtt.Message{Payload: []byte(`[]`)}, &b))
}

func TestWildcardTakesEveryMemberWithItsType(t *testing.T) {
	c := newJSON(t, mqtt.JSONConfig{AllTimeseries: true})
	doc, err := telemetry.JSON([]byte(`{"c":2}`))
	require.NoError(t, err)
	require.Equal(t, map[point]bool{
		pt("Dev", "ts", 1, telemetry.Int(1699999000000)): true,
		pt("Dev", "a", 1, telemetry.Int(1)):              true,
		pt("Dev", "b", 1, doc):                           true,
		pt("Dev", "f", 1, telemetry.Float(1)):            true,
		pt("Dev", "s", 1, telemetry.String("x")):         true,
	}, points(t, c, "x", `{"ts":1699999000000,"a":1,"b":{"c":2},"f":1.0,"s":"x","n":null}`))
	require.Equal(t, map[point]bool{
		pt("Dev", "a", 1699999000000, telemetry.Int(1)): true,
	}, points(t, c, "x", `{"ts":1699999000000,"values":{"a":1}}`))
}

func TestTimeOfAReading(t *testing.T) {
	c := newJSON(t, mqtt.JSONConfig{Timeseries: []mqtt.Datapoint{
		{Key: key("own"), Value: "${a}", TimeField: "${m.at}"},
		{Key: key("any"), Value: "${a}", TimeField: "deep"},
		{Key: key("msg"), Value: "${a}"},
	}})
	a := telemetry.Int(5)
	for payload, want := range map[string][3]int64{
		`{"a":5,"ts":7}`:                                   {7, 7, 7},
		`{"a":5,"timestamp":8}`:                            {8, 8, 8},
		`{"a":5}`:                                          {1, 1, 1},
		`{"a":5,"ts":"9"}`:                                 {9, 9, 9},
		`{"a":5,"ts":0}`:                                   {1, 1, 1},
		`{"a":5,"ts":{}}`:                                  {1, 1, 1},
		`{"a":5,"ts":"2024-01-02T00:00:00Z"}`:              {1704153600000, 1704153600000, 1704153600000},
		`{"a":5,"ts":7,"m":{"at":1700000000}}`:             {1700000000000, 7, 7},
		`{"a":5,"ts":7,"m":{"at":"garbage"}}`:              {7, 7, 7},
		`{"a":5,"ts":7,"x":{"at":1,"deep":1700000000000}}`: {1000, 1700000000000, 7},
	} {
		require.Equal(t, map[point]bool{pt("Dev", "own", want[0], a): true, pt("Dev", "any", want[1], a): true, pt("Dev", "msg", want[2], a): true},
			points(t, c, "x", payload), payload)
	}
}

func TestUseReceivedTimeIgnoresTheTimesOfAMessage(t *testing.T) {
	for name, value := range map[string]string{"scanned": "${a}", "parsed": "${$..a}"} {
		c := newJSON(t, mqtt.JSONConfig{UseReceivedTime: true, Timeseries: []mqtt.Datapoint{{Key: key("k"), Value: value, TimeField: "at"}, {Key: key("l"), Value: "${a}"}}})
		require.Equal(t, map[point]bool{pt("Dev", "k", 1, telemetry.Int(5)): true, pt("Dev", "l", 1, telemetry.Int(5)): true},
			points(t, c, "x", `{"a":5,"ts":7,"at":1700000000}`), name)
	}
}

func TestMissingAndMistypedValuesAreCountedAndCostNothingElse(t *testing.T) {
	conv := newJSON(t, mqtt.JSONConfig{Timeseries: []mqtt.Datapoint{
		{Key: key("gone"), Value: "${gone}"},
		{Key: key("${name}"), Value: "${a}"},
		{Key: key("text"), Type: "integer", Value: "${s}"},
		{Key: key("a"), Type: "integer", Value: "${a}"},
		{Key: mqtt.Expression{Source: mqtt.FromTopic, Text: "no/(.*)"}, Value: "${a}"},
	}})
	c := mqtt.New(mqtt.Config{Broker: "tcp://localhost", Mappings: []mqtt.Mapping{{Filter: "x", Converter: conv}}})
	require.Equal(t, map[point]bool{
		pt("Dev", "text", 1, telemetry.String("abc")): true,
		pt("Dev", "a", 1, telemetry.Int(5)):           true,
	}, points(t, conv, "x", `{"a":5,"s":"abc"}`))
	require.Equal(t, mqtt.ValueStats{Missing: 3, Kept: 1}, c.Stats().Values)
}

func TestBadPayloadsAreErrors(t *testing.T) {
	c := newJSON(t, mqtt.JSONConfig{Timeseries: []mqtt.Datapoint{{Key: key("a"), Value: "${a}"}}})
	for _, payload := range []string{"", "bad json", "5", `"x"`, "null", `{"a":1`, `{"a":1}x`, `{"a":}`, "\x00"} {
		var b telemetry.Batch
		require.Error(t, c.ConvertUplink(mqtt.Message{Payload: []byte(payload)}, &b), "%q", payload)
	}
}

func TestBytesThatAreNotUTF8AreLeftOut(t *testing.T) {
	c := newJSON(t, mqtt.JSONConfig{AllTimeseries: true})
	require.Equal(t, map[point]bool{pt("Dev", "a", 1, telemetry.String("xy")): true}, points(t, c, "x", "{\"a\":\"x\xffy\"}"))
}

func TestConvertersRetainNothingOfTheMessage(t *testing.T) {
	c := newJSON(t, mqtt.JSONConfig{
		Device:     mqtt.DeviceInfo{Name: key("${id}")},
		Timeseries: []mqtt.Datapoint{{Key: key("${k}"), Value: "${s}"}, {Key: key("o"), Value: "${o}"}},
	})
	payload := []byte(`{"id":"dev1","k":"key1","s":"text1","o":{"x":"y"}}`)
	var b telemetry.Batch
	require.NoError(t, c.ConvertUplink(mqtt.Message{Payload: payload}, &b))
	want := batchPoints(&b, 1)
	for i := range payload {
		payload[i] = '!'
	}
	var other telemetry.Batch
	require.NoError(t, c.ConvertUplink(mqtt.Message{Payload: []byte(`{"id":"zzzz","k":"zzzz","s":"zzzzz","o":{"z":"z"}}`)}, &other))
	require.Equal(t, want, batchPoints(&b, 1))
	require.Contains(t, want, pt("dev1", "key1", 1, telemetry.String("text1")))
}

const payload300 = `{"temperature":21.456,"humidity":48.2,"pressure":1013,"battery":3.71,"status":"running","on":true,` +
	`"serial":"AM-1223-0042","firmware":"1.4.2","rssi":-71,"uptime":123456789,"location":{"lat":50.4501,"lon":30.5234},` +
	`"counters":[1,2,3,4,5],"message":"all systems nominal","ts":1700000000000,"extra":"0123456789abcdef0123456789"}`

func sixValues(t testing.TB) mqtt.UplinkConverter {
	return newJSON(t, mqtt.JSONConfig{
		Device: mqtt.DeviceInfo{Name: mqtt.Expression{Source: mqtt.FromTopic, Text: "(?<=sensor/)(.*?)(?=/data)"}, Profile: constant("default")},
		Timeseries: []mqtt.Datapoint{
			{Key: key("temperature"), Type: "double", Value: "${temperature}"},
			{Key: key("humidity"), Type: "double", Value: "${humidity}"},
			{Key: key("pressure"), Type: "integer", Value: "${pressure}"},
			{Key: key("status"), Type: "string", Value: "${status}"},
			{Key: key("on"), Type: "boolean", Value: "${on}"},
			{Key: key("lat"), Type: "double", Value: "${location.lat}"},
		},
	})
}

func BenchmarkJSON300Bytes6Values(b *testing.B) {
	m := mqtt.Message{Topic: "sensor/AM-12/data", Payload: []byte(payload300)}
	b.Run("convert", func(b *testing.B) {
		c := sixValues(b)
		var out telemetry.Batch
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			if err := c.ConvertUplink(m, &out); err != nil || out.Len() != 6 {
				b.Fatal(err, out.Len())
			}
		}
	})
	b.Run("fastjson", func(b *testing.B) {
		var p fastjson.Parser
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.ParseBytes(m.Payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var x map[string]any
			if err := json.Unmarshal(m.Payload, &x); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// ratio returns how many times longer theirs takes than ours.
func ratio(ours, theirs func()) float64 {
	least := [2]time.Duration{time.Hour, time.Hour}
	for range 20 { // the least of several: what else the machine does only adds
		for i, f := range [...]func(){ours, theirs} {
			start := time.Now()
			for range 200 {
				f()
			}
			least[i] = min(least[i], time.Since(start))
		}
	}
	return float64(least[1]) / float64(least[0])
}

// It takes about a twelfth of the time, and the bound leaves room for a busy machine.
func TestConvertingIsFasterThanDecodingIntoAMap(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("the race detector and short runs distort the ratio")
	}
	c := sixValues(t)
	m := mqtt.Message{Topic: "sensor/AM-12/data", Payload: []byte(payload300)}
	var out telemetry.Batch
	r := ratio(func() {
		out.Reset()
		_ = c.ConvertUplink(m, &out)
	}, func() {
		var x map[string]any
		_ = json.Unmarshal(m.Payload, &x)
	})
	require.Greater(t, r, 4.0)
}

// It takes about half of the time.
func TestScanningIsFasterThanParsing(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("the race detector and short runs distort the ratio")
	}
	scans, parses := sixValues(t), sixValues(t)
	mqtt.ParseAll(parses)
	m := mqtt.Message{Topic: "sensor/AM-12/data", Payload: []byte(payload300)}
	var out telemetry.Batch
	convert := func(c mqtt.UplinkConverter) func() {
		return func() {
			out.Reset()
			_ = c.ConvertUplink(m, &out)
		}
	}
	require.Greater(t, ratio(convert(scans), convert(parses)), 1.1)
}

func TestConvertingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool allocate")
	}
	bytesConverter, err := mqtt.NewBytes(mqtt.BytesConfig{
		Device:     mqtt.DeviceInfo{Name: key("[0:4]")},
		Timeseries: []mqtt.Datapoint{{Key: key("t"), Value: "[4:]"}, {Key: key("n"), Value: "[0:2]", Decode: "uint"}},
	})
	require.NoError(t, err)
	for name, c := range map[string]mqtt.UplinkConverter{
		"json":     sixValues(t),
		"wildcard": newJSON(t, mqtt.JSONConfig{AllTimeseries: true}),
		"bytes":    bytesConverter,
	} {
		payload := payload300
		switch name {
		case "bytes":
			payload = "AM1223.5"
		case "wildcard":
			payload = `{"a":1,"b":2.5,"c":"text","d":true,"e":null}`
		}
		m := mqtt.Message{Topic: "sensor/AM-12/data", Payload: []byte(payload)}
		var out telemetry.Batch
		convert := func() {
			out.Reset()
			if err := c.ConvertUplink(m, &out); err != nil {
				t.Fatal(err)
			}
		}
		convert()
		require.Zero(t, testing.AllocsPerRun(1000, convert), name)
	}
}

func TestBytesDecoders(t *testing.T) {
	dp := func(k, value, decode string, little bool) mqtt.Datapoint {
		return mqtt.Datapoint{Key: key(k), Value: value, Decode: decode, LittleEndian: little}
	}
	c, err := mqtt.NewBytes(mqtt.BytesConfig{Device: mqtt.DeviceInfo{Name: constant("D")}, Timeseries: []mqtt.Datapoint{
		dp("u2", "[0:2]", "uint", false), dp("u2l", "[0:2]", "uint", true), dp("i3", "[0:3]", "int", false), dp("i1", "[0]", "int", false),
		dp("u8", "[0:8]", "uint", false), dp("f4", "[8:12]", "float", false), dp("f8", "[12:20]", "float", true), dp("none", "[30:32]", "uint", false),
		dp("bad", "[0:3]", "float", false),
		{Key: key("n"), Value: "[20:22]", Type: "integer"},
	}})
	require.NoError(t, err)
	payload := "\xff\xfe\x00\x01\x02\x03\x04\x05" + "\x41\xbc\x00\x00" + "\x00\x00\x00\x00\x00\x00\xf8\x3f" + "42"
	require.Equal(t, map[point]bool{
		pt("D", "u2", 1, telemetry.Int(0xfffe)): true, pt("D", "u2l", 1, telemetry.Int(0xfeff)): true, pt("D", "i3", 1, telemetry.Int(-512)): true,
		pt("D", "i1", 1, telemetry.Int(-1)): true, pt("D", "u8", 1, telemetry.String(fmt.Sprint(uint64(0xfffe000102030405)))): true,
		pt("D", "f4", 1, telemetry.Float32(23.5)): true, pt("D", "f8", 1, telemetry.Float(1.5)): true, pt("D", "n", 1, telemetry.Int(42)): true,
	}, points(t, c, "x", payload))

	_, err = mqtt.NewBytes(mqtt.BytesConfig{Device: mqtt.DeviceInfo{Name: constant("D")}, Timeseries: []mqtt.Datapoint{dp("k", "a[0:2]", "int", false), dp("k", "[0:1]", "bcd", false)}})
	require.ErrorContains(t, err, "timeseries[0].value")
	require.ErrorContains(t, err, "timeseries[1].decode")
}

func TestBytesDeviceOfTopicAndText(t *testing.T) {
	c, err := mqtt.NewBytes(mqtt.BytesConfig{
		Device:     mqtt.DeviceInfo{Name: key("Dev-[0:2]"), Profile: mqtt.Expression{Source: mqtt.FromTopic, Text: "^[^/]+"}},
		Timeseries: []mqtt.Datapoint{{Key: key("t"), Value: "[3:5].[5:6]C"}},
	})
	require.NoError(t, err)
	want := pt("Dev-01", "t", 1, telemetry.String("23.5C"))
	want.profile = "s"
	require.Equal(t, map[point]bool{want: true}, points(t, c, "s/raw", "01X235rest"))
}

func BenchmarkBytes(b *testing.B) {
	c, err := mqtt.NewBytes(mqtt.BytesConfig{
		Device:     mqtt.DeviceInfo{Name: key("[0:4]")},
		Timeseries: []mqtt.Datapoint{{Key: key("t"), Value: "[4:8]"}, {Key: key("n"), Value: "[8:10]", Decode: "uint"}, {Key: key("f"), Value: "[10:14]", Decode: "float"}},
	})
	require.NoError(b, err)
	m := mqtt.Message{Topic: "s/raw", Payload: []byte("AM1223.5\x01\x02\x41\xbc\x00\x00")}
	var out telemetry.Batch
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := c.ConvertUplink(m, &out); err != nil {
			b.Fatal(err)
		}
	}
}
