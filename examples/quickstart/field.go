package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"strings"
	"sync"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/gridlinks/iot-gateway/protocols/modbus/meter/metertest"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var (
	meterNames  = []string{"feeder-1", "feeder-2", "feeder-3"}
	sensorNames = []string{"hall", "roof", "cellar", "yard"}
)

// sensorPeriod is the time between two messages of a sensor.
const sensorPeriod = 50 * time.Millisecond

// A field is what the gateway is connected to: meters on a Modbus bus, and
// sensors on an MQTT broker.
type field struct {
	bus       *modbustest.Server
	broker    *broker.Server
	brokerURL string

	stop chan struct{}
	done sync.WaitGroup
	once sync.Once

	mu       sync.Mutex
	messages map[string]int64 // how many each sensor has sent
}

func newField() (*field, error) {
	bus, err := modbustest.Listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	for i := range meterNames {
		metertest.ADW300(bus.Unit(uint8(i+1)), float64(20*(i+1)))
	}
	f := &field{bus: bus, stop: make(chan struct{}), messages: make(map[string]int64)}
	f.broker = broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	listener := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := f.broker.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, err
	}
	if err := f.broker.AddListener(listener); err != nil {
		return nil, err
	}
	if err := f.broker.Serve(); err != nil {
		return nil, err
	}
	f.brokerURL = "tcp://" + listener.Address()
	return f, nil
}

// startSensors makes the sensors send. Before, nobody would hear them: the
// broker keeps nothing for a gateway that has not subscribed yet.
func (f *field) startSensors() {
	for i, name := range sensorNames {
		f.done.Go(func() { f.sense(name, float64(i)) })
	}
}

// sense sends the messages of one sensor, numbered from 1.
func (f *field) sense(name string, phase float64) {
	tick := time.NewTicker(sensorPeriod)
	defer tick.Stop()
	for n := int64(1); ; n++ {
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
		celsius := 20 + 5*math.Sin(float64(n)/40+phase)
		payload := fmt.Sprintf(`{"n":%d,"temperature":%.2f,"ts":%d}`, n, celsius, time.Now().UnixMilli())
		if f.broker.Publish("sensors/"+name, []byte(payload), false, 1) == nil {
			f.mu.Lock()
			f.messages[name] = n
			f.mu.Unlock()
		}
	}
}

// sent returns how many messages each sensor has sent.
func (f *field) sent() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.messages)
}

func (f *field) stopSensors() {
	f.once.Do(func() { close(f.stop) })
	f.done.Wait()
}

func (f *field) close() {
	f.stopSensors()
	_ = f.broker.Close()
	_ = f.bus.Close()
}

// reading converts the message of a sensor.
func reading(m mqtt.Message, out *telemetry.Batch) error {
	var r struct {
		N           int64   `json:"n"`
		Temperature float64 `json:"temperature"`
		TS          int64   `json:"ts"`
	}
	if err := json.Unmarshal(m.Payload, &r); err != nil {
		return err
	}
	at := time.UnixMilli(r.TS)
	out.Device(strings.TrimPrefix(m.Topic, "sensors/"), "thermometer")
	out.TelemetryAt(at, "n", telemetry.Int(r.N))
	out.TelemetryAt(at, "temperature", telemetry.Float(r.Temperature))
	return nil
}
