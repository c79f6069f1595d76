// Command metersim simulates energy meters, so that a gateway can be tried without
// one:
//
//	go run ./examples/metersim -profile acrel-adw300 -tcp 127.0.0.1:5020 -n 50
//	go run ./examples/metersim -profile eastron-sdm630 -rtu /tmp/meters -n 3
//
// The meters are the units 1 to n. Each measures a load that follows the time of day.
// More than 247 meters are spread over as many ports as that takes, from the one that
// -tcp names. With -rtu, PATH is a serial line, or on Linux, if there is no such file,
// the name that a pseudo terminal gets, for a gateway on the same machine to open.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter/metertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type config struct {
	profile, tcp, rtu string
	baud, n           int
	peak              float64
}

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("metersim", flag.ContinueOnError)
	f.StringVar(&c.profile, "profile", meter.ADW300, "meter profile; go run ./protocols/modbus/meter/list lists them")
	f.StringVar(&c.tcp, "tcp", "", "address to serve Modbus TCP on, such as 127.0.0.1:5020")
	f.StringVar(&c.rtu, "rtu", "", "serial line to serve Modbus RTU on, or name of a pseudo terminal to make")
	f.IntVar(&c.baud, "baud", 9600, "baud rate of the serial line")
	f.IntVar(&c.n, "n", 1, "number of meters")
	f.Float64Var(&c.peak, "peak", 20, "peak load of a meter in kW")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	switch {
	case f.NArg() > 0:
		return c, fmt.Errorf("metersim: unknown argument %q", f.Arg(0))
	case (c.tcp == "") == (c.rtu == ""):
		return c, errors.New("metersim: one of -tcp and -rtu is needed")
	case c.n < 1 || c.rtu != "" && c.n > maxUnit:
		return c, fmt.Errorf("metersim: -n %d is not in 1 to %d", c.n, maxUnit)
	}
	return c, nil
}

// maxUnit is the last unit identifier of a meter.
const maxUnit = 247

// run serves until ctx ends, and says on w where.
func run(ctx context.Context, w io.Writer, args []string) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	if c.rtu != "" {
		return serveLine(ctx, w, c)
	}
	host, port, err := net.SplitHostPort(c.tcp)
	if err != nil {
		return fmt.Errorf("metersim: -tcp: %w", err)
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("metersim: -tcp: port %q is not a number", port)
	}
	for i := 0; i*maxUnit < c.n; i++ {
		at := net.JoinHostPort(host, strconv.FormatUint(first, 10))
		if first > 0 {
			first++
		}
		s, err := modbustest.Listen(at)
		if err != nil {
			return fmt.Errorf("metersim: %w", err)
		}
		defer func() { _ = s.Close() }() // at the end of the program
		if err := simulate(s.Bus, c, min(c.n-i*maxUnit, maxUnit)); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d of %s\n", s.URL(), min(c.n-i*maxUnit, maxUnit), c.profile)
	}
	<-ctx.Done()
	return nil
}

// simulate makes the units 1 to n meters.
func simulate(bus *modbustest.Bus, c config, n int) error {
	for unit := 1; unit <= n; unit++ {
		if err := metertest.Simulate(bus.Unit(uint8(unit)), c.profile, c.peak); err != nil {
			return fmt.Errorf("metersim: %w", err)
		}
	}
	return nil
}
