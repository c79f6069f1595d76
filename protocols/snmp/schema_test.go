package snmp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
)

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/snmp.json", Title: "SNMP connector",
		Description: "The configuration file of a connector of type snmp: agents that are polled and written to, and traps that are received.",
		Load: func(r *conf.Reader, doc json.RawMessage) error {
			_, err := load(r, doc, connector.Env{Name: "snmp"})
			return err
		},
		Files:    []string{"testdata/*.json"},
		Docs:     schemaDocs(t),
		Describe: schemaDescriptions(),
		Spelling: []string{"ON_RECEIVED", "ON_CHANGE", "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "DISABLED"},
		Examples: map[string][]any{"ip": {"192.0.2.10"}, "oid": {"1.3.6.1.2.1.1.3.0"}},
		Wrong: []string{
			`{"devices": [{"deviceName": "d"}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "port": 70000}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "version": "v4"}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "transport": "pigeon"}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "timeout": "long"}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "telemetry": [{"oid": "1.3.6"}]}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "telemetry": [{"key": "k", "oid": "1.3.6", "encoding": "morse"}]}]}`,
			`{"devices": [{"deviceName": "d", "ip": "h", "serverSideRpcRequests": [{"oid": "1.3.6"}]}]}`,
			`{"devices": [], "traps": {"mappings": [{"key": "a"}]}}`,
		},
	})
}

// schemaDocs returns the configurations of the vectors.
func schemaDocs(t *testing.T) (docs []json.RawMessage) {
	t.Helper()
	names, err := filepath.Glob("testdata/vectors/snmp/*.json")
	require.NoError(t, err)
	for _, name := range names {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		var v struct{ Config json.RawMessage }
		require.NoError(t, json.Unmarshal(raw, &v))
		docs = append(docs, json.RawMessage(`{"devices":[`+string(v.Config)+`]}`))
	}
	return docs
}

// schemaDescriptions tells what keys are for.
func schemaDescriptions() map[string]string {
	return map[string]string{
		"oids":                              "Names that object identifiers can be given by, such as \"sysName\": \"1.3.6.1.2.1.1.5\".",
		"devices":                           "The agents.",
		"deviceName":                        "Name of the device on the platform.",
		"deviceType":                        "Device profile on the platform.",
		"ip":                                "Address or host name of the agent.",
		"devices[].port":                    "Port of the agent.",
		"transport":                         "What carries the protocol: udp, or tcp.",
		"version":                           "Version of SNMP: v1, v2c or v3.",
		"community":                         "Community of versions 1 and 2c.",
		"devices[].security":                "The user of version 3.",
		"username":                          "Name of the user.",
		"authProtocol":                      "How messages are authenticated: MD5, SHA, SHA-224, SHA-256, SHA-384 or SHA-512; not at all if it is missing.",
		"authPassword":                      "Password of authentication, of eight characters at least.",
		"privProtocol":                      "How messages are encrypted: DES, AES, AES-192, AES-256, AES-192-C or AES-256-C; not at all if it is missing.",
		"privPassword":                      "Password of encryption, of eight characters at least.",
		"contextName":                       "Context of requests.",
		"contextEngineId":                   "Engine of the context, in hexadecimal.",
		"pollPeriod":                        "Time from poll to poll.",
		"devices[].timeout":                 "How long a request waits for its answer.",
		"retries":                           "How often an unanswered request is repeated.",
		"maxOids":                           "The most objects of one request.",
		"bulkSize":                          "How many objects a GETBULK of a walk asks for.",
		"converter":                         "A converter of the reference gateway; only its own are known.",
		"devices[].attributes":              "What is read and reported as attributes.",
		"devices[].telemetry":               "What is read and reported as time series.",
		"devices[].timeseries":              "The same as telemetry.",
		"attributeUpdateRequests":           "What shared attributes write.",
		"attributeFilter":                   "Regular expression for the name of the attribute.",
		"serverSideRpcRequests":             "What remote procedure calls read and write.",
		"requestFilter":                     "Regular expression for the name of the method.",
		"key":                               "Key on the platform.",
		"method":                            "get, multiget, getnext, walk, multiwalk, bulkwalk, bulkget, table or bulktable; commands also set and multiset.",
		"oid":                               "Object identifier, or several, in numbers or by a name of oids.",
		"scalarOid":                         "Objects that a bulkget reads once.",
		"repeatingOid":                      "Objects that a bulkget reads repeatedly.",
		"maxListSize":                       "How often a bulkget reads the repeating objects.",
		"encoding":                          "How octets become text: auto, text or hex.",
		"multiplier":                        "What numbers are multiplied by.",
		"divider":                           "What numbers are divided by.",
		"attributeUpdateRequests[].timeout": "How long the command may take.",
		"serverSideRpcRequests[].timeout":   "How long the command may take.",
		"value":                             "What is written, in which ${attribute} and ${params} stand for what is given; without it, that itself.",
		"dataType":                          "Type to write with: integer, unsigned, counter32, counter64, timeticks, octetString, hexString, objectIdentifier or ipAddress; without it, that of the current value.",
		"mappings":                          "What a multiset writes: values by object identifier.",
		"traps":                             "Traps and informs that are received.",
		"traps.host":                        "Address to listen on; all if it is missing.",
		"traps.port":                        "UDP port to listen on.",
		"communities":                       "Communities that are accepted; without it, those of the devices.",
		"users":                             "Users of version 3, beside those of the devices.",
		"engineId":                          "Engine identifier of the gateway, in hexadecimal; without it, a new one for each start.",
		"unmapped":                          "Report traps without a mapping as a whole, under the key trap.",
		"unknownDeviceName":                 "Device of senders that no device names, with ${address}; without it their traps are dropped.",
		"unknownDeviceType":                 "Device profile of that device.",
		"traps.mappings":                    "What is reported of which traps.",
		"trap":                              "Object identifier or name of the trap, with .* all below it.",
		"traps.mappings[].key":              "Key that tells of the trap itself.",
		"traps.mappings[].value":            "What that key says; the trap's identifier if it is missing.",
		"traps.mappings[].telemetry":        "Objects of the trap that are time series.",
		"traps.mappings[].attributes":       "Objects of the trap that are attributes.",
	}
}
