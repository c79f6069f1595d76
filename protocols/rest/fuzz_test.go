package rest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Whatever is sent, the converter neither panics nor makes what cannot be stored.
func FuzzConvert(f *testing.F) {
	for _, seed := range []struct{ contentType, query, body string }{
		{"application/json", "", `{"name":"A","t":1.5,"ts":1700000000000}`},
		{"application/json", "a=1", `[{"name":"A"},5,[],{}]`},
		{"text/plain", "", "hello"},
		{"application/x-www-form-urlencoded", "", "name=A&t=%zz"},
		{"", "name=B&t=2", ""},
		{"multipart/form-data; boundary=x", "", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nA\r\n--x--\r\n"},
		{"application/json", "", "{\"name\":\"\xff\",\"t\":1e999}"},
		{"application/json", "", `{"name":{"a":[1]},"t":"x"}`},
		{"multipart/form-data", "", "x"},
	} {
		f.Add(seed.contentType, seed.query, []byte(seed.body))
	}
	var connectors []connector.Connector
	for _, compatible := range []bool{false, true} {
		e := sensor("/d")
		e.Timeseries = append(e.Timeseries, rest.Datapoint{Key: "${name}", Value: "${a} ${t}", TimeField: "${at}"})
		connectors = append(connectors, rest.New(rest.Config{Compatible: compatible, Endpoints: []rest.Endpoint{e}}))
	}
	f.Fuzz(func(t *testing.T, contentType, query string, body []byte) {
		m := rest.Message{Method: "POST", ContentType: contentType, Body: body}
		if q, err := url.ParseQuery(query); err == nil {
			for name := range q {
				m.Params = append(m.Params, rest.Param{Name: name, Value: q.Get(name)})
			}
		}
		for _, c := range connectors {
			var b telemetry.Batch
			if err := rest.Convert(c, m, &b); err != nil && len(b.Groups()) == 0 {
				continue
			}
			for _, g := range b.Groups() {
				if g.Device.Name == "" {
					t.Fatal("a device without a name")
				}
				for _, p := range g.Telemetry {
					if p.Key == "" || !p.Value.Valid() {
						t.Fatalf("a point that cannot be stored: %+v", p)
					}
				}
			}
		}
	})
}

// Whatever path is configured and asked for, nothing panics.
func FuzzPath(f *testing.F) {
	f.Add("/a/{b}/c-{d:[0-9]+}", "/a/x/c-7")
	f.Add("/{a:{2}}", "/%2F")
	f.Add("{}{", "//")
	f.Fuzz(func(t *testing.T, path, asked string) {
		u, err := url.Parse(asked)
		if err != nil {
			return
		}
		vars, ok, err := rest.Route(path, &http.Request{URL: u})
		if err == nil && !ok && len(vars) > 0 {
			t.Fatal("variables of a path that does not match")
		}
	})
}
