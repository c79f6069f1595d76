package mqtt_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// liveVectors run a connector that is loaded of a file against a broker.
func liveVectors() convertertest.Suite {
	stored := func(messages string) string {
		return `{"stored":[` + messages + `],"gatewayCalls":[],"attributeRequests":[],"published":[]}`
	}
	asked := func(scope string) string {
		return `{"stored":[],"gatewayCalls":[],"attributeRequests":[["` + scope + `","A1",["fw"]]],
		 "published":[{"topic":"devices/A1/attrs","payload":"{\"fw\":\"1.0\"}"}]}`
	}
	message := func(device, values string) string {
		return `{"deviceName":"` + device + `","deviceType":"default","attributes":{},"telemetry":[{"ts":"NOW","values":` + values + `}]}`
	}
	const failed = `{"published":[],"replies":[{"device":"D7","req_id":3,"error":true}]}`
	return convertertest.Suite{
		Folder: "mqtt_live",
		Run:    runLive,
		Skip:   unknownReply,
		Better: map[string]string{
			"04_publish_multi":                            stored(message("M1", `{"a":5.0}`) + "," + message("M2", `{"b":5.0}`)),
			"05_publish_shared_q_x":                       stored(message("SH", `{"s":5.0}`)),
			"12_publish_sensor_connect":                   stored(""),
			"16_publish_v1_devices_me_attributes_request": asked("shared"),
			"17_publish_v1_devices_me_attributes_request": asked("client"),
			"27_rpc_getr":                                 `{"published":[{"topic":"rq/D7/getR/3","payload":"null"}],"replies":[]}`,
			"29_rpc_setr":                                 failed,
			"31_rpc_other":                                failed,
			"35_rpc_set": `{"published":[{"topic":"dev/t","payload":"a=b"}],
			 "replies":[{"device":"D7","req_id":3,"success_sent":true,"to_connector_rpc":false}]}`,
		},
	}
}

// unknownReply reports a reply in a form that no vector we know has.
func unknownReply(v *convertertest.Vector) string {
	var expected struct{ Replies []map[string]json.RawMessage }
	_ = json.Unmarshal(v.Expected, &expected) // if it is none, running the vector tells
	for _, reply := range expected.Replies {
		for key := range reply {
			if !slices.Contains([]string{"device", "req_id", "success_sent", "to_connector_rpc", "content"}, key) {
				return "the form of the reply is not known: " + key
			}
		}
	}
	return ""
}

// A liveHost records what the connector asks of the gateway.
type liveHost struct {
	*connectortest.Host

	mu      sync.Mutex
	known   map[string]bool
	stored  []json.RawMessage
	calls   [][]string
	queries [][]any
	sent    []map[string]string // publications
}

func (h *liveHost) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.Groups()[0].Device.Name != sentinel {
		var list []json.RawMessage
		if err := json.Unmarshal(convertertest.Messages(b), &list); err != nil {
			return connector.Receipt{}, err
		}
		h.stored = append(h.stored, list...)
	}
	return h.Host.Submit(ctx, b)
}

func (h *liveHost) DeviceOnline(_ context.Context, d telemetry.Device) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[d.Name] = true
	h.calls = append(h.calls, []string{"connect", d.Name, d.Profile})
	return nil
}

// DeviceOffline, like the gateway, does nothing about a device that it does not know.
func (h *liveHost) DeviceOffline(_ context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[name] {
		h.calls = append(h.calls, []string{"disconnect", name})
	}
	delete(h.known, name)
	return nil
}

// Attributes answers "1.0" for every attribute.
func (h *liveHost) Attributes(_ context.Context, q connector.AttributeQuery) ([]telemetry.Point, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	scope := "client"
	if q.Shared {
		scope = "shared"
	}
	h.queries = append(h.queries, []any{scope, q.Device, q.Keys})
	var found []telemetry.Point
	for _, key := range q.Keys {
		found = append(found, telemetry.Point{Key: key, Value: telemetry.String("1.0")})
	}
	return found, nil
}

// dial connects to the broker, and records what is published.
func (h *liveHost) dial(ctx context.Context, cfg mqtt.Config, receive func(mqtt.Message)) (mqtt.Session, error) {
	s, err := mqtt.DialBroker(ctx, cfg, receive)
	if err != nil {
		return nil, err
	}
	return liveSession{s, h}, nil
}

