// Command configfile is a drop-in for the Python gateway: it reads the same
// files, and contains the protocols that it names and no other.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

func main() {
	path := flag.String("config", "/etc/thingsboard-gateway/config/tb_gateway.json", "configuration file, or its folder")
	check := flag.Bool("check", false, "report what is wrong with the configuration, and end")
	flag.Parse()
	if *check {
		os.Exit(report(tbconfig.Check(*path, modbus.Type(), mqtt.Type())))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	opts, err := tbconfig.Load(*path, modbus.Type(), mqtt.Type())
	if err != nil {
		log.Fatal(err)
	}
	g, err := gateway.New(opts...)
	if err != nil {
		log.Fatal(err)
	}
	if err := g.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// report prints problems, and returns the exit code: 1 if something does not
// work.
func report(problems []tbconfig.Problem) (code int) {
	for _, p := range problems {
		fmt.Println(p)
		if !p.Harmless {
			code = 1
		}
	}
	if code == 0 {
		fmt.Println("the configuration is good")
	}
	return code
}
