package tbconfig_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
)

func TestSchema(t *testing.T) {
	s, err := conftest.Struct[tbconfig.File]()
	require.NoError(t, err)
	thingsboard, storage := s.Properties["thingsboard"].Properties, s.Properties["storage"].Properties
	thingsboard["reportStrategy"] = conftest.Object(func(o *conf.Object) { conf.ReportPolicy(o, nil) },
		"ON_RECEIVED", "ON_CHANGE", "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "DISABLED", "AVG", "LAST", "MIN", "MAX", "SUM", "COUNT", "NONE").Properties["reportStrategy"]
	storage["type"] = conftest.OneOf("", "memory", "file", "sqlite")
	storage["overflow"] = conftest.OneOf("", "block", "drop_oldest", "reject")
	storage["durability"] = conftest.OneOf("", "always", "interval", "none")
	storage["compression"] = conftest.OneOf("", "none", "s2")
	dir := t.TempDir()
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/tb_gateway.json", Title: "Gateway", Description: "The main configuration file of the gateway.", Schema: s,
		Load: func(_ *conf.Reader, doc json.RawMessage) error {
			return loadMain(dir, doc)
		},
		Docs:     []json.RawMessage{json.RawMessage(everyKey)},
		Describe: schemaDescriptions(),
		Defaults: map[string]any{
			"thingsboard.port": 1883, "keep_alive": 120, "proxy_port": 3128, "checkCertPeriod": 86400, "certificateDaysLeft": 3,
			"inactivityTimeoutSeconds": 50, "syncDevicesSharedAttributesOnConnect": true, "checkConnectorsConfigurationInSeconds": 60,
			"statsSendPeriodInSeconds": 60, "customStatsSendPeriodInSeconds": 3600, "filterFile": "list.json",
			"durability": "always", "overflow": "block",
		},
		Examples: map[string][]any{
			"thingsboard.host": {"thingsboard.example.com"}, "connectors[].type": {"mqtt", "modbus"}, "connectors[].configuration": {"modbus.json"},
			"rateLimits":    {"10:1,300:60"},
			"security.type": {"accessToken", "usernamePassword", "tlsAccessToken", "tlsPrivateKey"},
		},
		Wrong: []string{
			`{"thingsboard": {"host": "h", "port": "many"}}`, `{"thingsboard": []}`, `{"storage": {"type": "tape"}}`, `{"connectors": {"a": 1}}`,
			`{"thingsboard": {"host": 5}}`, `{"storage": {"overflow": "explode"}}`, `{"thingsboard": {"reportStrategy": {"type": "SOMETIMES"}}}`,
		},
	})
}

// loadMain checks doc as the main file.
func loadMain(dir string, doc json.RawMessage) error {
	if err := os.WriteFile(filepath.Join(dir, tbconfig.FileName), doc, 0o600); err != nil {
		return err
	}
	linked := connector.Type{Name: "modbus", New: func(json.RawMessage, connector.Env) (connector.Connector, error) { return nil, nil }}
	var errs []error
	for _, p := range tbconfig.Check(dir, linked) {
		if !p.Harmless {
			errs = append(errs, errors.New(p.String()))
		}
	}
	return errors.Join(errs...)
}

const everyKey = `{
	"$schema": "docs/schemas/tb_gateway.json",
	"thingsboard": {
		"host": "thingsboard.example.com", "port": 1883, "qos": 1, "keep_alive": 60, "proxy_host": "", "proxy_port": 3128,
		"security": {
			"type": "accessToken", "accessToken": "token", "username": "", "password": "", "clientId": "", "tls": false, "caCert": "", "cert": "",
			"privateKey": "", "insecure": false, "checkCertPeriod": 86400, "certificateDaysLeft": 3},
		"provisioning": {
			"type": "ACCESS_TOKEN", "deviceName": "", "provisionDeviceKey": "", "provisionDeviceSecret": "", "access_token": "", "client_id": "",
			"username": "", "password": "", "caCert": ""},
		"reportStrategy": {"type": "ON_CHANGE", "reportPeriod": 5000},
		"remoteConfiguration": false, "remoteShell": false,
		"statistics": {"enable": true, "enableCustom": true, "statsSendPeriodInSeconds": 60, "customStatsSendPeriodInSeconds": 3600, "configuration": "statistics.json"},
		"deviceFiltering": {"enable": false, "filterFile": "list.json"}, "checkConnectorsConfigurationInSeconds": 60,
		"handleDeviceRenaming": true, "syncDevicesSharedAttributesOnConnect": true, "latencyDebugMode": false,
		"checkingDeviceActivity": {"checkDeviceInactivity": false, "inactivityTimeoutSeconds": 200},
		"rateLimits": "10:1,300:60", "dpRateLimits": "DEFAULT_TELEMETRY_DP_RATE_LIMIT", "messagesRateLimits": "10:1", "deviceRateLimits": "10:1",
		"deviceDpRateLimits": "10:1", "deviceMessagesRateLimits": "10:1",
		"mqttVersion": 4, "confirmSeconds": 1.5, "protobuf": false, "stateFolder": "state"},
	"storage": {
		"type": "memory", "data_folder_path": "./data", "data_file_path": "./data.db", "max_records_count": 1000, "messages_ttl_in_days": 0,
		"max_bytes": 1000000, "overflow": "drop_oldest", "size_limit": 0, "max_db_amount": 0, "durability": "always", "sync_interval_ms": 0,
		"compression": "none", "snapshot_file": ""},
	"connectors": [{"type": "modbus", "class": "", "name": "Plant", "configurationJson": {}, "configuration": "", "key": "k"}],
	"grpc": {"enabled": false}, "handleDeviceRenaming": true
}`

