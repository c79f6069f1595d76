package serial_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
	"github.com/gridlinks/iot-gateway/protocols/serial"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestEveryKeyIsRead(t *testing.T) {
	doc, err := os.ReadFile("testdata/every-key.json")
	require.NoError(t, err)
	cfg, err := serial.Load(string(doc), nil)
	require.NoError(t, err)
	to, nine := -1, 9
	change := &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 10 * time.Second, Deadband: 0.5, DeadbandPercent: 1}
	same := *change
	change.Attributes = &same
	assert.Equal(t, serial.Config{Compatible: true, Devices: []serial.Device{{
		Name: "scale", Profile: "scales", Port: "/dev/ttyUSB1", Baud: 19200, DataBits: 7, Parity: serial.EvenParity, StopBits: 2,
		RTSCTS: true, XONXOFF: true, Delimiter: "\r", Silence: 50 * time.Millisecond, MaxBytes: 300, WriteTimeout: 2 * time.Second,
		LittleEndian: true,
		Timeseries:   []serial.Datapoint{{Key: "w", Type: serial.Float, Part: serial.Part{FromDelimiter: "=", UntilDelimiter: "kg", ToByte: &nine}, Report: change}},
		Attributes:   []serial.Datapoint{{Key: "sn", Part: serial.Part{FromByte: 4, ToByte: &to}}},
		Updates:      []serial.AttributeUpdate{{Key: "tare", Format: "T ${tare}\r"}},
		RPCs: []serial.RPC{{
			Method: "get", Params: serial.Int, WithReply: true, ReplyType: serial.JSON, ReplyTimeout: 3 * time.Second,
			Reply: serial.Part{FromDelimiter: "<", UntilDelimiter: ">", FromByte: 1, ToByte: &to},
		}},
	}}}, cfg)
}

func TestProblemsNameTheKey(t *testing.T) {
	for want, doc := range map[string]string{
		"devices: is missing":                       `{}`,
		"devices[0].name: is missing":               `{"devices":[{"port":"x"}]}`,
		"devices[0].baudrate: 1 is not":             `{"devices":[{"name":"a","baudrate":1}]}`,
		"devices[0].telemetry[0].key: is missing":   `{"devices":[{"name":"a","telemetry":[{}]}]}`,
		`devices[1].name: "a" is used twice`:        `{"devices":[{"name":"a"},{"name":"a"}]}`,
		`devices[0].parity: "mark" is not`:          `{"devices":[{"name":"a","parity":"mark"}]}`,
		`devices[0].converter: no converter "Mine"`: `{"devices":[{"name":"a","converter":"Mine"}]}`,
	} {
		_, err := serial.Type().New(json.RawMessage(doc), connector.Env{Name: "test"})
		require.ErrorContains(t, err, want)
	}
}

func TestConvertersAreKnownByName(t *testing.T) {
	mine := serial.WithConverter("Mine", func(config json.RawMessage) (serial.UplinkConverter, error) {
		assert.JSONEq(t, `{"k":1}`, string(config))
		return serial.ConverterFunc(func(m serial.Message, out *telemetry.Batch) error {
			out.Device(m.Device.Name, "mine")
			out.AddTelemetry(telemetry.Point{Key: "n", Value: telemetry.Int(int64(len(m.Payload)))})
			return nil
		}), nil
	})
	c, err := serial.Type(mine).New(json.RawMessage(`{"devices":[{"name":"a","converter":"Mine","converterConfig":{"k":1}}]}`), connector.Env{Name: "test"})
	require.NoError(t, err)
	b, err := serial.Convert(c, []byte("abc"))
	require.NoError(t, err)
	require.Equal(t, telemetry.Int(3), b.Groups()[0].Telemetry[0].Value)
}

func TestSchema(t *testing.T) {
	conftest.Run(t, conftest.Config{
		File: "../../docs/schemas/serial.json", Title: "Serial connector",
		Description: "Devices that talk by themselves, each on a serial line of its own.",
		Load:        serial.LoadWith,
		Files:       []string{"testdata/*.json"},
		Wrong:       []string{`{"devices":[{"name":"a","baudrate":1}]}`, `{"devices":[{"name":"a","parity":"mark"}]}`, `{"devices": 5}`, `{}`},
		Describe: map[string]string{
			"compatibility":          "Convert as the Python gateway's example does: drop zero, false and empty values, take the bounds of bytes the other way round, and leave the first delimiter in the value.",
			"devices":                "The devices, each on a line of its own.",
			"name":                   "Name of the device on the platform.",
			"deviceName":             "Another name for name.",
			"devices[].type":         "Profile of the device on the platform.",
			"deviceType":             "Profile of the device on the platform, if type does not say it.",
			"port":                   "The line, such as /dev/ttyUSB0 or COM3.",
			"baudrate":               "Bits per second.",
			"bytesize":               "Data bits of a character.",
			"parity":                 "Parity of a character: N, E or O.",
			"stopbits":               "Stop bits of a character.",
			"rtscts":                 "Flow control by the lines RTS and CTS.",
			"xonxoff":                "Flow control by the characters XON and XOFF.",
			"delimiter":              "Text that ends a message.",
			"timeout":                "Seconds of silence that end a message.",
			"interByteTimeout":       "Seconds of silence that end a message, if it should be another time than timeout.",
			"maxBytes":               "Largest message in bytes; a longer one is dropped. 0 means 65536.",
			"writeTimeout":           "Seconds that a write may take.",
			"byteorder":              "Order of the bytes of numbers that are written.",
			"converter":              "Name of a converter of the program, instead of telemetry and attributes.",
			"uplink_converter":       "Another name for converter.",
			"converterConfig":        "Configuration of the converter, as it wants it.",
			"telemetry":              "Parts of a message that are telemetry.",
			"timeseries":             "Another name for telemetry.",
			"attributes":             "Parts of a message that are attributes.",
			"key":                    "Key on the platform.",
			"telemetry[].type":       "What the part holds: string, int, float, bool or json; anything else means bytes, sent as hexadecimal digits.",
			"timeseries[].type":      "What the part holds: string, int, float, bool or json; anything else means bytes, sent as hexadecimal digits.",
			"attributes[].type":      "What the part holds: string, int, float, bool or json; anything else means bytes, sent as hexadecimal digits.",
			"fromDelimiter":          "Text after which the part begins.",
			"untilDelimiter":         "Text before which the part ends.",
			"fromByte":               "First byte of the part, from 0; a negative number counts from the end of the message.",
			"toByte":                 "Byte before which the part ends; a negative number counts from the end of the message.",
			"attributeUpdates":       "What is written when shared attributes change.",
			"attributeOnPlatform":    "Key of the shared attribute.",
			"stringToDevice":         "Text to write; ${attributeValue}, or the key in braces, stands for the value.",
			"serverSideRpc":          "Remote procedure calls of the device.",
			"method":                 "Method of the call.",
			"serverSideRpc[].type":   "How parameters are written: string as text, int and float as bytes.",
			"withResponse":           "The next message of the device is the answer.",
			"responseType":           "What the answer holds, as type does for a key.",
			"responseFromDelimiter":  "Text after which the answer begins.",
			"responseUntilDelimiter": "Text before which the answer ends.",
			"responseFromByte":       "First byte of the answer.",
			"responseToByte":         "Byte before which the answer ends.",
			"responseTimeoutSec":     "Seconds to wait for the answer.",
		},
		Spelling: []string{"N", "E", "O"},
	})
}
