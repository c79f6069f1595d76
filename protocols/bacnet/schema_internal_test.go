package bacnet

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/bacnet.json", Title: "BACnet connector",
		Description: "The configuration file of a connector of type bacnet: the gateway as a BACnet/IP device, and the devices that it reads and commands. " +
			"Files of the older form, with general, are read too; the schema is of the present one.",
		Load: func(r *conf.Reader, doc json.RawMessage) error {
			_, err := load(r, doc, "")
			return err
		},
		Files:    []string{"testdata/*.json"},
		Docs:     schemaDocs(t),
		Describe: schemaDescriptions(),
		Spelling: []string{
			"ON_RECEIVED", "ON_CHANGE", "ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD", "DISABLED",
			"segmentedBoth", "segmentedTransmit", "segmentedReceive", "noSegmentation",
		},
		Defaults: map[string]any{"foreignDevice.ttl": 900},
		Examples: map[string][]any{
			"application.host": {"192.0.2.1"}, "devices[].host": {"192.0.2.10"}, "address": {"192.0.2.10:47808"}, "objectType": {"analogInput"},
			"propertyId": {"presentValue"}, "objectId": {1},
		},
		Wrong: []string{
			`{"application": {"objectIdentifier": 1}}`,
			`{"application": {"host": "192.0.2.1", "objectIdentifier": 5000000}}`,
			`{"application": {"host": "192.0.2.1", "objectIdentifier": 1, "port": 70000}}`,
			`{"application": {"host": "192.0.2.1", "objectIdentifier": 1, "segmentationSupported": "some"}}`,
			withDevice(`{"deviceInfo": {}, "host": "192.0.2.2"}`),
			withDevice(`{"deviceInfo": {"deviceNameExpression": "a"}, "host": "192.0.2.2", "pollPeriod": "often"}`),
			withDevice(`{"deviceInfo": {"deviceNameExpression": "a"}, "host": "192.0.2.2", "timeseries": "all"}`),
			withDevice(`{"deviceInfo": {"deviceNameExpression": "a"}, "host": "192.0.2.2", "timeseries": [{"objectType": "device"}]}`),
			withDevice(`{"deviceInfo": {"deviceNameExpression": "a"}, "host": "192.0.2.2", "attributeUpdates":
				[{"key": "k", "objectType": "analogValue", "objectId": 1, "propertyId": "presentValue", "priority": 17}]}`),
		},
	})
}

func TestEveryKeyIsRead(t *testing.T) {
	doc, err := os.ReadFile("testdata/every-key.json")
	require.NoError(t, err)
	cfg, err := load(conf.NewReader(nil), doc, "")
	require.NoError(t, err)
	require.Len(t, cfg.Devices, 3)
	assert.Equal(t, []Range{{7, 7}}, cfg.Devices[1].Instances)
	all := cfg.Devices[2]
	assert.Equal(t, []Range{{0, wire.AnyInstance}}, all.Instances)
	assert.False(t, all.COV.Enabled)
	require.Len(t, all.Items, 2)
	assert.True(t, all.Items[0].Attribute && !all.Items[1].Attribute && all.Items[1].Objects.Types == nil)

	device := &telemetry.ReportPolicy{
		Mode: telemetry.OnChange, Period: 10 * time.Second, Deadband: 0.5, DeadbandPercent: 1,
		Attributes: &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 10 * time.Second},
	}
	cfg.Devices = cfg.Devices[:1]
	assert.Equal(t, Config{
		Local: Local{
			Host: "192.0.2.1", Mask: 16, Port: 47809, Instance: 599, Name: "gateway", Vendor: 16, MaxAPDU: 1024, Segmentation: wire.SegmentedReceive,
		},
		Foreign:  Foreign{Address: "192.0.2.254:47808", TTL: 10 * time.Minute},
		Discover: 20 * time.Second, Rescan: 90 * time.Second, Timeout: 2 * time.Second, Retries: -1, WrapResults: true, Compatible: true,
		Devices: []Device{{
			Name: "AHU ${objectName}", Profile: "ahu", literalProfile: true, Address: "192.0.2.X:47808",
			Instances: []Range{{100, 200}, {205, 205}}, Alternatives: []string{"192.0.2.99"},
			Poll: 5 * time.Second, Timeout: 500 * time.Millisecond, Retries: 1, Report: device,
			COV: COV{Enabled: true, Unconfirmed: true, Lifetime: 2 * time.Minute, Resync: 5 * time.Minute},
			Items: []Item{
				{Key: "unit", Objects: Object(wire.AnalogInput, 1), Properties: []wire.Property{wire.Units}, Attribute: true, Decimals: 1, Report: device},
				{
					Key: "${objectName}", Objects: Objects(wire.AnalogInput, wire.AnalogValue), Decimals: 2, Report: device,
					Properties: []wire.Property{wire.PresentValue, wire.StatusFlags},
				},
				{
					Key: "p", Objects: Selector{Types: []wire.ObjectType{wire.AnalogOutput}, Instances: []Range{{3, 9}, {12, 12}}}, Decimals: 1,
					Properties: []wire.Property{wire.PriorityArray}, Element: 8,
					Report: &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 10 * time.Second},
				},
			},
			AttributeUpdates: []Command{{
				Method: "setpoint", Object: wire.NewObjectID(wire.AnalogValue, 5), Property: wire.PresentValue, Element: -1, Write: true, Priority: 10, Kind: "real",
			}},
			RPC: []Command{{
				Method: "fan", Object: wire.NewObjectID(wire.BinaryOutput, 1), Property: wire.PresentValue, Element: 2, Write: true, Priority: 8, Kind: "enumerated",
			}},
		}},
	}, cfg)
}

