package socket_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
	"github.com/gridlinks/iot-gateway/protocols/socket"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestEveryKeyIsRead(t *testing.T) {
	doc, err := os.ReadFile("testdata/every-key.json")
	require.NoError(t, err)
	cfg, err := socket.Load(string(doc))
	require.NoError(t, err)
	end, one := -1, 1
	report := &telemetry.ReportPolicy{
		Mode: telemetry.OnChange, Period: 10 * time.Second, Deadband: 0.5, DeadbandPercent: 1,
		Attributes: &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 10 * time.Second},
	}
	assert.Equal(t, socket.Config{
		Address: "0.0.0.0", Port: 50001, MaxBytes: 2048, MaxConnections: 5000, IdleTimeout: 10 * time.Minute,
		KeepAlive: 20 * time.Second, WriteTimeout: 2 * time.Second, Compatible: true,
		Framing: socket.Framing{
			Delimiter: []byte{}, Gap: 100 * time.Millisecond,
			Length: &socket.Length{Offset: 1, Size: 2, Little: true, Adjust: 3, Strip: true},
		},
		Devices: []socket.Device{{
			Address: "10.0.1.*:*", Name: "D", Profile: "T", Encoding: "latin-1",
			Timeseries: []socket.Datapoint{{Key: "t", From: 1, To: &end, Type: "float", Decode: "int", LittleEndian: true, Report: report}},
			Attributes: []socket.Datapoint{{Key: "a", To: &one, Report: report}},
			Requests:   []socket.AttributeRequest{{Client: true, Match: "${[0:3]==atr}", Names: "[3:]"}},
			Updates:    []string{"set"},
			RPCs:       []socket.RPC{{Method: "ask", WithReply: true, ReplyMatch: "${[0:1]==!}", ReplyTimeout: 300 * time.Millisecond}},
		}},
	}, cfg)
}

func TestProblemsNameTheKey(t *testing.T) {
	device := func(rest string) string { return `{"devices":[{"deviceName":"a",` + rest + `}]}` }
	for want, doc := range map[string]string{
		"devices[0].deviceName: is missing":                                        `{"devices":[{}]}`,
		"socket.port: 0 is not":                                                    `{"socket":{"port":0}}`,
		"socket.framing: delimiter, length and fixed size exclude":                 `{"socket":{"framing":{"delimiter":";","fixedSize":3}}}`,
		`devices[0].encoding: "klingon" is not one of`:                             device(`"encoding":"klingon"`),
		`devices[0].address: "(" is neither`:                                       device(`"address":"("`),
		`devices[0].attributeRequests[0].requestExpression: "a" is not`:            device(`"attributeRequests":[{"requestExpression":"${a==b}","attributeNameExpression":"[1:]"}]`),
		`devices[0].attributeRequests[0].attributeNameExpression: "x" is not`:      device(`"attributeRequests":[{"requestExpression":"a","attributeNameExpression":"x"}]`),
		`devices[0].serverSideRpc[0].responseExpression: slice [0:1:2] has a step`: device(`"serverSideRpc":[{"methodRPC":"m","responseExpression":"[0:1:2]==x"}]`),
		`devices[0].serverSideRpc[0].methodProcessing: "read" is not one of`:       device(`"serverSideRpc":[{"methodRPC":"m","methodProcessing":"read"}]`),
		`devices[0].telemetry[0].decode: "half" is not one of int, uint`:           device(`"telemetry":[{"key":"k","decode":"half"}]`),
		`devices[0].converter: no converter "Mine"`:                                device(`"converter":"Mine"`),
		"socket.security: tls: a server needs a certificate file and a key":        `{"socket":{"security":{"type":"tls"}}}`,
		"socket.security: tls: CA file: open":                                      `{"socket":{"mode":"client","security":{"pathToCACert":"no.pem"}}}`,
	} {
		_, err := socket.Type().New(json.RawMessage(doc), connector.Env{Name: "test"})
		require.ErrorContains(t, err, want)
	}
}

