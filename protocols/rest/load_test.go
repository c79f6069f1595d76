package rest_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestEveryKeyIsRead(t *testing.T) {
	doc, err := os.ReadFile("testdata/every-key.json")
	require.NoError(t, err)
	cfg, err := rest.Load(string(doc))
	require.NoError(t, err)
	require.NotNil(t, cfg.AttributeUpdates[0].TLS)
	cfg.AttributeUpdates[0].TLS = nil
	report := &telemetry.ReportPolicy{
		Mode: telemetry.OnChange, Period: 10 * time.Second, Deadband: 0.5, DeadbandPercent: 1,
		Attributes: &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 10 * time.Second},
	}
	assert.Equal(t, rest.Config{
		Hosts: []string{"127.0.0.1", "::1"}, Port: 5001, MaxConnections: 50, MaxBody: 2048, MaxHeader: 4096,
		HeaderTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 3 * time.Second, IdleTimeout: 4 * time.Second, StoreTimeout: 5 * time.Second,
		CORS:    &rest.CORS{Origins: []string{"*"}, Headers: []string{"X-A"}, MaxAge: time.Minute},
		OpenAPI: "/openapi.json", WrapResults: true, Compatible: true,
		Endpoints: []rest.Endpoint{{
			Path: "/a/{b}", Methods: []string{"POST", "PUT"}, Auth: rest.Auth{Users: []rest.User{{Name: "u", Password: "p"}}},
			Device:     rest.DeviceInfo{Name: rest.Expression{Text: "${b}"}, Profile: rest.Expression{Text: "T", Constant: true}},
			Timeseries: []rest.Datapoint{{Key: "t", Value: "${t}", Type: "double", TimeField: "${at}", DayFirst: true, YearFirst: true, Report: report}},
			Attributes: []rest.Datapoint{{Key: "a", Value: "x", Report: report}},
			Response:   rest.Response{Success: "OK", Failure: "NO", ContentType: "text/x", Expected: true, Attribute: "r", Timeout: 3 * time.Second},
		}, {
			Path: "/bearer", Methods: []string{"*"}, Auth: rest.Auth{Tokens: []string{"one", "two"}},
			Device:   rest.DeviceInfo{Name: rest.Expression{Text: "D", Constant: true}, Profile: rest.Expression{Text: "default", Constant: true}},
			Response: rest.Response{Timeout: rest.DefaultAnswerTimeout},
		}},
		AttributeRequests: []rest.AttributeRequest{{
			Path: "/q", Methods: []string{"POST"}, Client: true, Timeout: 1500 * time.Millisecond, Device: "${d}", Names: "${n}",
		}},
		AttributeUpdates: []rest.AttributeUpdate{{DeviceFilter: "d.*", AttributeFilter: "a.*", Request: rest.Request{
			URL: "https://h/${deviceName}", Method: "PUT", Value: "${attributeValue}", Headers: map[string]string{"X-N": "1", "X-T": "t"},
			User: &rest.User{Name: "u", Password: "p"}, Timeout: 500 * time.Millisecond, Tries: 3, Redirects: true,
		}}},
		RPCs: []rest.RPC{{DeviceFilter: "d.*", MethodFilter: "m.*", Request: rest.Request{URL: "h/${params}", Method: "GET", Value: "${params}", Timeout: 10 * time.Second, Tries: 1}}},
	}, cfg)
}

// Files of both forms are read, as far as they go: what has no key or URL costs only itself.
func TestIncompleteParts(t *testing.T) {
	cfg, err := rest.Load(`{"host":"127.0.0.1","port":"5000","mapping":[{"endpoint":"a","HTTPMethods":"post","converter":{"deviceNameExpression":"D ${n}","deviceTypeExpression":"${t}",
	  "timeseries":[{"value":"${x}"},{"key":"k"},{"key":"l","value":"${x}"}]}}],"serverSideRpc":[{"methodFilter":"x"}],"attributeUpdates":[{}]}`)
	require.NoError(t, err)
	assert.Len(t, cfg.Endpoints[0].Timeseries, 1)
	assert.Equal(t, rest.DeviceInfo{Name: rest.Expression{Text: "D ${n}"}, Profile: rest.Expression{Text: "${t}"}}, cfg.Endpoints[0].Device)
	assert.Empty(t, cfg.RPCs)
	assert.Empty(t, cfg.AttributeUpdates)
}

