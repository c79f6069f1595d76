package request_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestFormats(t *testing.T) {
	for _, c := range []struct{ format, body, want string }{
		{"json", "\ufeff{\"a\":1}", `{"a":1}`},
		{"json", "{\"a\":\"\xff\"}", `{"a":""}`},
		{"text", " 21.5\r\n", `{"text":"21.5"}`},
		{"csv", "\ufeffid,p\r\na,1\r\n\"b \"\"x\"\"\",,9\r\n", `[{"id":"a","p":"1"},{"id":"b \"x\""}]`},
		{"csv", "", `[]`},
		{"xml", `<?xml version="1.0"?><r xmlns="u" n="1"><m id="a"><p>1.5</p></m><m>t<p/></m><!-- c --></r>`, `{"r":{"@n":"1","m":[{"@id":"a","p":"1.5"},{"p":null,"#text":"t"}]}}`},
		{"xml", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xfc</a>", `{"a":"ü"}`},
		{"xml", `<a b="1" b="2" xmlns:x="u" x:c="3"/>`, `{"a":{"@b":"2","@c":"3"}}`},
	} {
		got, err := request.Decode(c.format, ',', true, []byte(c.body))
		require.NoError(t, err, c.body)
		assert.Equal(t, c.want, string(got))
	}
	got, err := request.Decode("csv", ';', false, []byte("a;1,5\nb;2"))
	require.NoError(t, err)
	assert.JSONEq(t, `[{"0":"a","1":"1,5"},{"0":"b","1":"2"}]`, string(got))
	for body, want := range map[string]string{
		"":           "there is no element",
		"<a><b></a>": "body is not XML",
		`<?xml version="1.0" encoding="utf-16"?><a/>`: `encoding "utf-16" is not one of`,
		strings.Repeat("<a>", 1000):                   "nested deeper than 100",
		`<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`:    "body is not XML",
	} {
		_, err := request.Decode("xml", ',', true, []byte(body))
		require.ErrorContains(t, err, want)
	}
}

func TestTheContentTypeSaysTheFormat(t *testing.T) {
	for contentType, want := range map[string]string{
		"": "json", "application/json; charset=utf-8": "json", "application/xml": "xml", "text/xml;charset=utf-8": "xml",
		"application/atom+xml": "xml", "application/xhtml+xml": "json", "text/csv": "csv", "text/plain": "json", ";": "json",
	} {
		assert.Equal(t, want, request.FormatOf(contentType), contentType)
	}
}

// convert converts a body by a converter of a configuration file.
func convert(t *testing.T, contentType, mapping, body string) (*telemetry.Batch, error) {
	t.Helper()
	c, err := request.Type().New(json.RawMessage(`{"host":"h","mapping":[{"url":"u",`+mapping+`}]}`), connector.Env{Name: "test"})
	require.NoError(t, err)
	return request.Convert(c, contentType, []byte(body))
}

func TestFormatsWithoutTypesAreConverted(t *testing.T) {
	const converter = `"converter":{"deviceNameJsonExpression":"${id}","telemetry":[{"key":"p","type":"float","value":"${p}"},
		{"key":"n","type":"int","value":"${p}"},{"key":"s","type":"string","value":"${p}"},{"key":"r","value":"${p}"}]}`
	for contentType, body := range map[string]string{
		"text/csv": "id,p\na,1.5\n", "text/xml": "<r><m><id>a</id><p>1.5</p></m></r>",
	} {
		mapping := converter
		if contentType == "text/xml" {
			mapping += `,"dataUnpackExpression":"${r.m}"`
		}
		b, err := convert(t, contentType, mapping, body)
		require.NoError(t, err)
		require.Len(t, b.Groups(), 1)
		var got []telemetry.Value
		for _, p := range b.Groups()[0].Telemetry {
			got = append(got, p.Value)
		}
		assert.Equal(t, []telemetry.Value{telemetry.Float(1.5), telemetry.Int(1), telemetry.String("1.5"), telemetry.String("1.5")}, got, contentType)
	}
}

func TestTypesOfJSON(t *testing.T) {
	const points = `"telemetry":[{"key":"f","type":"float","value":"${n}"},{"key":"t","type":"float","value":"${t}"},{"key":"s","type":"string","value":"${o.n}"},
		{"key":"c","type":"int","value":"7"},{"key":"j","value":"${n}-${t}"},{"key":"${no}","value":"${n}"}]`
	const body = `{"n":5,"t":"7.5","o":{"n":3}}`
	for flag, want := range map[string][]telemetry.Value{
		"false": {telemetry.Int(5), telemetry.String("7.5"), telemetry.Int(3), telemetry.Int(7), telemetry.String("5-7.5")},
		"true":  {telemetry.Float(5), telemetry.Float(7.5), telemetry.String("3"), telemetry.Int(7), telemetry.String("5-7.5")},
	} {
		b, err := convert(t, "", `"converter":{"deviceNameJsonExpression":"d","convertTypes":`+flag+`,`+points+`}`, body)
		require.NoError(t, err)
		var got []telemetry.Value
		for _, p := range b.Groups()[0].Telemetry {
			got = append(got, p.Value)
		}
		assert.Equal(t, want, got, flag)
	}
}

func TestTimesOfMessages(t *testing.T) {
	const mapping = `"converter":{"deviceNameJsonExpression":"d","telemetry":[
		{"key":"a","value":"${v}","tsField":"${at}"},{"key":"b","value":"${v}","tsField":"day","dayfirst":true},{"key":"c","value":"${v}"}]}`
	b, err := convert(t, "", mapping, `{"v":1,"at":"2024-01-01T00:00:00Z","day":"03.04.2024","ts":"1700000000000"}`)
	require.NoError(t, err)
	var got []int64
	for _, p := range b.Groups()[0].Telemetry {
		got = append(got, p.TS)
	}
	assert.Equal(t, []int64{1704067200000, time.Date(2024, 4, 3, 0, 0, 0, 0, time.UTC).UnixMilli(), 1700000000000}, got)
}

func TestCompatibleConversions(t *testing.T) {
	c, err := request.Type().New(json.RawMessage(`{"host":"h","compatibility":"thingsboard","mapping":[{"url":"u","converter":{"deviceNameJsonExpression":"d",
		"telemetry":[{"key":"p","value":"${a}:${b}"},{"key":"none","value":"${b}:${c}"},{"key":"m_${b}","value":"${a}"},{"key":"t","type":"string","value":"${t}"}]}}]}`), connector.Env{Name: "test"})
	require.NoError(t, err)
	b, err := request.Convert(c, "", []byte(`{"a":"q","t":true}`))
	require.NoError(t, err)
	got := make(map[string]string)
	for _, p := range b.Groups()[0].Telemetry {
		got[p.Key] = p.Value.String()
	}
	assert.Equal(t, map[string]string{"p": "q:null", "m_null": "q", "t": "True"}, got)
}

func TestNextLink(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{`</a>; rel="prev"`, `</b>; rel=next`}, "/b"},
		{[]string{`</a>; rel="prev", </b,c?d=1;e>; title="x"; REL="last Next"`}, "/b,c?d=1;e"},
		{[]string{`</a>; title="next"`, `</a`, `rel=next`, `<>; rel=next`}, ""},
	} {
		assert.Equal(t, c.want, request.NextLink(c.headers...), c.headers)
	}
}