type liveSession struct {
	mqtt.Session
	h *liveHost
}

func (s liveSession) Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	s.h.mu.Lock()
	s.h.sent = append(s.h.sent, map[string]string{"topic": topic, "payload": string(payload)})
	s.h.mu.Unlock()
	return s.Session.Publish(ctx, topic, qos, retain, payload)
}

func (h *liveHost) result(replies []map[string]any, isCommand bool) map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := map[string]any{"published": append([]map[string]string{}, h.sent...)}
	if replies != nil {
		r["replies"] = replies
	}
	if !isCommand {
		r["stored"] = append([]json.RawMessage{}, h.stored...)
		r["gatewayCalls"] = append([][]string{}, h.calls...)
		r["attributeRequests"] = append([][]any{}, h.queries...)
	}
	return r
}

type liveInput struct {
	Topic   *string
	Payload string

	Device string
	Data   map[string]json.RawMessage

	RPC *struct {
		Device string
		Data   struct {
			Method string
			Params json.RawMessage
		}
		Method string
		Params json.RawMessage
		ID     int64
	}
	DeviceReply *string
}

func runLive(t testing.TB, v *convertertest.Vector) (any, error) {
	t.Helper()
	var in liveInput
	require.NoError(t, json.Unmarshal(v.Input, &in))
	addr := newBroker(t)
	host := &liveHost{Host: connectortest.NewHost(t), known: make(map[string]bool)}
	c := liveConnector(t, v.Config, addr)
	mqtt.SetDialer(c, host.dial)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	host.Eventually(t, "it is ready", host.IsReady)
	device, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "tcp://" + addr})
	require.NoError(t, err)
	t.Cleanup(device.Close)
	l := &liveRun{c: c.(*mqtt.Connector), host: host, device: device}
	switch {
	case in.RPC != nil:
		return host.result(l.call(t, addr, in, v.Expected), true), nil
	case in.Topic != nil:
		l.message(t, in)
		return host.result(nil, false), nil
	default:
		l.update(t, in)
		return host.result(nil, true), nil
	}
}

// liveConnector makes a connector of a vector's configuration, which has no
// broker.
func liveConnector(tb testing.TB, config json.RawMessage, addr string) connector.Connector {
	tb.Helper()
	hostname, port, err := net.SplitHostPort(addr)
	require.NoError(tb, err)
	file := strings.Replace(string(config), "{", fmt.Sprintf(`{"broker":{"host":%q,"port":%s,"security":{"type":"anonymous"}},`, hostname, port), 1)
	custom := mqtt.WithConverterFunc("CustomMqttUplinkConverter", newThermostat)
	c, err := mqtt.Type(custom).New(json.RawMessage(file), connector.Env{Name: "live"})
	require.NoError(tb, err)
	return c
}

type liveRun struct {
	c      *mqtt.Connector
	host   *liveHost
	device *mqttx.Conn
}

// sentinel is a device whose message follows the one that is looked at: when it is
// stored, so is the other.
const sentinel = "sentinel"

func (l *liveRun) publish(t testing.TB, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, l.device.Publish(topic, 1, false, []byte(payload)).Wait(ctx))
}

func (l *liveRun) message(t testing.TB, in liveInput) {
	t.Helper()
	if *in.Topic == "sensor/disconnect" { // the vectors were made one after the other
		l.publish(t, "sensor/connect", `{"sn":"C1","ty":"TT"}`)
		l.host.Eventually(t, "the device is known", func() bool {
			l.host.mu.Lock()
			defer l.host.mu.Unlock()
			known := l.host.known["C1"]
			l.host.calls = nil
			return known
		})
	}
	l.publish(t, *in.Topic, in.Payload)
	l.publish(t, "data/"+sentinel, `{"t":1}`)
	l.host.Eventually(t, "the message is dealt with", func() bool {
		return mqtt.Idle(l.c) && slices.ContainsFunc(l.host.Readings(false), func(r connectortest.Reading) bool { return r.Device.Name == sentinel })
	})
}