func TestProblemsNameTheKey(t *testing.T) {
	endpoint := func(rest string) string {
		return `{"mapping":[{"endpoint":"/a","HTTPMethods":["POST"],"converter":{"deviceInfo":{"deviceNameExpression":"x"}},` + rest + `}]}`
	}
	for want, doc := range map[string]string{
		"mapping[0].endpoint: is missing":                                                           `{"mapping":[{"HTTPMethods":["POST"],"converter":{"deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"mapping[0].HTTPMethods: is missing":                                                        `{"mapping":[{"endpoint":"/a","converter":{"deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		`mapping[0].HTTPMethods: "P/T" is no method`:                                                `{"mapping":[{"endpoint":"/a","HTTPMethods":["P/T"],"converter":{"deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"mapping[1].endpoint: POST /a is there twice":                                               `{"mapping":[{"endpoint":"/a","HTTPMethods":["POST"],"converter":{"deviceInfo":{"deviceNameExpression":"x"}}},{"endpoint":"a","HTTPMethods":["post"],"converter":{"deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"mapping[0].converter.deviceInfo.deviceNameExpression: is missing":                          `{"mapping":[{"endpoint":"/a","HTTPMethods":["POST"]}]}`,
		`mapping[0].endpoint: "/{a" has a { without its }`:                                          `{"mapping":[{"endpoint":"/{a","HTTPMethods":["POST"],"converter":{"deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"mapping[0].security.username: is missing":                                                  endpoint(`"security":{"type":"basic","password":"p"}`),
		"mapping[0].security.token: is missing":                                                     endpoint(`"security":{"type":"bearer"}`),
		`mapping[0].security.type: "digest" is not one of`:                                          endpoint(`"security":{"type":"digest"}`),
		"mapping[0].security.type: there are certificates of clients with TLS only":                 endpoint(`"security":{"type":"certificate"}`),
		"mapping[0].security: there is no server.security.ca":                                       `{"server":{"SSL":true},"mapping":[{"endpoint":"/a","HTTPMethods":["POST"],"security":{"type":"certificate"},"converter":{"deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"mapping[0].response.successResponse: placeholder ${x} is not known":                        endpoint(`"response":{"successResponse":"${x}"}`),
		`mapping[0].converter.extension: no converter "Mine" is linked`:                             `{"mapping":[{"endpoint":"/a","HTTPMethods":["POST"],"converter":{"type":"custom","extension":"Mine","deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"mapping[0].converter.extension: is missing":                                                `{"mapping":[{"endpoint":"/a","HTTPMethods":["POST"],"converter":{"type":"custom","deviceInfo":{"deviceNameExpression":"x"}}}]}`,
		"server.security: tls:":                                                                     `{"server":{"SSL":true,"security":{"cert":"none.pem","key":"none.pem"}}}`,
		"server.cors.origins: is missing":                                                           `{"server":{"cors":{}}}`,
		"server.port: 70000 is not":                                                                 `{"server":{"port":70000}}`,
		"requestsMapping.attributeRequests[0].attributeNameExpression: is missing":                  `{"requestsMapping":{"attributeRequests":[{"endpoint":"/a","HTTPMethods":["GET"],"deviceNameExpression":"x"}]}}`,
		"requestsMapping.attributeUpdates[0].deviceNameFilter: ":                                    `{"requestsMapping":{"attributeUpdates":[{"requestUrlExpression":"h","deviceNameFilter":"("}]}}`,
		`requestsMapping.serverSideRpc[0].requestUrlExpression: "ftp://h" begins with neither http`: `{"requestsMapping":{"serverSideRpc":[{"requestUrlExpression":"ftp://h"}]}}`,
		`requestsMapping.serverSideRpc[0].HTTPMethod: "G T" is no method`:                           `{"requestsMapping":{"serverSideRpc":[{"requestUrlExpression":"h","HTTPMethod":"G T"}]}}`,
		"requestsMapping.serverSideRpc[0].httpHeaders: a header has a line break":                   `{"requestsMapping":{"serverSideRpc":[{"requestUrlExpression":"h","httpHeaders":{"a":"b\nc"}}]}}`,
		"requestsMapping.serverSideRpc[0].security: tls:":                                           `{"requestsMapping":{"serverSideRpc":[{"requestUrlExpression":"h","security":{"type":"cert","cert":"none.pem","key":"none.pem"}}]}}`,
	} {
		_, err := rest.Type().New(json.RawMessage(doc), connector.Env{Name: "test"})
		require.ErrorContains(t, err, want)
	}
}

func TestConvertersAreKnownByName(t *testing.T) {
	mine := rest.WithConverter("Mine", func(config json.RawMessage) (rest.UplinkConverter, error) {
		assert.JSONEq(t, `{"k":1}`, string(config))
		return rest.ConverterFunc(func(m rest.Message, out *telemetry.Batch) error {
			out.Device(m.Endpoint, "mine")
			out.Telemetry("n", telemetry.Int(int64(len(m.Body))))
			return nil
		}), nil
	})
	c, err := rest.Type(mine).New(json.RawMessage(`{"mapping":[{"endpoint":"/a","HTTPMethods":["POST"],"converter":{"type":"custom","extension":"Mine","extension-config":{"k":1}}}]}`), connector.Env{Name: "test"})
	require.NoError(t, err)
	var b telemetry.Batch
	require.NoError(t, rest.Convert(c, rest.Message{Endpoint: "/a", Body: []byte("abc")}, &b))
	require.Equal(t, "/a", b.Groups()[0].Device.Name)
	require.Equal(t, telemetry.Int(3), b.Groups()[0].Telemetry[0].Value)
}

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/rest.json", Title: "REST connector",
		Description: "Devices and programs that send data over HTTP.",
		Load:        rest.LoadWith,
		Files:       []string{"testdata/*.json"},
		Wrong:       []string{`{"server":{"port":70000}}`, `{"server":{"maxBodyBytes":0}}`, `{"mapping": 5}`, `{"mapping":[{"endpoint":5,"security":{"type":"digest"}}]}`},
		Describe: map[string]string{
			"compatibility":  "Convert and answer as the Python gateway does: all values are texts, only the first element of an array counts, and what is no JSON is accepted.",
			"server":         "Where to listen, and the limits.",
			"host":           "Names or addresses to listen on.",
			"port":           "Port to listen on; 0: any that is free.",
			"SSL":            "Serve HTTPS.",
			"maxConnections": "Most connections at a time; more are closed.",
			"maxBodyBytes":   "Largest body in bytes; a larger one is answered with 413.",
			"maxHeaderBytes": "Largest header in bytes.",
			"headerTimeout":  "Seconds for the header of a request to arrive.",
			"readTimeout":    "Seconds for a whole request to arrive.",
			"writeTimeout":   "Seconds that a client may take to accept a part of an answer.",
			"idleTimeout":    "Seconds after which a connection without a request is closed.",
			"storeTimeout":   "Seconds for data to be durable; then the answer is 503.",
			"openApiPath":    "Path of an OpenAPI description of all endpoints, open to everyone; without it there is none.",
			"cors":           "Which pages may use the endpoints from a browser.",
			"origins":        "Origins of the pages, such as https://example.com, or * for all.",
			"headers":        "Headers that their requests may have.",
			"maxAge":         "Seconds for which browsers may remember this.",

			"server.security":         "Certificates of the server.",
			"security":                "Certificates of the server, in older files.",
			"cert":                    "File of the certificate, or its PEM text. Without one the server makes one itself.",
			"key":                     "File of its key, or its PEM text.",
			"ca":                      "File of the authorities of certificates to accept, or its PEM text.",
			"clientCertificate":       "With ca: whether clients need a certificate, or only the endpoints whose security demands one.",
			"mapping":                 "Paths that take data.",
			"endpoint":                "Path, in which {name} stands for a part of a segment, and {name:expression} for what the regular expression matches.",
			"HTTPMethods":             "Methods, such as POST; * for all.",
			"mapping[].security":      "Who may send data.",
			"mapping[].security.type": "How they authenticate.",
			"username":                "Name of the user.",
			"password":                "Password of the user.",
			"token":                   "Tokens, of which one is sent as Authorization: Bearer.",
			"names":                   "Common names or DNS names of certificates; without any, all are good.",
			"response":                "What is answered.",
			"successResponse":         "Answer with status 200; ${deviceName}, ${status}, ${attributeKey} and ${attributeValue} are filled in.",
			"unsuccessfulResponse":    "Answer with any other status; ${error} and ${status} are filled in.",
			"contentType":             "Content-Type of the answers.",
			"responseExpected":        "Wait until the platform updates a shared attribute of the device, and answer with its value.",
			"responseAttribute":       "Key of the attribute; without it, any.",
			"response.timeout":        "Seconds to wait for it; then the answer is 408.",
			"converter":               "How the data becomes a device and its values.",
			"converter.type":          "By the keys here, or by a converter of the program.",
			"extension":               "Name of a converter of the program.",
			"extensionConfig":         "Configuration of that converter, as it wants it.",
			"extension-config":        "Older name of extensionConfig.",
			"deviceInfo":              "Which device the data is about.",

			"deviceNameExpression":              "Name of the device; ${path} stands for a member of the data.",
			"deviceNameExpressionSource":        "Whether placeholders count.",
			"deviceProfileExpression":           "Profile of the device; ${path} stands for a member of the data.",
			"deviceProfileExpressionSource":     "Whether placeholders count.",
			"deviceTypeExpression":              "Profile of the device, in older files.",
			"attributes":                        "Attributes of the device.",
			"timeseries":                        "Time series of the device.",
			"attributes[].key":                  "Key on the platform; ${path} stands for a member of the data.",
			"timeseries[].key":                  "Key on the platform; ${path} stands for a member of the data.",
			"value":                             "Value; ${path} stands for a member of the data.",
			"attributes[].type":                 "What the value is converted to, such as string, int, double or boolean.",
			"timeseries[].type":                 "What the value is converted to, such as string, int, double or boolean.",
			"tsField":                           "Path of the time in the data.",
			"dayfirst":                          "The day comes first in a date such as 03.04.2024.",
			"yearfirst":                         "The year comes first in a date such as 10.11.12.",
			"requestsMapping":                   "What devices ask for, and what is sent to them.",
			"attributeRequests":                 "Paths that answer with attributes.",
			"attributeRequests[].type":          "Scope of the attributes.",
			"attributeRequests[].security":      "Who may ask.",
			"attributeRequests[].security.type": "How they authenticate.",
			"attributeRequests[].timeout":       "Seconds for the platform to answer.",
			"attributeNameExpression":           "Placeholders of the names of the attributes.",
			"attributeUpdates":                  "Requests to make when shared attributes change.",
			"serverSideRpc":                     "Requests to make for remote procedure calls.",
			"deviceNameFilter":                  "Regular expression for the whole name of the device.",
			"attributeFilter":                   "Regular expression for the whole key of the attribute.",
			"methodFilter":                      "Regular expression for the whole method.",
			"requestUrlExpression":              "URL; names such as ${deviceName} are filled in and escaped.",
			"HTTPMethod":                        "Method of the request.",
			"valueExpression":                   "Body of the request; in JSON, what is filled in becomes JSON.",
			"SSLVerify":                         "Verify the certificate of the server.",
			"httpHeaders":                       "Headers of the request.",
			"tries":                             "Attempts, as far as a repetition does no harm.",
			"allowRedirects":                    "Follow redirections.",
			"timeout":                           "Seconds for one attempt.",
			"attributeUpdates[].security":       "How the gateway authenticates.",
			"serverSideRpc[].security":          "How the gateway authenticates.",
			"attributeUpdates[].security.type":  "By a password, by a certificate, or not at all.",
			"serverSideRpc[].security.type":     "By a password, by a certificate, or not at all.",
			"attributeUpdates[].extension":      "Without a meaning.",
			"serverSideRpc[].extension":         "Without a meaning.",
		},
		Spelling: []string{"GET"},
	})
}
