package mqtt

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// silent is a converter that makes nothing of messages.
type silent struct{}

func (silent) ConvertUplink(Message, *telemetry.Batch) error { return nil }

func TestSchema(t *testing.T) {
	custom := func(json.RawMessage) (UplinkConverter, error) { return silent{}, nil }
	options := typeOptions{converters: map[string]func(json.RawMessage) (UplinkConverter, error){
		"CustomMqttUplinkConverter": custom, "X": custom,
	}}
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/mqtt.json", Title: "MQTT connector",
		Description: "The configuration file of a connector of type mqtt: a broker, what its messages mean, and commands to devices.",
		Load: func(r *conf.Reader, doc json.RawMessage) error {
			_, err := load(r, doc, connector.Env{Name: "mqtt"}, options)
			return err
		},
		Files:    []string{"testdata/*.json"},
		Docs:     schemaDocs(t),
		Describe: schemaDescriptions(),
		Spelling: []string{
			"ON_RECEIVED", "ON_CHANGE", "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "DISABLED", "clientId", "AVG", "LAST", "MIN", "MAX", "SUM", "COUNT",
		},
		Examples: map[string][]any{
			"broker.host": {"192.0.2.20"}, "topicFilter": {"sensors/+/data"}, "deviceNameExpression": {"${serialNumber}"},
		},
		Wrong: []string{
			`{"broker": {"port": 1883}}`,
			`{"broker": {"host": "h", "port": 70000}}`,
			`{"broker": {"host": "h", "security": {"type": "magic"}}}`,
			`{"broker": {"host": "h", "transport": "pigeon"}}`,
			`{"broker": {"host": "h"}, "mapping": {"topicFilter": "a"}}`,
			`{"broker": {"host": "h"}, "mapping": [{"converter": {"type": "json", "deviceInfo": {"deviceNameExpression": "a"}}}]}`,
			`{"broker": {"host": "h"}, "mapping": [{"topicFilter": "a", "subscriptionQos": 3, "converter": {"type": "json", "deviceInfo": {"deviceNameExpression": "a"}}}]}`,
			`{"broker": {"host": "h"}, "mapping": [{"topicFilter": "a", "converter": {"type": "xml"}}]}`,
			`{"broker": {"host": "h"}, "requestsMapping": {"serverSideRpc": [{"deviceNameFilter": ".*"}]}}`,
			`{"broker": {"host": "h", "keepAlive": "long"}}`,
		},
	})
}

