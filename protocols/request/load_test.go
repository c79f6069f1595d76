package request_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestEveryKeyIsRead(t *testing.T) {
	doc, err := os.ReadFile("testdata/every-key.json")
	require.NoError(t, err)
	cfg, err := request.Load(string(doc))
	require.NoError(t, err)
	report := &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 10 * time.Second}
	require.NotNil(t, cfg.TLS)
	require.NotNil(t, cfg.Auth.Token)
	cfg.TLS, cfg.Auth.Token = nil, nil
	headers := map[string]string{"ACCEPT": "application/json"}
	assert.Equal(t, request.Config{
		Host: "https://127.0.0.1:5000/base", Compatible: true, MaxBytes: 4096, MaxConnections: 3,
		Endpoints: []request.Endpoint{
			{
				Request: request.Request{
					URL: "getdata", Method: "post", Headers: headers, Form: map[string]string{"a": "1", "n": "5"},
					Redirects: true, Timeout: 500 * time.Millisecond, TotalTimeout: 9 * time.Second, Tries: 2,
				},
				Period: 5 * time.Second, Format: "csv", Comma: ';', NoHeader: true, Items: "${data}", Conditional: true,
				Pages:       request.Pages{Link: true, Next: "next", Parameter: "cursor", Max: 7},
				SubRequests: []request.SubRequest{{Key: "state", URL: "${id}/state", Value: "${x}"}},
				JSON: request.JSONConfig{
					Device: "SD8500", Profile: "SD", Types: true,
					Attributes: []request.Datapoint{{Key: "serialNumber", Type: "string", Value: "${serial}", Report: report}},
					Timeseries: []request.Datapoint{{
						Key: "t", Type: "double", Value: "${t}", TimeField: "at", DayFirst: true, YearFirst: true, Report: report,
					}},
				},
			},
			{
				Request: request.Request{URL: "x", Method: "get", Body: `{"name":"n"}`, Timeout: time.Second, TotalTimeout: time.Minute, Tries: 1},
				Period:  10 * time.Second, Comma: ',',
				Pages: request.Pages{Cursor: "${next}", Parameter: "after", Max: 100},
				JSON:  request.JSONConfig{Device: "D", Profile: "default", Timeseries: []request.Datapoint{{Key: "t", Value: "${t}"}}},
			},
		},
		Updates: []request.AttributeUpdate{{
			DeviceFilter: "SD.*", AttributeFilter: "send_data",
			Request: request.Request{
				URL: "sensor/${deviceName}", Method: "post", Headers: headers, Body: `{"${attributeKey}":"${attributeValue}"}`,
				Timeout: 500 * time.Millisecond, TotalTimeout: time.Minute, Tries: 3,
			},
		}},
		RPCs: []request.RPC{{
			DeviceFilter: "SD.*", MethodFilter: "echo", Reply: "${temp}", ReplyTimeout: time.Second,
			Request: request.Request{
				URL: "sensor/${methodName}", Method: "get", Body: "${params}", Timeout: 500 * time.Millisecond, TotalTimeout: time.Minute, Tries: 3,
			},
		}},
	}, cfg)
}

// The file is in the form of the Python gateway's own one: no key of it is a problem.
func TestAnExistingFileLoads(t *testing.T) {
	doc, err := os.ReadFile("testdata/existing.json")
	require.NoError(t, err)
	cfg, err := request.Load(string(doc))
	require.NoError(t, err)
	assert.Equal(t, "${temp}", cfg.RPCs[1].Request.Body, "the older name of requestValueExpression")
	assert.Empty(t, cfg.RPCs[0].Request.Body, "none is none")
	assert.JSONEq(t, `{"name": "morpheus", "job": "leader"}`, cfg.Endpoints[0].Body)
	assert.Equal(t, "u", cfg.Auth.User)
	assert.NotNil(t, cfg.TLS, "SSLVerify is false")
}