func withDevice(device string) string {
	return `{"application": {"host": "192.0.2.1", "objectIdentifier": 1}, "devices": [` + device + `]}`
}

// schemaDocs returns the configurations of the vectors.
func schemaDocs(t *testing.T) (docs []json.RawMessage) {
	t.Helper()
	names, err := filepath.Glob("testdata/vectors/bacnet/*.json")
	require.NoError(t, err)
	for _, name := range names {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		var v struct{ Config json.RawMessage }
		require.NoError(t, json.Unmarshal(raw, &v))
		docs = append(docs, json.RawMessage(withDevice(string(v.Config))))
	}
	table := "# Keyname;device obj.-instance;object-name;object-type;object-instance\nA;7;T1;0;1\n"
	name := filepath.Join(t.TempDir(), "ede.csv")
	require.NoError(t, os.WriteFile(name, []byte(table), 0o600))
	for key, value := range map[string]string{"edeFilePath": name, "edeConfig": base64.StdEncoding.EncodeToString([]byte(table))} {
		doc, err := json.Marshal(map[string]any{"application": map[string]any{"host": "192.0.2.1", "objectIdentifier": 1}, key: value})
		require.NoError(t, err)
		docs = append(docs, doc)
	}
	return docs
}

// schemaDescriptions tells what keys are for.
func schemaDescriptions() map[string]string {
	return map[string]string{
		"application":                       "The gateway as a BACnet device.",
		"application.host":                  "IPv4 address to bind; 0.0.0.0 for all.",
		"application.port":                  "UDP port to bind; 0 for any that is free.",
		"application.mask":                  "Mask of the network, as 24 or 255.255.255.0; it gives the address of broadcasts.",
		"objectIdentifier":                  "Number of the gateway's device object, which nobody else in the installation may have.",
		"objectName":                        "Name of the gateway's device object.",
		"vendorIdentifier":                  "Vendor number of the gateway's device object.",
		"maxApduLengthAccepted":             "The longest message that the gateway takes: 50, 128, 206, 480, 1024 or 1476 bytes.",
		"segmentationSupported":             "In which direction the gateway divides messages; both and receive take answers in segments.",
		"devicesDiscoverPeriodSeconds":      "Time from search to search for devices.",
		"devicesRescanObjectsPeriodSeconds": "How often devices are asked whether their objects have changed.",
		"application.apduTimeout":           "How long a request waits for its answer.",
		"application.apduRetries":           "How often a request is repeated to a device that has answered before.",
		"edeFilePath":                       "File with an EDE table of devices, beside those of the section devices.",
		"edeConfig":                         "The same table itself, in base64.",
		"decimals":                          "Decimals that real numbers are rounded to; 0 for all.",
		"cov":                               "Whether to subscribe to present values rather than poll them, and how.",
		"cov.enabled":                       "Whether to subscribe.",
		"cov.confirmed":                     "Whether the device repeats values until they are stored.",
		"cov.lifetime":                      "How long a subscription holds, ten seconds at least; it is renewed in half that time.",
		"cov.resyncPeriod":                  "How often values are read besides.",
		"foreignDevice":                     "Registration in another network.",
		"foreignDevice.address":             "Address of the network's BBMD; 0.0.0.0 is none.",
		"foreignDevice.ttl":                 "How long a registration holds in seconds; it is renewed in time.",
		"devices":                           "What is read and commanded.",
		"deviceInfo":                        "Name and profile of the devices.",
		"deviceNameExpression":              "Name of the device, with ${objectName}, ${objectId}, ${vendorId}, ${address}, ${routerName}, ${routerId}, ${routerAddress}, ${routerVendorId}.",
		"deviceProfileExpression":           "Profile of the device, with the same variables.",
		"deviceNameExpressionSource":        "Whether the name has variables.",
		"deviceProfileExpressionSource":     "Whether the profile has variables.",
		"devices[].host":                    "Address of the device, or a pattern: 192.0.2.X, *, *:*, 5:*.",
		"devices[].port":                    "UDP port of the device, or *.",
		"devices[].mask":                    "Without a meaning for a device.",
		"devices[].address":                 "Host and port in one.",
		"deviceId":                          "Numbers of the devices: one, a range such as 100-200, a list of these, or * for all.",
		"altResponsesAddresses":             "Further addresses that the device answers from.",
		"pollPeriod":                        "Time from poll to poll.",
		"devices[].apduTimeout":             "How long a request waits for its answer, if other than for all devices.",
		"devices[].apduRetries":             "How often a request is repeated, if other than for all devices.",
		"uplink_converter":                  "A converter of the reference gateway; only its own is known.",
		"devices[].attributes":              "What is reported as attributes; * for the present values of all objects.",
		"devices[].timeseries":              "What is reported as time series; * for the present values of all objects.",
		"attributeUpdates":                  "Shared attributes that are written to the device.",
		"serverSideRpc":                     "Remote procedure calls that read or write.",
		"attributes[].key":                  "Key on the platform, with ${objectName} or other properties of the object, ${objectType}, ${objectId}.",
		"timeseries[].key":                  "Key on the platform, with ${objectName} or other properties of the object, ${objectType}, ${objectId}.",
		"attributeUpdates[].key":            "Key of the shared attribute.",
		"method":                            "Name of the method.",
		"attributeUpdates[].requestType":    "Without a meaning: it is a write.",
		"serverSideRpc[].requestType":       "writeProperty or readProperty.",
		"objectType":                        "Type of the object, as analogInput, analog-input or its number.",
		"attributes[].objectType":           "Type of the objects, as analogInput, analog-input or its number; with the objectId * also a list of types, or *.",
		"timeseries[].objectType":           "Type of the objects, as analogInput, analog-input or its number; with the objectId * also a list of types, or *.",
		"objectId":                          "Number of the object.",
		"attributes[].objectId":             "Numbers of the objects: one, a range such as 3-9, a list of these, or * for those that the device has.",
		"timeseries[].objectId":             "Numbers of the objects: one, a range such as 3-9, a list of these, or * for those that the device has.",
		"propertyId":                        "Property, with [8] for one element of an array.",
		"attributes[].propertyId":           "Property, a list of them, or * for all; with [8] for one element of an array.",
		"timeseries[].propertyId":           "Property, a list of them, or * for all; with [8] for one element of an array.",
		"arrayIndex":                        "Element of an array; 0 for the number of elements.",
		"priority":                          "Priority of a write, 1 to 16.",
		"dataType":                          "Type to write, such as real or unsigned, if it is not the property's own.",
	}
}