func (l *liveRun) update(t testing.TB, in liveInput) {
	t.Helper()
	u := connector.AttributeUpdate{Device: in.Device}
	for _, key := range slices.Sorted(maps.Keys(in.Data)) {
		p := telemetry.Point{Key: key}
		if raw := in.Data[key]; string(raw) != "null" {
			p.Value = jsonValue(t, raw)
		}
		u.Attributes = append(u.Attributes, p)
	}
	require.NoError(t, l.c.UpdateAttributes(context.Background(), u))
}

// call makes a call, which a device may answer, and returns the replies in the
// form of the vectors. One that times out has none: with the reference, it is the
// gateway that answers it.
func (l *liveRun) call(t testing.TB, addr string, in liveInput, expected json.RawMessage) []map[string]any {
	t.Helper()
	req := connector.RPCRequest{Device: in.RPC.Device, ID: in.RPC.ID, Method: in.RPC.Data.Method, Params: in.RPC.Data.Params}
	var device any = in.RPC.Device
	if in.RPC.Method != "" { // to the connector itself
		req.Method, req.Params, device = in.RPC.Method, in.RPC.Params, nil
	}
	if in.DeviceReply != nil {
		l.reply(t, addr, *in.DeviceReply)
	}
	v, err := l.c.HandleRPC(context.Background(), req)
	reply := map[string]any{"device": device, "req_id": in.RPC.ID}
	switch {
	case err != nil && strings.Contains(err.Error(), "no reply on"):
		return []map[string]any{}
	case err != nil:
		reply["error"] = true
		return []map[string]any{reply}
	case v.Kind() == telemetry.KindNone:
		reply["success_sent"], reply["to_connector_rpc"] = true, device == nil
		return []map[string]any{reply}
	}
	var want struct{ Replies []map[string]json.RawMessage }
	require.NoError(t, json.Unmarshal(expected, &want))
	require.Len(t, want.Replies, 1)
	for key := range want.Replies[0] {
		switch key {
		case "success_sent":
			reply[key] = nil
		case "to_connector_rpc":
			reply[key] = device == nil
		case "content":
			reply[key] = json.RawMessage(v.AppendJSON(nil))
			if want.Replies[0][key][0] == '"' {
				reply[key] = v.String()
			}
		}
	}
	return []map[string]any{reply}
}

// reply makes a device answer every request.
func (l *liveRun) reply(t testing.TB, addr, payload string) {
	t.Helper()
	requests := make(chan string, 10)
	device, err := mqttx.Dial(context.Background(), mqttx.Options{Broker: "tcp://" + addr, Receive: func(m mqttx.Message) {
		m.Ack()
		requests <- m.Topic
	}})
	require.NoError(t, err)
	require.NoError(t, device.Subscribe(context.Background(), mqttx.Subscription{Filter: "rq/#", QoS: 1}))
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() {
		for {
			select {
			case topic := <-requests:
				device.Publish("rs/"+strings.TrimPrefix(topic, "rq/"), 1, false, []byte(payload))
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		work.Wait()
		device.Close()
	})
}

// thermostat is what the reference's example of a custom converter does: of bytes
// in hexadecimal digits, each key has as many as the configuration says, of which
// the last is its value.
type thermostat struct {
	keys  []string
	sizes []int
}

func newThermostat(config json.RawMessage) (mqtt.UplinkConverter, error) {
	d := json.NewDecoder(bytes.NewReader(config))
	c := &thermostat{}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var size int
		if err := d.Decode(&size); err != nil {
			return nil, err
		}
		c.keys, c.sizes = append(c.keys, key.(string)), append(c.sizes, size)
	}
	return c, nil
}

// ConvertUplink implements mqtt.UplinkConverter.
func (c *thermostat) ConvertUplink(m mqtt.Message, out *telemetry.Batch) error {
	data, err := hex.DecodeString(strings.TrimPrefix(string(m.Payload), "0x"))
	if err != nil {
		return err
	}
	out.Device(m.Topic[strings.LastIndexByte(m.Topic, '/')+1:], "Thermostat")
	for i, key := range c.keys {
		if len(data) < c.sizes[i] || c.sizes[i] < 1 {
			return errors.New("the message is too short")
		}
		out.Telemetry(key, telemetry.Int(int64(data[c.sizes[i]-1])))
		data = data[c.sizes[i]:]
	}
	return nil
}