// schemaDocs returns the configurations of the vectors.
func schemaDocs(t *testing.T) (docs []json.RawMessage) {
	t.Helper()
	certs := peer.NewCerts(t)
	for _, security := range []map[string]any{
		{"type": "tls", "pathToCACert": certs.CA, "pathToClientCert": certs.ClientCert, "pathToPrivateKey": certs.ClientKey, "serverName": "x"},
		{"type": "certificates", "caCert": certs.CA, "cert": certs.ClientCert, "privateKey": certs.ClientKey, "insecure": true, "insecureSkipVerify": "false"},
	} {
		doc, err := json.Marshal(map[string]any{
			"$schema": "mqtt.json", "class": "MqttConnector", "compatibility": "ThingsBoard", "useGRPC": false,
			"broker": map[string]any{
				"host": "h", "port": "8884", "transport": "WebSocket", "path": "/mqtt", "proxy": "http://proxy:3128", "inflight": 10, "security": security,
			},
			"dataMapping": []any{map[string]any{
				"topicFilter": "a", "converter": map[string]any{
					"type": "bytes", "deviceInfo": map[string]any{"deviceNameExpression": "a", "deviceNameExpressionSource": "constant"},
					"attributes": []any{map[string]any{"key": "a", "value": "[0:2]", "decode": "int", "byteOrder": "LITTLE"}},
				},
			}},
		})
		require.NoError(t, err)
		docs = append(docs, doc)
	}
	require.NoError(t, filepath.WalkDir(filepath.Join("testdata", "vectors"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(path, "expressions") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var v struct {
			Config json.RawMessage
			Input  json.RawMessage
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		switch {
		case strings.Contains(path, "config_migration"):
			docs = append(docs, v.Input)
		case strings.Contains(path, "mqtt_live"):
			docs = append(docs, v.Config)
		default:
			docs = append(docs, json.RawMessage(`{"broker":{"host":"localhost"},"mapping":[`+string(v.Config)+`]}`))
		}
		return nil
	}))
	return docs
}

// schemaDescriptions tells what keys are for.
func schemaDescriptions() map[string]string {
	return map[string]string{
		"broker":                           "The broker, and how to reach it.",
		"broker.name":                      "Name of the broker, for people.",
		"broker.host":                      "Name or address of the broker.",
		"port":                             "Port of the broker.",
		"version":                          "Version of the protocol: 5, or 4 for MQTT 3.1.1. 3 counts as 4.",
		"clientId":                         "Client identifier; random if it is not given and no session is kept.",
		"keepAlive":                        "Keep-alive time, in seconds.",
		"cleanSession":                     "Begin with a new session. If it is false, the broker keeps what comes while the gateway is away.",
		"cleanStart":                       "The same as cleanSession, by its name in MQTT 5.",
		"sessionExpiryInterval":            "How long the broker keeps the session, in seconds; if it is not 0, a session is kept.",
		"transport":                        "What carries the protocol: tcp, or websocket.",
		"path":                             "Path of the WebSocket.",
		"proxy":                            "Address of a proxy: http://, https:// or socks5://.",
		"inflight":                         "How many messages may be under way at once.",
		"security":                         "How to log in, and TLS.",
		"security.type":                    "anonymous; basic with username and password; certificates or tls.",
		"username":                         "User name.",
		"password":                         "Password.",
		"pathToCACert":                     "File with the certificates that vouch for the broker, or these themselves (PEM).",
		"caCert":                           "Another name of pathToCACert.",
		"pathToClientCert":                 "File with the gateway's certificate, or the certificate itself (PEM).",
		"cert":                             "Another name of pathToClientCert.",
		"pathToPrivateKey":                 "File with the key of the certificate, or the key itself (PEM).",
		"privateKey":                       "Another name of pathToPrivateKey.",
		"serverName":                       "Name that the broker's certificate has to have, if it is not the host.",
		"insecure":                         "Do not check the name in the broker's certificate.",
		"insecureSkipVerify":               "Do not check the broker's certificate at all.",
		"mapping":                          "Topics, and what their messages mean. A topic may be in several.",
		"dataMapping":                      "Name of mapping in older files.",
		"topicFilter":                      "Filter of topics with the wildcards + and #; also $share/group/filter.",
		"subscriptionQos":                  "Quality of service of the subscription. 2 is used as 1.",
		"converter":                        "How messages become attributes and telemetry.",
		"converter.type":                   "json for JSON messages, bytes for slices of others, custom for one that the program has by name.",
		"extension":                        "Name of the converter that the program has.",
		"extensionConfig":                  "Settings of that converter.",
		"sharedGlobal":                     "One converter of that name for all mappings.",
		"sharedId":                         "One converter for all mappings with this identifier.",
		"deviceInfo":                       "Which device a message is about.",
		"deviceNameExpression":             "Name of the device: a text with ${...}, a regular expression on the topic, or a constant.",
		"deviceProfileExpression":          "Profile of the device, in the same way.",
		"deviceNameExpressionSource":       "What the expression is about: the message, the topic, or nothing (constant).",
		"deviceProfileExpressionSource":    "What the expression is about: the message, the topic, or nothing (constant).",
		"attributes":                       "Values that are sent as attributes; \"*\" is all of them.",
		"timeseries":                       "Values that are sent as telemetry; \"*\" is all of them.",
		"key":                              "Key of the value, which may have ${...} or [from:to] in it.",
		"keySource":                        "What the key's expression is about.",
		"value":                            "The value: a text with ${path}, or of bytes [from:to].",
		"converter.attributes[].type":      "Data type of the value, such as string, integer, double, bool or raw.",
		"converter.timeseries[].type":      "Data type of the value, such as string, integer, double, bool or raw.",
		"tsField":                          "Where the time of the value is: ${path}.",
		"dayfirst":                         "In 01/02/2024 the day comes first.",
		"yearfirst":                        "In 01/02/03 the year comes first.",
		"hexMode":                          "Take bytes as hexadecimal digits.",
		"decode":                           "Take bytes as a number.",
		"converter.attributes[].byteOrder": "Order of the bytes of that number.",
		"converter.timeseries[].byteOrder": "Order of the bytes of that number.",
		"useEval":                          "Values are expressions, such as ${temp} * 1.8 + 32.",
		"useReceivedTs":                    "Telemetry has the time of its arrival.",
		"requestsMapping":                  "Messages about devices, and to them. Each of its keys may also stand beside it.",
		"connectRequests":                  "Messages by which a device connects.",
		"disconnectRequests":               "Messages by which a device disconnects.",
		"attributeRequests":                "Messages by which a device asks for attributes, and the answers.",
		"attributeNameExpression":          "Names of the attributes.",
		"attributeNameExpressionSource":    "What that expression is about.",
		"scope":                            "Whose attributes: shared ones, or the client's own.",
		"attributeUpdates":                 "Messages to devices when their shared attributes change.",
		"deviceNameFilter":                 "Regular expression of names of devices.",
		"attributeFilter":                  "Regular expression of names of attributes.",
		"serverSideRpc":                    "Messages to devices for calls, and their answers.",
		"methodFilter":                     "Regular expression of names of methods.",
		"topicExpression":                  "Topic of the message, which may have ${...} in it.",
		"valueExpression":                  "The message, which may have ${...} in it.",
		"requestTopicExpression":           "Topic of the request, which may have ${...} in it.",
		"responseTopicExpression":          "Topic of the answer. Without it the call does not wait for one.",
		"responseTopicQoS":                 "Quality of service of the subscription to the answer. 2 is used as 1.",
		"responseTimeout":                  "How long the answer is waited for.",
		"serverSideRpc[].type":             "twoWay or oneWay. Whether there is an answer follows from the other keys.",
		"qos":                              "Quality of service of the message. 2 is used as 1.",
		"retain":                           "Whether the broker keeps the message.",
	}
}
