package modbus

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
)

func TestSchema(t *testing.T) {
	profiles := Profiles{"acrel-adw300": func(d Device, _ json.RawMessage) (Device, error) {
		d.Registers = []Register{{Key: "voltage"}}
		return d, nil
	}}
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/modbus.json", Title: "Modbus connector",
		Description: "The configuration file of a connector of type modbus: devices that are polled, and the gateway as a Modbus slave.",
		Load: func(r *conf.Reader, doc json.RawMessage) error {
			_, err := parseFile(r, doc, profiles, "", slog.New(slog.DiscardHandler))
			return err
		},
		Files:    []string{"testdata/*.json"},
		Docs:     schemaDocs(t),
		Describe: schemaDescriptions(),
		Spelling: []string{
			"BIG", "LITTLE", "N", "E", "O", "ON_RECEIVED", "ON_CHANGE", "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "DISABLED",
		},
		Defaults: map[string]any{"byteOrder": "LITTLE", "wordOrder": "LITTLE"},
		Examples: map[string][]any{
			"host": {"192.0.2.10"}, "slaves[].port": {502, "/dev/ttyUSB0", "COM3"}, "baudrate": {9600, 19200, 115200}, "deviceName": {"boiler"},
			"address": {0, "0x1F", "100-109"}, "divider": {10, 100}, "variants": {map[string]any{"1": "RUN", "2": "STOP"}},
			"encoding": {"utf-8", "ascii", "latin-1", "utf-16be", "utf-16le"}, "profile": {"acrel-adw300"},
			"attributes[].type": dataTypes(), "timeseries[].type": dataTypes(), "attributeUpdates[].type": dataTypes(), "rpc[].type": dataTypes(),
		},
		Wrong: []string{
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 256, "host": "h", "timeseries": []}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "type": "sctp"}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "byteOrder": "MIDDLE"}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "port": 70000}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "pollPeriod": "soon"}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "reportStrategy": {"type": "SOMETIMES"}}]}}`,
			`{"master": {"slaves": [{"host": "h"}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "timeseries": [{"tag": "x", "type": "16int", "functionCode": 3}]}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "timeseries": [{"tag": "x", "type": "16int", "functionCode": 17, "address": 1}]}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "timeseries": [{"tag": "x", "type": "16int", "functionCode": 3, "address": 70000}]}]}}`,
			`{"master": {"slaves": [{"deviceName": "a", "unitId": 1, "host": "h", "timeseries": [{"tag": ["x"], "type": "16int", "functionCode": 3, "address": 7}]}]}}`,
			`{"master": []}`, `{"master": {"slaves": 5}}`, `[]`,
			`{"slave": {"sendDataToThingsBoard": true, "maxConnections": -1}}`,
			`{"compatibility": "everything", "master": {"slaves": []}}`,
		},
	})
}

func dataTypes() []any {
	return []any{"16int", "16uint", "32int", "32uint", "64int", "64uint", "16float", "32float", "64float", "8int", "8uint", "bits", "string", "bytes"}
}

// schemaDocs returns the configurations of the vectors, and older forms.
func schemaDocs(t *testing.T) []json.RawMessage {
	t.Helper()
	docs := append(oldForms(t),
		json.RawMessage(`{"server": {"name": "old", "type": "tcp", "host": "127.0.0.1", "port": 5020, "method": "socket", "timeout": 35, "byteOrder": "BIG",
			"retries": true, "baudrate": null, "devices": [{"unitId": 1, "deviceName": "T", "attributesPollPeriod": 5000, "timeseriesPollPeriod": 30,
			"timeseries": [{"tag": "b", "type": "16int", "functionCode": 4, "objectsCount": 1, "address": 1}],
			"rpc": {"setValue": {"type": "bits", "functionCode": 5, "objectsCount": 1, "address": 31}}}]}}`),
		json.RawMessage(`{"slave": {"type": "serial", "method": "ascii", "port": "/dev/ttyS1", "unitId": 1, "sendDataToThingsBoard": true, "values": {
			"holding_registers": [{"attributes": [{"address": 1, "type": "string", "tag": "name", "objectsCount": 2, "value": "BOX"}]}],
			"coils_initializer": [{"timeseries": [{"address": 5, "type": "bits", "tag": "on", "objectsCount": 2}]}],
			"input_registers": [{}], "discrete_inputs": [{}]}}}`),
	)
	slave := func(config map[string]any, members map[string]any) {
		s := map[string]any{"type": "tcp", "host": "127.0.0.1", "port": 502, "deviceName": "MB", "unitId": 1}
		maps.Copy(s, config)
		maps.Copy(s, members)
		doc, err := json.Marshal(map[string]any{"master": map[string]any{"slaves": []any{s}}})
		require.NoError(t, err)
		docs = append(docs, doc)
	}
	for _, folder := range [...]string{"modbus", "modbus_rpc", "modbus_downlink", "config_migration"} {
		names, err := filepath.Glob(filepath.Join("testdata", "vectors", folder, "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			raw, err := os.ReadFile(name)
			require.NoError(t, err)
			var v struct {
				Config map[string]any
				Input  json.RawMessage
			}
			require.NoError(t, json.Unmarshal(raw, &v))
			switch folder {
			case "config_migration":
				docs = append(docs, v.Input)
			case "modbus_downlink":
				v.Config["tag"] = "x"
				slave(nil, map[string]any{"attributeUpdates": []any{v.Config}})
			default:
				slave(v.Config, nil)
			}
		}
	}
	return docs
}

// oldForms returns files that have everything of testdata/every-key.json in the form
// with server: beside the devices, and in them.
func oldForms(t *testing.T) (docs []json.RawMessage) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "every-key.json"))
	require.NoError(t, err)
	var doc struct {
		Master struct{ Slaves []map[string]any }
	}
	require.NoError(t, json.Unmarshal(raw, &doc))
	for _, device := range doc.Master.Slaves {
		within, err := json.Marshal(map[string]any{"server": map[string]any{"name": "old", "devices": []any{device}}})
		require.NoError(t, err)
		server := map[string]any{}
		for _, key := range connectionKeys() {
			if value, ok := device[key]; ok {
				server[key] = value
				delete(device, key)
			}
		}
		server["devices"] = []any{device}
		beside, err := json.Marshal(map[string]any{"server": server})
		require.NoError(t, err)
		docs = append(docs, within, beside)
	}
	return docs
}

// schemaDescriptions tells what keys are for.
func schemaDescriptions() map[string]string {
	table := map[string]string{
		"master":                           "Devices that the gateway polls and commands.",
		"slaves":                           "One object for each device (unit). Devices of one address or line share a connection.",
		"server":                           "The form that older files have instead of master.",
		"devices":                          "The devices of the connection.",
		"server.name":                      "Name of the connection.",
		"slave":                            "The gateway as a Modbus slave (server) for other masters.",
		"sendDataToThingsBoard":            "Whether the gateway is a slave at all.",
		"master.slaves[].name":             "Name, for people.",
		"master.slaves[].id":               "Identifier, for people.",
		"server.devices[].name":            "Name, for people.",
		"server.devices[].id":              "Identifier, for people.",
		"slave.name":                       "Name, for people.",
		"slave.id":                         "Identifier, for people.",
		"type":                             "What carries the requests: a network (tcp, udp) or a serial line.",
		"method":                           "Form of the frames: socket (Modbus TCP), tls, rtu or ascii. RTU and ASCII frames run over networks too.",
		"host":                             "Name or address of the device.",
		"slave.host":                       "Address that is listened on.",
		"port":                             "Port of the network (502; 802 with TLS), or device file of the serial line.",
		"baudrate":                         "Bits per second of the serial line.",
		"bytesize":                         "Data bits of a character.",
		"stopbits":                         "Stop bits of a character.",
		"parity":                           "Parity of a character: none, even or odd.",
		"handleLocalEcho":                  "The line repeats to the gateway what it sends.",
		"rs485":                            "Let the driver switch the direction of an RS-485 line.",
		"strict":                           "Keep the silence between RTU frames. It is always kept.",
		"exclusive":                        "Lock the serial line. It is always locked.",
		"tls":                              "TLS towards the device. An empty object is none.",
		"security":                         "TLS of the gateway as a slave; with a device the same as tls.",
		"certfile":                         "File with the gateway's own certificate.",
		"keyfile":                          "File with the key of the certificate.",
		"cafile":                           "File with the certificates that vouch for the peer.",
		"password":                         "Password of the key file, which must not have one.",
		"serverName":                       "Name that the peer's certificate has to have, if it is not the host.",
		"verify":                           "Whether the peer's certificate is checked.",
		"unitId":                           "Unit identifier (slave address). On a serial line 1 to 247, and 0 to write to all.",
		"deviceName":                       "Name of the device on the platform.",
		"deviceType":                       "Device profile on the platform.",
		"pollPeriod":                       "Time from poll to poll.",
		"timeseriesPollPeriod":             "Time from poll to poll, if there is no pollPeriod.",
		"attributesPollPeriod":             "Time from poll to poll of the attributes, if there is no pollPeriod.",
		"timeout":                          "How long an answer is waited for. Devices that share a bus get three seconds at most.",
		"retries":                          "How often a request is repeated: a number, true for 3, false for none.",
		"retryOnEmpty":                     "Repeat requests that were not answered.",
		"retryOnInvalid":                   "Repeat requests whose answer was damaged.",
		"delayBetweenRequestsMs":           "Pause between requests on the bus.",
		"connectAttemptTimeMs":             "Delay before the first attempt to connect again; 500 at least.",
		"connectAttemptCount":              "Attempts to connect, after which there is a pause; 2 at least.",
		"waitAfterFailedAttemptsMs":        "That pause; 30000 at least.",
		"byteOrder":                        "Order of the two bytes of a register. A tag's own order counts for it.",
		"wordOrder":                        "Order of the registers of a value. A tag's own order counts for it.",
		"repack":                           "Write the bytes of a register in the other order, where byteOrder is LITTLE.",
		"uplink_converter":                 "Name of the built-in converter; others are in Python and cannot be run.",
		"downlink_converter":               "Name of the built-in converter; others are in Python and cannot be run.",
		"maxGap":                           "The most unused registers that are read along to save a request; 0 reads none.",
		"slaves[].maxRegistersPerRequest":  "The most registers of one request.",
		"devices[].maxRegistersPerRequest": "The most registers of one request.",
		"maxRegistersPerRequest":           "The most registers of one request of the device.",
		"profile":                          "A meter profile, instead of lists of registers.",
		"profileOptions":                   "Settings of the profile.",
		"attributes":                       "Registers that are read and sent as attributes.",
		"timeseries":                       "Registers that are read and sent as telemetry.",
		"attributeUpdates":                 "Registers that are written when a shared attribute changes.",
		"rpc":                              "Registers that calls write, or read: a list, or an object by method.",
		"tag":                              "Key of the value; name of the attribute; method of the call.",
		"attributes[].type":                "Data type of the value.",
		"timeseries[].type":                "Data type of the value.",
		"attributeUpdates[].type":          "Data type of the value.",
		"rpc[].type":                       "Data type of the value.",
		"rpc.*.type":                       "Data type of the value.",
		"functionCode":                     "Function: 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers; to write 5 or 15 coils, 6 or 16 registers.",
		"address":                          "Address of the first register or coil, from 0; or a range \"from-to\" of such values.",
		"objectsCount":                     "How many registers or coils the value has.",
		"registersCount":                   "Another name of objectsCount.",
		"registerCount":                    "Another name of objectsCount.",
		"divider":                          "Readings are divided by it.",
		"multiplier":                       "Readings are multiplied by it, if there is no divider.",
		"round":                            "Decimals that floating-point readings are rounded to.",
		"bit":                              "The one bit of the value that is the reading, from the lowest.",
		"bitTargetType":                    "Bits come as true and false (bool), or 1 and 0 (int).",
		"variants":                         "What readings are replaced by: an object of reading and value.",
		"min":                              "Readings below, after scaling, are not sent.",
		"max":                              "Readings above, after scaling, are not sent.",
		"encoding":                         "Encoding of text: utf-8, ascii, latin-1, utf-16be or utf-16le.",
		"value":                            "What the gateway as a slave holds at the start.",
		"maxConnections":                   "How many masters may be connected; 32 if it is not given.",
		"identity":                         "What function 43 answers.",
		"vendorName":                       "Name of the vendor.",
		"productCode":                      "Code of the product.",
		"vendorUrl":                        "Address of the vendor.",
		"productName":                      "Name of the product.",
		"modelName":                        "Name of the model.",
		"ModelName":                        "Name of the model.",
		"revision":                         "Version of the product.",
		"values":                           "Registers and coils that exist, with what they hold.",
		"holding_registers":                "Registers that masters read (function 3) and write (6, 16).",
		"coils_initializer":                "Coils that masters read (function 1) and write (5, 15).",
		"input_registers":                  "Registers that masters read (function 4).",
		"discrete_inputs":                  "Bits that masters read (function 2).",
	}
	for _, list := range [...]string{"attributes", "timeseries"} {
		table[fmt.Sprintf("%s[].pollPeriod", list)] = "Time from poll to poll of this value, if it is not that of the device."
	}
	return table
}
