// Command codefirst is a gateway composed in code: MQTT in, ThingsBoard out,
// events on disk.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	store, err := filestore.Open(filestore.Config{Dir: "/var/lib/gateway"})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	g, err := gateway.New(
		gateway.WithPlatform(tbclient.Dial(tbclient.Config{Broker: "tls://demo.thingsboard.io:8883", AccessToken: os.Getenv("TB_TOKEN")})),
		gateway.WithStore(store),
		gateway.WithConnector("thermometers", mqtt.New(mqtt.Config{
			Broker:   "tcp://localhost:1883",
			Mappings: []mqtt.Mapping{{Filter: "thermometers/#", QoS: 1, Converter: mqtt.ConverterFunc(temperature)}},
		})),
	)
	if err != nil {
		log.Print(err)
		return
	}
	if err := g.Run(ctx); err != nil {
		log.Print(err)
	}
}

func temperature(m mqtt.Message, out *telemetry.Batch) error {
	var reading struct {
		Sensor string
		Value  float64
	}
	if err := json.Unmarshal(m.Payload, &reading); err != nil {
		return err
	}
	out.Device(reading.Sensor, "thermometer")
	out.Telemetry("temperature", telemetry.Float(reading.Value))
	return nil
}
