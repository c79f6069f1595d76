package opcua

import (
	"encoding/json"
	"testing"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
)

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/opcua.json", Title: "OPC UA connector",
		Description: "The configuration file of a connector of type opcua: a server, which of its nodes are devices, and what is read and written.",
		Load: func(r *conf.Reader, doc json.RawMessage) error {
			_, err := load(r, doc, "")
			return err
		},
		Files:    []string{"testdata/*.json"},
		Describe: schemaDescriptions(),
		Spelling: []string{
			"ON_RECEIVED", "ON_CHANGE", "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "DISABLED", "sourceTimestamp", "serverTimestamp", "cert.PEM",
		},
		Examples: map[string][]any{
			"server.url": {"opc.tcp://192.0.2.10:4840"}, "deviceNodePattern": {`Root\.Objects\.Line[0-9]+`}, "deviceNameExpression": {"line ${Name}"},
		},
		Wrong: []string{
			`{"server": {}}`,
			`{"server": {"url": "h", "timeoutInMillis": "long"}}`,
			`{"server": {"url": "h", "identity": {"type": "magic"}}}`,
			`{"server": {"url": "h"}, "mapping": [{"deviceInfo": {"deviceNameExpression": "a"}}]}`,
			`{"server": {"url": "h"}, "mapping": [{"deviceNodePattern": "i=5", "deviceInfo": {"deviceNameExpression": "a"}, "timeseries": [{"value": "x"}]}]}`,
			`{"server": {"url": "h"}, "mapping": [{"deviceNodePattern": "i=5", "deviceInfo": {"deviceNameExpression": "a"},
				"timeseries": [{"key": "x", "value": "x", "timestampLocation": "moon"}]}]}`,
			`{"server": {"url": "h"}, "mapping": [{"deviceNodePattern": "i=5", "deviceInfo": {"deviceNameExpression": "a"}, "rpc_methods": [{}]}]}`,
		},
	})
}

// schemaDescriptions tells what keys are for.
func schemaDescriptions() map[string]string {
	return map[string]string{
		"server":                        "The server.",
		"url":                           "Address of the server, opc.tcp://host:port/path.",
		"uri":                           "Application URI of the gateway.",
		"timeoutInMillis":               "How long a request waits for its answer.",
		"scanPeriodInMillis":            "Time between searches for new devices and nodes.",
		"pollPeriodInMillis":            "Time between reads of values that are not monitored.",
		"enableSubscriptions":           "Whether the server reports changes; otherwise values are read.",
		"disableSubscriptions":          "The opposite of enableSubscriptions, in older files.",
		"subCheckPeriodInMillis":        "Interval at which the server reports changes.",
		"subKeepAlivePeriodInSeconds":   "Silence of the subscription after which the connection is built anew; 0 for what the server has agreed to.",
		"subDataMaxBatchSize":           "The most values that are handed on together.",
		"subscriptionProcessBatchSize":  "The most monitored items of one request, where the server names no limit.",
		"sessionTimeoutInMillis":        "How long the server keeps a session of which it hears nothing.",
		"reconnectBackoffInitialDelay":  "Delay before the second attempt to reconnect.",
		"reconnectBackoffMaxDelay":      "The longest delay between attempts to reconnect.",
		"showMap":                       "Whether to log the nodes that were found.",
		"server.security":               "Security policy: None, Basic128Rsa15, Basic256, Basic256Sha256, Aes128Sha256RsaOaep or Aes256Sha256RsaPss.",
		"mode":                          "How messages are protected: None, Sign or SignAndEncrypt.",
		"pki":                           "Folder of the own certificate, and of trusted and rejected ones.",
		"acceptAnyCertificate":          "Whether to trust any server. Connections are then open to interception.",
		"identity":                      "Who logs in.",
		"identity.type":                 "Kind of identity.",
		"username":                      "Name of the user.",
		"password":                      "Password of the user.",
		"cert":                          "File of the gateway's certificate, as pathToClientCert.",
		"pathToClientCert":              "File of the gateway's certificate.",
		"privateKey":                    "File of the certificate's key, as pathToPrivateKey.",
		"pathToPrivateKey":              "File of the certificate's key.",
		"caCert":                        "File of the server's certificate, as pathToCACert.",
		"pathToCACert":                  "File of the server's certificate, or of an authority that issued it.",
		"server.name":                   "A name for people.",
		"server.type":                   "Of no effect.",
		"mapping":                       "Which nodes are devices, and what is read from them.",
		"deviceNodePattern":             "Node identifier, or path from the root whose segments may be regular expressions.",
		"deviceNodeSource":              "What the pattern is; it can be seen from the pattern.",
		"deviceInfo":                    "Name and profile of the devices.",
		"deviceNameExpression":          "Name of the device, with ${path} or ${identifier} for values of nodes.",
		"deviceProfileExpression":       "Profile of the device, with ${path} or ${identifier} for values of nodes.",
		"deviceNameExpressionSource":    "What the expression is; it can be seen from the expression.",
		"deviceProfileExpressionSource": "What the expression is; it can be seen from the expression.",
		"deviceNamePattern":             "Name of the device, in older files.",
		"deviceTypePattern":             "Profile of the device, in older files.",
		"converter":                     "Name of the built-in converter.",
		"timeseries":                    "Values that become time series.",
		"attributes":                    "Values that become client-side attributes.",
		"attributes_updates":            "Shared attributes that are written to nodes.",
		"rpc_methods":                   "Methods of the device's node that can be called.",
		"key":                           "Key on the platform.",
		"value":                         "Node: identifier, path from the root, or path from the device's node.",
		"path":                          "Node, in older files.",
		"timeseries[].type":             "What the value is; constant for a text that is reported as it is.",
		"attributes[].type":             "What the value is; constant for a text that is reported as it is.",
		"attributes_updates[].type":     "What the value is; it can be seen from it.",
		"timestampLocation":             "Where the time of a value comes from.",
		"samplingInMillis":              "How often the server looks at the value.",
		"queueSize":                     "How many values the server keeps between two reports; 0 for ten.",
		"deadband":                      "Change from which on a number is reported.",
		"deadbandType":                  "Whether the deadband is absolute or in percent of the value's range.",
		"attributeOnThingsBoard":        "Key of the shared attribute, in older files.",
		"attributeOnDevice":             "Node that is written, in older files.",
		"method":                        "Browse name of the method, and name of the call.",
		"arguments":                     "Arguments of calls that bring none.",
	}
}
