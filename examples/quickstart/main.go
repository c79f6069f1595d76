// Command quickstart shows the whole way of a reading in one process, with
// nothing installed: simulated ADW300 meters on Modbus TCP and MQTT sensors on
// an embedded broker, the gateway with a store on disk, and a ThingsBoard
// double that counts what arrives. It cuts the link to the platform for some
// seconds, and shows at the end that nothing was lost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

func main() {
	length := flag.Duration("for", 0, "end after this time, with a summary; 0: run until interrupted")
	plain := flag.Bool("plain", false, "print lines rather than a live table")
	flag.Parse()
	if err := run(*length, *plain); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(length time.Duration, plain bool) error {
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	logFile, err := os.Create(filepath.Join(dir, "gateway.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, nil))

	arrived := newLedger()
	platform, err := tbtest.NewServer(tbtest.Config{Token: "demo", OnTelemetry: arrived.add, Keep: 1})
	if err != nil {
		return err
	}
	defer platform.Close()
	field, err := newField()
	if err != nil {
		return err
	}
	defer field.close()

	store, err := filestore.Open(filestore.Config{Dir: filepath.Join(dir, "store"), Logger: log})
	if err != nil {
		return err
	}
	defer store.Close()
	g, err := compose(platform, field, store, log)
	if err != nil {
		return err
	}
	running, stopGateway := context.WithCancel(context.Background())
	defer stopGateway()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(running) }()

	s := &show{g: g, platform: platform, field: field, arrived: arrived, plain: plain}
	s.play(interrupted, length)
	field.stopSensors()
	complete := s.wait(15*time.Second, func() bool { return arrived.sensors(field.sent()) == 0 && g.Stats().Store.Pending == 0 })
	stopGateway()
	if err := <-ended; err != nil {
		return err
	}
	return s.summary(complete)
}

// compose makes the gateway. It is all that a real one needs.
func compose(platform *tbtest.Server, field *field, store *filestore.Store, log *slog.Logger) (*gateway.Gateway, error) {
	var meters []modbus.Device
	for i, name := range meterNames {
		meters = append(meters, meter.Device(meter.ADW300, name, uint8(i+1), 500*time.Millisecond))
	}
	return gateway.New(
		gateway.WithLogger(log),
		gateway.WithStore(store),
		gateway.WithPlatform(tbclient.Dial(tbclient.Config{
			Broker: platform.URL(), AccessToken: "demo", Logger: log,
			ShortestBackoff: 200 * time.Millisecond, LongestBackoff: time.Second,
		})),
		gateway.WithConnector("meters", modbus.New(modbus.Config{URL: field.bus.URL(), Devices: meters})),
		gateway.WithConnector("sensors", mqtt.New(mqtt.Config{
			Broker:   field.brokerURL,
			Mappings: []mqtt.Mapping{{Filter: "sensors/+", QoS: 1, Converter: mqtt.ConverterFunc(reading)}},
		})),
	)
}

var errLost = errors.New("not everything arrived")