func TestConvertersAreKnownByName(t *testing.T) {
	mine := socket.WithConverter("Mine", func(config json.RawMessage) (socket.UplinkConverter, error) {
		assert.JSONEq(t, `{"k":1}`, string(config))
		return socket.ConverterFunc(func(m socket.Message, out *telemetry.Batch) error {
			out.Device(m.Device.Name+"@"+m.Address, "mine")
			out.AddTelemetry(telemetry.Point{Key: "n", Value: telemetry.Int(int64(len(m.Payload)))})
			return nil
		}), nil
	})
	c, err := socket.Type(mine).New(json.RawMessage(`{"devices":[{"deviceName":"a","converter":"Mine","converterConfig":{"k":1}}]}`), connector.Env{Name: "test"})
	require.NoError(t, err)
	b, err := socket.Convert(c, []byte("abc"))
	require.NoError(t, err)
	require.Equal(t, "a@127.0.0.1:9", b.Groups()[0].Device.Name)
	require.Equal(t, telemetry.Int(3), b.Groups()[0].Telemetry[0].Value)
}

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/socket.json", Title: "Socket connector",
		Description: "Devices that write bytes to a TCP or UDP socket.",
		Load:        socket.LoadWith,
		Files:       []string{"testdata/*.json"},
		Wrong:       []string{`{"socket":{"port":70000}}`, `{"socket":{"type":"SCTP"}}`, `{"devices": 5}`, `{"devices":[{}]}`},
		Describe: map[string]string{
			"compatibility":                 "Convert as the Python gateway does: remove zero bytes before any text is decoded, and send what cannot be decoded as Python shows it.",
			"socket":                        "Where to listen or connect, and how messages end.",
			"socket.type":                   "Stream (TCP) or datagrams (UDP).",
			"type":                          "Stream (TCP) or datagrams (UDP), in older files.",
			"reportStrategy.type":           "Send every reading, changes only, the latest once in a period, or both.",
			"mode":                          "Listen (server) or connect (client).",
			"address":                       "Address to listen on or to connect to.",
			"port":                          "Port to listen on or to connect to.",
			"maxBytes":                      "Largest message in bytes; a longer one is dropped.",
			"maxConnections":                "Most connections at a time; more are refused.",
			"idleTimeout":                   "Seconds after which a silent connection is closed; 0: never.",
			"keepAlive":                     "Seconds between probes of a silent connection; 0: none.",
			"writeTimeout":                  "Seconds that a write may take.",
			"framing":                       "How messages of a stream end. Without it each read is a message, which tears long ones and joins quick ones.",
			"delimiter":                     "Text that ends a message.",
			"keepDelimiter":                 "The delimiter is a part of the message.",
			"fixedSize":                     "Size of every message in bytes; 0: it varies.",
			"idleGapMs":                     "Milliseconds of silence that end a message.",
			"length":                        "Place of the length in each message.",
			"offset":                        "Place of the field in the message, in bytes.",
			"size":                          "Bytes of the field.",
			"length.byteOrder":              "Order of the bytes of the field.",
			"adjust":                        "What is added to the length to get the size of the whole message.",
			"strip":                         "The message begins after the field.",
			"security":                      "Certificates, for TLS.",
			"security.type":                 "TLS or nothing.",
			"pathToCACert":                  "File of the certificates of the authorities to trust: of servers, or of clients, which then need a certificate.",
			"pathToCert":                    "File of the own certificate.",
			"pathToPrivateKey":              "File of its key.",
			"serverName":                    "Name to expect in the server's certificate, if it is not the address.",
			"insecureSkipVerify":            "Do not verify the server's certificate.",
			"devices":                       "What messages are about.",
			"devices[].address":             "Pattern of ip:port with stars, or a regular expression: whose messages are the device's.",
			"addressFilter":                 "Older name of address, which it overrides.",
			"deviceName":                    "Name of the device on the platform.",
			"deviceType":                    "Profile of the device on the platform.",
			"devices[].encoding":            "Encoding of texts: utf-8, ascii, latin-1, cp1252, utf-16 with -le or -be, hex.",
			"converter":                     "Name of a converter of the program, instead of telemetry and attributes.",
			"converterConfig":               "Configuration of the converter, as it wants it.",
			"telemetry":                     "Bytes of a message that are telemetry.",
			"timeseries":                    "Another name for telemetry.",
			"attributes":                    "Bytes of a message that are attributes.",
			"key":                           "Key on the platform.",
			"byteFrom":                      "First byte, from 0; a negative number counts from the end.",
			"byteTo":                        "Byte before which it ends; -1 is the end of the message, and other negative numbers count from it.",
			"telemetry[].type":              "What the text is converted to: string, int, float, bool or json.",
			"timeseries[].type":             "What the text is converted to: string, int, float, bool or json.",
			"attributes[].type":             "What the text is converted to: string, int, float, bool or json.",
			"decode":                        "Take the bytes for a number instead of a text.",
			"byteOrder":                     "Order of the bytes of a number.",
			"attributeRequests":             "Messages that ask for attributes.",
			"attributeRequests[].type":      "Scope of the attributes.",
			"requestExpression":             "Which messages ask: ${[from:to]==text}, or a text with which they begin.",
			"attributeNameExpression":       "Bytes with the names of the attributes, such as [3:]; commas stand between several.",
			"requestExpressionSource":       "Without a meaning: it is an expression.",
			"attributeNameExpressionSource": "Without a meaning: it is an expression.",
			"attributeUpdates":              "Shared attributes that are written to the device.",
			"attributeOnThingsBoard":        "Key of the shared attribute.",
			"serverSideRpc":                 "Remote procedure calls of the device.",
			"methodRPC":                     "Method of the call.",
			"methodProcessing":              "What is done: the parameters are written.",
			"withResponse":                  "Wait for an answer.",
			"responseExpression":            "Which message is the answer, as requestExpression; without it the next one is, and counts as data as well.",
			"responseTimeoutMs":             "Milliseconds to wait for the answer.",
		},
		Spelling: []string{"TCP", "UDP"},
	})
}