func FuzzBodies(f *testing.F) {
	f.Add("xml", []byte(`<a b="1">t<c/><c>x</c></a>`))
	f.Add("csv", []byte("a,b\n1,\"2\n"))
	f.Add("text", []byte("\xff\x00"))
	f.Add("json", []byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, format string, body []byte) {
		switch format {
		case "xml", "csv", "text":
		default:
			format = "text"
		}
		out, err := request.Decode(format, ',', true, body)
		if err == nil && !json.Valid(out) {
			t.Fatalf("%q is not JSON", out)
		}
	})
}

func FuzzConvert(f *testing.F) {
	c, err := request.Type().New(json.RawMessage(`{"host":"h","mapping":[{"url":"u","dataUnpackExpression":"${a}","converter":{"deviceNameJsonExpression":"d ${id}",
		"telemetry":[{"key":"p","type":"string","value":"${p}","tsField":"at"},{"key":"q","type":"float","value":"${p}:${q[0]}"}]}}]}`), connector.Env{Name: "fuzz"})
	require.NoError(f, err)
	f.Add("application/json", []byte(`{"a":[{"id":1,"p":null,"q":[1]},5]}`))
	f.Add("text/xml", []byte(`<a><id>1</id></a>`))
	f.Add("text/csv", []byte("a,b\n1,2"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		b, err := request.Convert(c, contentType, body)
		if err == nil && b == nil {
			t.Fatal("neither a batch nor an error")
		}
	})
}

func FuzzNextLink(f *testing.F) {
	f.Add(`</a>; rel="next"`)
	f.Fuzz(func(_ *testing.T, header string) {
		request.NextLink(header)
		request.RetryAfter(header, time.Time{})
	})
}

func meterConverter() *request.Converter {
	return request.NewConverter(request.JSONConfig{
		Device: "meter ${id}", Profile: "meter",
		Attributes: []request.Datapoint{{Key: "serial", Value: "${serial}", Type: "string"}},
		Timeseries: []request.Datapoint{{Key: "p", Value: "${values.p}", Type: "float"}, {Key: "u", Value: "${values.u[0]}", TimeField: "at"}, {Key: "state", Value: "${state}", Type: "string"}},
	}, `{"id":17,"serial":"A-1","at":1767225600,"ts":1700000000000,"values":{"p":12.5,"u":[230.1,229.9,231]},"state":"running"}`)
}

func TestConvertingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := meterConverter()
	require.NoError(t, c.Convert())
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = c.Convert() }))
}

func BenchmarkConvert(b *testing.B) {
	c := meterConverter()
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Convert(); err != nil {
			b.Fatal(err)
		}
	}
}
