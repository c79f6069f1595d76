// Command adw300 collects ADW300 power meters on an RS-485 bus.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
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

	bus := meter.New(modbus.Config{
		URL: "rtu:///dev/ttyUSB0?baud=9600",
		Devices: []modbus.Device{
			meter.Device(meter.ADW300, "feeder-1", 1, 5*time.Second),
			meter.Device(meter.ADW300, "feeder-2", 2, 5*time.Second,
				meter.Groups(meter.Measurement, meter.Energy, meter.Tariff, meter.Harmonics),
				meter.Every(meter.Harmonics, time.Minute), meter.RatiosFromMeter()),
		},
	})
	g, err := gateway.New(
		gateway.WithPlatform(tbclient.Dial(tbclient.Config{Broker: "tls://demo.thingsboard.io:8883", AccessToken: os.Getenv("TB_TOKEN")})),
		gateway.WithStore(store),
		gateway.WithConnector("rs485", bus, gateway.WithPolicy(telemetry.ReportPolicy{Mode: telemetry.OnChangeOrPeriod, Period: time.Minute})),
	)
	if err != nil {
		log.Print(err)
		return
	}
	if err := g.Run(ctx); err != nil {
		log.Print(err)
	}
}