func TestTheEnvironmentGoesBeforeTheFile(t *testing.T) {
	t.Setenv("REQUEST_BASIC_USERNAME", "eu")
	t.Setenv("REQUEST_BASIC_PASSWORD", "ep")
	cfg, err := request.Load(`{"host":"h","security":{"type":"basic","username":"u","password":"p"}}`)
	require.NoError(t, err)
	assert.Equal(t, request.Auth{User: "eu", Password: "ep"}, cfg.Auth)
	cfg, err = request.Load(`{"host":"h"}`)
	require.NoError(t, err)
	assert.Equal(t, request.Auth{}, cfg.Auth, "it is anonymous")
}

func TestProblemsNameTheKey(t *testing.T) {
	mapping := func(rest string) string {
		return `{"host":"h","mapping":[{"url":"u","converter":{"deviceNameJsonExpression":"d"},` + rest + `}]}`
	}
	for want, doc := range map[string]string{
		"mapping[0].url: is missing":                                                    `{"host":"h","mapping":[{"converter":{"deviceNameJsonExpression":"d"}}]}`,
		"mapping[0].url: is relative, and there is no host":                             `{"mapping":[{"url":"u","converter":{"deviceNameJsonExpression":"d"}}]}`,
		`host: "ftp://h" is not the URL of an HTTP server`:                              `{"host":"ftp://h"}`,
		"mapping[0].converter: is missing":                                              `{"host":"h","mapping":[{"url":"u"}]}`,
		"mapping[0].converter.deviceNameJsonExpression: is missing":                     `{"host":"h","mapping":[{"url":"u","converter":{}}]}`,
		"mapping[0].httpMethod: \"fetch\" is not one of get, post":                      mapping(`"httpMethod":"fetch"`),
		"mapping[0].scanPeriod: is not positive":                                        mapping(`"scanPeriod":0`),
		"mapping[0].responseFormat: \"yaml\" is not one of json":                        mapping(`"responseFormat":"yaml"`),
		"mapping[0].csvDelimiter: \"ab\" is not one character":                          mapping(`"csvDelimiter":"ab"`),
		"mapping[0].csvDelimiter: '\"' cannot separate columns":                         mapping(`"csvDelimiter":"\""`),
		"mapping[0].pagination.path: is missing":                                        mapping(`"pagination":{"type":"cursor"}`),
		"mapping[0].pagination.type: is missing":                                        mapping(`"pagination":{"path":"x"}`),
		"mapping[0].httpHeaders: \"a b\" is not a header":                               mapping(`"httpHeaders":{"a b":"c"}`),
		"mapping[0].subRequests.k.processingFunction: is Python, which is not run here": mapping(`"subRequests":{"k":{"url":"u","processingFunction":"def process_data(data, key): pass"}}`),
		"mapping[0].subRequests.k.url: is missing":                                      mapping(`"subRequests":{"k":{}}`),
		`mapping[0].converter.extension: no converter "Mine"`:                           `{"host":"h","mapping":[{"url":"u","converter":{"type":"custom","extension":"Mine"}}]}`,
		"mapping[0].converter.extension: is missing":                                    `{"host":"h","mapping":[{"url":"u","converter":{"type":"custom"}}]}`,
		"mapping[0].converter.telemetry[0].value: is missing":                           `{"host":"h","mapping":[{"url":"u","converter":{"deviceNameJsonExpression":"d","telemetry":[{"key":"k"}]}}]}`,
		`mapping[0].converter.attributes[0].value: "${a": a placeholder is not closed`:  `{"host":"h","mapping":[{"url":"u","converter":{"deviceNameJsonExpression":"d","attributes":[{"key":"k","value":"${a"}]}}]}`,
		"attributeUpdates[0].requestUrlExpression: is missing":                          `{"host":"h","attributeUpdates":[{}]}`,
		"attributeUpdates[0].deviceNameFilter: ":                                        `{"host":"h","attributeUpdates":[{"requestUrlExpression":"u","deviceNameFilter":"("}]}`,
		"serverSideRpc[0].responseValueExpression: ":                                    `{"host":"h","serverSideRpc":[{"requestUrlExpression":"u","responseValueExpression":"${a"}]}`,
		"serverSideRpc[0].requestUrlExpression: is relative, and there is no host":      `{"serverSideRpc":[{"requestUrlExpression":"u"}]}`,
		"security.username: is missing":                                                 `{"host":"h","security":{"type":"basic"}}`,
		"security.token: is missing":                                                    `{"host":"h","security":{"type":"bearer"}}`,
		"security.token: excludes tokenFile":                                            `{"host":"h","security":{"type":"bearer","token":"t","tokenFile":"f"}}`,
		"security.tokenUrl: is not the URL of an HTTP server":                           `{"host":"h","security":{"type":"oauth2","clientId":"c"}}`,
		"security.clientId: is missing":                                                 `{"host":"h","security":{"type":"oauth2","tokenUrl":"http://h"}}`,
		"security.pathToCert: is missing":                                               `{"host":"h","security":{"type":"tls"}}`,
		"security: tls: CA file: open":                                                  `{"host":"h","security":{"pathToCACert":"no.pem"}}`,
	} {
		_, err := request.Type().New(json.RawMessage(doc), connector.Env{Name: "test"})
		require.ErrorContains(t, err, want)
	}
}

