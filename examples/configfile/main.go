// Command configfile is a drop-in for the Python gateway: it reads the same files,
// follows their changes and, if they say so, those that the platform makes, and
// contains the protocols that it names and no other.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway/logging"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "development"

func main() {
	path := flag.String("config", "/etc/thingsboard-gateway/config/tb_gateway.json", "configuration file, or its folder")
	check := flag.Bool("check", false, "report what is wrong with the configuration, and end")
	tell := flag.Bool("version", false, "print the version, and end")
	flag.Parse()
	types := []connector.Type{modbus.Type(), mqtt.Type()}
	switch {
	case *tell:
		fmt.Println(version)
	case *check:
		os.Exit(report(tbconfig.Check(*path, types...)))
	default:
		if err := run(*path, types); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// run runs the gateway until the program is told to end.
func run(path string, types []connector.Type) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := logging.New(logging.Config{})
	defer func() { _ = log.Close() }()
	slog.SetDefault(log.Logger())
	s, err := tbconfig.Open(path, tbconfig.Config{Types: types, Version: version, Log: log, LogFiles: true})
	if err != nil {
		return err
	}
	return s.Serve(ctx)
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