// schemaDescriptions tells what keys are for.
func schemaDescriptions() map[string]string {
	return map[string]string{
		"thingsboard":      "The platform, and how the gateway behaves towards it.",
		"thingsboard.host": "Name or address of the platform.",
		"thingsboard.port": "Port of MQTT at the platform.",
		"qos":              "Quality of service; it is always 1.",
		"keep_alive":       "Keep-alive time of MQTT, in seconds.",
		"proxy_host":       "Name or address of an HTTP proxy.",
		"proxy_port":       "Port of the proxy.",
		"security":         "How the gateway and the platform know each other.",
		"security.type":    "accessToken, usernamePassword, or one with TLS.",
		"accessToken":      "Access token of the gateway's device.",
		"username":         "User name.",
		"password":         "Password.",
		"clientId":         "Client identifier.",
		"tls":              "Use TLS.",
		"caCert":           "File with the certificates that vouch for the platform.",
		"cert":             "File with the gateway's certificate.",
		"privateKey":       "File with the key of the certificate.",
		"insecure":         "Do not verify the platform's certificate.",

		"checkCertPeriod":                       "Time between looks at the expiry of certificates, in seconds.",
		"certificateDaysLeft":                   "Days before its expiry from which a certificate is warned of.",
		"provisioning":                          "How to get credentials from the platform, if there is no section security.",
		"provisioning.type":                     "ACCESS_TOKEN, MQTT_BASIC or X509_CERTIFICATE.",
		"deviceName":                            "Name that the gateway's device is to have.",
		"provisionDeviceKey":                    "Provisioning key of the device profile.",
		"provisionDeviceSecret":                 "Provisioning secret of the device profile.",
		"access_token":                          "Access token that the device is to have.",
		"client_id":                             "Client identifier that the device is to have.",
		"remoteConfiguration":                   "Whether the platform may change the configuration.",
		"remoteShell":                           "Whether the platform may run commands, if the program allows it.",
		"statistics":                            "Telemetry about the gateway itself.",
		"statistics.enable":                     "Send statistics.",
		"enableCustom":                          "Send those of the file of custom commands too.",
		"statsSendPeriodInSeconds":              "Period of the statistics, in seconds; 10 at least.",
		"customStatsSendPeriodInSeconds":        "Period of the custom statistics, in seconds.",
		"statistics.configuration":              "The file of custom commands.",
		"deviceFiltering":                       "Which devices may send data.",
		"deviceFiltering.enable":                "Filter devices.",
		"filterFile":                            "File with the lists deny and allow.",
		"checkConnectorsConfigurationInSeconds": "Time between looks at the configuration files, in seconds; 0 relies on what the system tells.",
		"handleDeviceRenaming":                  "Follow devices that are renamed on the platform.",
		"syncDevicesSharedAttributesOnConnect":  "Ask for the shared attributes of a device when it connects.",
		"latencyDebugMode":                      "Send with each reading which connector it came from, and when.",
		"checkingDeviceActivity":                "About devices that have no data any more.",
		"checkDeviceInactivity":                 "Disconnect them.",
		"inactivityTimeoutSeconds":              "After how many seconds.",
		"rateLimits":                            "Limit of messages of telemetry, as count:seconds pairs.",
		"dpRateLimits":                          "Limit of values.",
		"messagesRateLimits":                    "Limit of messages of any kind.",
		"deviceRateLimits":                      "Limit of messages of telemetry of each device.",
		"deviceDpRateLimits":                    "Limit of values of each device.",
		"deviceMessagesRateLimits":              "Limit of messages of any kind of each device.",
		"mqttVersion":                           "Version of MQTT: 4 for 3.1.1, or 5.",
		"confirmSeconds":                        "How long data that the platform has acknowledged is kept, to be sent again if the connection is closed, in seconds.",
		"protobuf":                              "Send Protobuf instead of JSON; the device profile has to say so too.",
		"stateFolder":                           "Folder of what the client keeps.",
		"storage":                               "Where data is kept until the platform has it.",
		"storage.type":                          "memory, or file; sqlite is kept in files too.",
		"data_folder_path":                      "Folder, for the type file.",
		"data_file_path":                        "File, for the type sqlite; the folder is beside it.",
		"max_records_count":                     "Most records, for the type memory.",
		"messages_ttl_in_days":                  "Age at which records are dropped, for the type sqlite; 0 is never.",
		"max_bytes":                             "Most bytes that are kept.",
		"overflow":                              "What happens when it is full: wait, drop the oldest, or reject the newest.",
		"size_limit":                            "Size of a database in MB, for the type sqlite.",
		"max_db_amount":                         "How many databases, for the type sqlite.",
		"durability":                            "What counts as stored: always what is on the medium, what will be after an interval, or what the system has.",
		"sync_interval_ms":                      "That interval, in milliseconds.",
		"compression":                           "Compression of the files.",
		"snapshot_file":                         "File that keeps the records when the gateway stops, for the type memory.",
		"connectors":                            "The connectors, each with a file of its own.",
		"connectors[].type":                     "Type of the connector.",
		"connectors[].class":                    "Name of the type, if type is not linked into the program.",
		"connectors[].name":                     "Name of the connector.",
		"connectors[].configuration":            "Name of its file.",
		"connectors[].configurationJson":        "What would be in the file, here instead.",
		"connectors[].key":                      "Kept for the ThingsBoard gateway.",
		"grpc":                                  "The interface for connectors outside of the process, which there is not.",
		"grpc.enabled":                          "Has no effect.",
	}
}
