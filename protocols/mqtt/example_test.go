package mqtt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A connector composed in code, with a converter of its own.
func ExampleNew() {
	celsius := mqtt.ConverterFunc(func(m mqtt.Message, out *telemetry.Batch) error {
		v, err := strconv.ParseFloat(string(m.Payload), 64)
		if err != nil {
			return errors.New("payload is not a number")
		}
		out.Device(strings.TrimPrefix(m.Topic, "thermometer/"), "thermometer")
		out.Telemetry("celsius", telemetry.Float(v))
		return nil
	})
	c := mqtt.New(mqtt.Config{
		Broker:   "tcp://localhost:1883",
		Mappings: []mqtt.Mapping{{Filter: "thermometer/+", QoS: 1, Converter: celsius}},
	})
	_ = c // gateway.WithConnector("thermometers", c)
}

func ExampleNewJSON() {
	c, err := mqtt.NewJSON(mqtt.JSONConfig{
		Device: mqtt.DeviceInfo{Name: mqtt.Expression{Source: mqtt.FromTopic, Text: "(?<=sensor/)(.*?)(?=/data)"}},
		Timeseries: []mqtt.Datapoint{
			{Key: mqtt.Expression{Text: "temperature"}, Type: "double", Value: "${temp}", TimeField: "${at}"},
		},
	})
	if err != nil {
		panic(err)
	}
	var b telemetry.Batch
	err = c.ConvertUplink(mqtt.Message{Topic: "sensor/AM-12/data", Payload: []byte(`{"temp": "21.5", "at": 1700000000}`)}, &b)
	for _, g := range b.Groups() {
		for _, p := range g.Telemetry {
			fmt.Println(g.Device.Name, p.Key, p.Value, p.TS, err)
		}
	}
	// Output: AM-12 temperature 21.5 1700000000000 <nil>
}

func ExampleNewBytes() {
	c, err := mqtt.NewBytes(mqtt.BytesConfig{
		Device:     mqtt.DeviceInfo{Name: mqtt.Expression{Text: "[0:4]"}},
		Timeseries: []mqtt.Datapoint{{Key: mqtt.Expression{Text: "raw"}, Value: "[4:6]", Decode: "uint"}},
	})
	if err != nil {
		panic(err)
	}
	var b telemetry.Batch
	err = c.ConvertUplink(mqtt.Message{Payload: []byte("AM12\x01\x02")}, &b)
	fmt.Println(b.Groups()[0].Device.Name, b.Groups()[0].Telemetry[0].Value, err)
	// Output: AM12 258 <nil>
}

// A configuration file that refers to a converter by name.
func ExampleType() {
	t := mqtt.Type(mqtt.WithConverter("MyConverter", mqtt.ConverterFunc(func(mqtt.Message, *telemetry.Batch) error { return nil })))
	_, err := t.New(json.RawMessage(`{"broker": {"host": "localhost"}, "mapping": [
	  {"topicFilter": "a", "converter": {"type": "custom", "extension": "MyConverter"}},
	  {"topicFilter": "b", "converter": {"type": "custom", "extension": "Another"}}]}`), connector.Env{Name: "meters", Logger: slog.Default()})
	fmt.Println(err)
	// Output: mqtt: mapping[1].converter.extension: no converter "Another" is linked into this program (it has: MyConverter)
}

func ExampleMatch() {
	fmt.Println(mqtt.Match("site/+/data/#", "site/kyiv/data"), mqtt.Match("+/x", "$SYS/x"))
	// Output: true false
}