func TestAConfigurationThatCannotBeUsedIsPermanent(t *testing.T) {
	err := request.New(request.Config{Endpoints: []request.Endpoint{{Request: request.Request{URL: "x", Method: "a b"}, Format: "yaml"}}}).Run(t.Context(), nil)
	require.True(t, connector.IsPermanent(err))
	for _, want := range []string{"mapping[0].url: is relative", `mapping[0].httpMethod: "a b" is not a method`, "mapping[0].responseFormat", "deviceNameJsonExpression: is missing"} {
		require.ErrorContains(t, err, want)
	}
}

func TestATokenFileIsReadEachTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	token := request.TokenFile(file)
	_, err := token(context.Background())
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, want := range []string{"one", "two"} {
		require.NoError(t, os.WriteFile(file, []byte(want+"\n"), 0o600))
		got, err := token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	require.NoError(t, os.WriteFile(file, []byte("a\nb"), 0o600))
	_, err = token(t.Context())
	require.ErrorContains(t, err, "does not hold one line")
}

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/request.json", Title: "HTTP Request connector",
		Description: "HTTP servers that are polled.",
		Load:        func(r *conf.Reader, doc json.RawMessage) error { return request.LoadWith(r, doc) },
		Files:       []string{"testdata/*.json"},
		Wrong: []string{
			`{"host":"h","mapping":5}`, `{"host":"h","mapping":[{}]}`, `{"host":"h","maxBytes":0}`,
			`{"host":"h","mapping":[{"url":"u","httpMethod":"fetch","converter":{"deviceNameJsonExpression":"d"}}]}`,
			`{"host":"h","attributeUpdates":[{}]}`,
		},
		Describe: map[string]string{
			"compatibility":            "Convert as the Python gateway does: a null is the text None with the type string, missing parts of texts are null, answers to calls are {\"result\": {\"value\": ...}}.",
			"host":                     "URL that others are relative to; http:// is added if it has no scheme.",
			"SSLVerify":                "Verify the certificates of servers.",
			"maxBytes":                 "Largest body of a response, in bytes.",
			"maxConnections":           "Most connections to a host at a time; 0: no bound.",
			"security":                 "Credentials and certificates.",
			"security.type":            "How requests are authorised: basic, a bearer token, one of an authorization server (oauth2), a client certificate (tls), or not at all.",
			"username":                 "User; the environment variable REQUEST_BASIC_USERNAME goes before it.",
			"password":                 "Password; the environment variable REQUEST_BASIC_PASSWORD goes before it.",
			"token":                    "Bearer token.",
			"tokenFile":                "File of the bearer token, which is read for each request.",
			"tokenUrl":                 "URL of the authorization server's token endpoint.",
			"clientId":                 "Identifier of this client at the authorization server.",
			"clientSecret":             "Secret of this client at the authorization server.",
			"scope":                    "Scope that is asked for.",
			"pathToCACert":             "File of the certificates of the authorities to trust instead of the system's.",
			"pathToCert":               "File of the client's certificate.",
			"pathToPrivateKey":         "File of its key.",
			"serverName":               "Name to expect in the server's certificate, if it is not the host.",
			"mapping":                  "Endpoints that are polled.",
			"mapping[].url":            "URL, absolute or relative to host. ${now} and ${last} are the time of the poll and of the last successful one in milliseconds; .s and .iso give other forms.",
			"httpMethod":               "Method of the request.",
			"httpHeaders":              "Headers of the request.",
			"allowRedirects":           "Follow redirects.",
			"timeout":                  "How long the server may be silent.",
			"totalTimeout":             "How long the whole exchange may take.",
			"tries":                    "How often the request is sent at most, with growing delays. What may have had an effect is not repeated.",
			"scanPeriod":               "Time from the start of one poll to that of the next.",
			"data":                     "Body: a text as it is, an object as a form.",
			"content":                  "Body in JSON, if data is empty.",
			"responseFormat":           "Format of the body; without it, the Content-Type says it.",
			"csvHeader":                "The first row of CSV names the columns; otherwise they are called 0, 1, and so on.",
			"csvDelimiter":             "Character between the columns of CSV.",
			"dataUnpackExpression":     "Path of the messages in the body, such as ${data.items}.",
			"onlyChanged":              "Ask only for what has changed, by ETag and Last-Modified.",
			"pagination":               "How the pages of a long answer follow each other.",
			"pagination.type":          "By a link to the next page, or by a cursor that the next request has as a parameter.",
			"pagination.path":          "Path of the link or the cursor in the body; a link without it is that of the header Link.",
			"parameter":                "Parameter of the query for the cursor.",
			"maxPages":                 "Most pages of one poll.",
			"subRequests":              "Requests for each message, whose answers become members of it.",
			"subRequests.*.url":        "URL with ${} of the message; if it is not absolute, it is appended to the endpoint's.",
			"valueExpression":          "What is taken of the answer; without it all of it.",
			"processingFunction":       "Python, which is not run; see valueExpression.",
			"converter":                "What a message means.",
			"converter.type":           "By the keys here, or by a converter of the program.",
			"extension":                "Name of the program's converter.",
			"extensionConfig":          "Configuration of the program's converter.",
			"extension-config":         "Older name of extensionConfig.",
			"deviceNameJsonExpression": "Name of the device, with ${} of the message.",
			"deviceTypeJsonExpression": "Profile of the device, with ${} of the message.",
			"convertTypes":             "Convert values to their types, which otherwise only tell texts from the rest.",
			"attributes":               "Attributes of the device.",
			"telemetry":                "Time series of the device.",
			"timeseries":               "Another name for telemetry.",
			"key":                      "Key on the platform, with ${} of the message.",
			"value":                    "Value, with ${} of the message.",
			"telemetry[].type":         "Type of the value: string, int, float, bool or json.",
			"timeseries[].type":        "Type of the value: string, int, float, bool or json.",
			"attributes[].type":        "Type of the value: string, int, float, bool or json.",
			"tsField":                  "Path of the time; otherwise the message's ts or timestamp, or the time of receipt.",
			"dayfirst":                 "03.04.2024 is the third of April.",
			"yearfirst":                "10.11.12 is in 2010.",
			"attributeUpdates":         "Requests for shared attributes that change.",
			"deviceNameFilter":         "Regular expression for the whole name of the device.",
			"attributeFilter":          "Regular expression for the whole key of the attribute.",
			"requestUrlExpression":     "URL, absolute or relative to host, with placeholders.",
			"requestValueExpression":   "Body, with placeholders.",

			"attributeUpdates[].valueExpression": "Older name of requestValueExpression.",
			"serverSideRpc[].valueExpression":    "Older name of requestValueExpression.",
			"serverSideRpc":                      "Requests for remote procedure calls.",
			"methodFilter":                       "Regular expression for the whole method.",
			"responseValueExpression":            "What is taken of the answer; without it all of it.",
			"responseTimeout":                    "How long the call may take, with all tries.",
		},
		Spelling: []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"},
	})
}
