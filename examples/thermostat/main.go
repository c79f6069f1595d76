// Command thermostat is a gateway with the connector of docs/custom-connector.md.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g, err := gateway.New(
		gateway.WithPlatform(tbclient.Dial(tbclient.Config{Broker: "tcp://localhost:1883", AccessToken: os.Getenv("TB_TOKEN")})),
		gateway.WithConnector("thermostats", &Thermostats{Addr: ":7000"}),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := g.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
