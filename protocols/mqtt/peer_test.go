package mqtt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

// A mosquitto is a running broker with helpers of these tests.
type mosquitto struct {
	*peer.Broker
	t *testing.T
}

func startMosquitto(t *testing.T, m peer.Mosquitto) *mosquitto {
	t.Helper()
	return &mosquitto{m.Start(t), t}
}

func (m *mosquitto) url() string { return "tcp://" + m.Addr() }

func (m *mosquitto) port() int {
	m.t.Helper()
	_, port, err := net.SplitHostPort(m.Addr())
	require.NoError(m.t, err)
	n, err := strconv.Atoi(port)
	require.NoError(m.t, err)
	return n
}

// client returns another client of the broker.
func (m *mosquitto) client(receive func(mqttx.Message)) *mqttx.Conn {
	m.t.Helper()
	c, err := mqttx.Dial(m.t.Context(), mqttx.Options{Broker: m.url(), Receive: receive})
	require.NoError(m.t, err)
	m.t.Cleanup(c.Close)
	return c
}

func publish(t *testing.T, c *mqttx.Conn, topic, payload string, retain bool) {
	t.Helper()
	require.NoError(t, c.Publish(topic, 1, retain, []byte(payload)).Wait(t.Context()))
}

// createSession makes the broker keep a session before its client comes.
func (m *mosquitto) createSession(id, filter string) {
	m.t.Helper()
	c, err := mqttx.Dial(m.t.Context(), mqttx.Options{Broker: m.url(), ClientID: id, KeepSession: true})
	require.NoError(m.t, err)
	require.NoError(m.t, c.Subscribe(m.t.Context(), mqttx.Subscription{Filter: filter, QoS: 1}))
	c.Close()
}

// peerSource sends through the broker, and sees what the connector acknowledges.
type peerSource struct {
	t      *testing.T
	client *mqttx.Conn
	mu     sync.Mutex
	acked  []int64
}

func (s *peerSource) Send(id int64) {
	s.client.Publish("dev/1", 1, false, fmt.Appendf(nil, `{"id":%d}`, id))
}

func (s *peerSource) Acked() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acked)
}

// dial connects to the broker and watches acknowledgements.
func (s *peerSource) dial(ctx context.Context, cfg mqtt.Config, receive func(mqtt.Message)) (mqtt.Session, error) {
	return mqtt.DialBroker(ctx, cfg, func(m mqtt.Message) {
		if ack := m.Ack; ack != nil {
			m.Ack = func() {
				ack()
				var v struct{ ID int64 }
				_ = json.Unmarshal(m.Payload, &v)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.acked = append(s.acked, v.ID)
			}
		}
		receive(m)
	})
}

func keepingConfig(t *testing.T, m *mosquitto) mqtt.Config {
	t.Helper()
	return mqtt.Config{
		Broker: m.url(), ClientID: "gateway", KeepSession: true,
		Mappings: []mqtt.Mapping{{Filter: "dev/+", QoS: 1, Converter: idConverter(t)}},
	}
}

func TestPeerMosquittoConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{New: func(t *testing.T) (connector.Connector, connectortest.Source) {
		m := startMosquitto(t, peer.Mosquitto{Persistent: true})
		m.createSession("gateway", "dev/+")
		src := &peerSource{t: t, client: m.client(nil)}
		return mqtt.NewWithSession(keepingConfig(t, m), src.dial), src
	}, Patience: 30 * time.Second})
}

func TestPeerMosquittoNothingIsLostWhileTheGatewayIsDown(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{Persistent: true})
	pub := m.client(nil)
	first := run(t, mqtt.New(keepingConfig(t, m)))
	first.eventually("it is ready", first.IsReady)
	first.Hold(true)
	for id := range int64(10) { // submitted, and never durable
		publish(t, pub, "dev/1", fmt.Sprintf(`{"id":%d}`, id), false)
	}
	first.eventually("they are submitted", func() bool { return len(first.values("id")) == 10 })
	first.stop()
	for id := int64(10); id < 200; id++ {
		publish(t, pub, "dev/1", fmt.Sprintf(`{"id":%d}`, id), false)
	}
	second := run(t, mqtt.New(keepingConfig(t, m)))
	second.eventually("all are delivered, in order", func() bool { return len(second.values("id")) >= 200 })
	require.Len(t, second.values("id"), 200)
	require.True(t, slices.IsSorted(second.values("id")))
}

func TestPeerMosquittoRestart(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{Persistent: true})
	r := run(t, mqtt.New(keepingConfig(t, m)))
	r.eventually("it is ready", r.IsReady)
	publish(t, m.client(nil), "dev/1", `{"id":1}`, false)
	r.eventually("the first message", func() bool { return slices.Contains(r.values("id"), 1) })
	m.Stop()
	r.eventually("the run ends", func() bool { return len(r.errors()) > 0 })
	require.ErrorContains(t, r.errors()[0], "lost")
	m.Restart()
	publish(t, m.client(nil), "dev/1", `{"id":2}`, false)
	r.eventually("the message after the restart", func() bool { return slices.Contains(r.values("id"), 2) })
}

func TestPeerMosquittoRetainedMessages(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{Persistent: true})
	pub := m.client(nil)
	publish(t, pub, "dev/1", `{"id":1}`, true)
	cfg := keepingConfig(t, m)
	cfg.RPCs = []mqtt.RPC{{Topic: "rq", Value: "x", ReplyTopic: "rs", Timeout: 200 * time.Millisecond}}
	c := mqtt.New(cfg)
	r := run(t, c)
	r.eventually("the retained message is converted", func() bool { return len(r.values("id")) == 1 })
	publish(t, pub, "rs", `"old"`, true)
	_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "m"})
	require.ErrorContains(t, err, "no reply", "a retained message is no reply")
}

func TestPeerMosquittoRPC(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{Persistent: true})
	c := mqtt.New(mqtt.Config{Broker: m.url(), RPCs: []mqtt.RPC{{
		Topic: "dev/${deviceName}/rq/${requestId}", Value: `${params}`,
		ReplyTopic: "dev/${deviceName}/rs/${requestId}", ReplyQoS: 1, QoS: 1, Timeout: 10 * time.Second,
	}}})
	r := run(t, c)
	requests := make(chan mqttx.Message, 100)
	device := m.client(func(m mqttx.Message) { m.Ack(); requests <- m })
	require.NoError(t, device.Subscribe(t.Context(), mqttx.Subscription{Filter: "dev/+/rq/+", QoS: 1}))
	go func() {
		for m := range requests {
			device.Publish(strings.Replace(m.Topic, "/rq/", "/rs/", 1), 1, false, []byte(`{"got":`+string(m.Payload)+`}`))
		}
	}()
	t.Cleanup(func() { device.Close(); close(requests) })
	r.eventually("it is ready", r.IsReady)
	var calls sync.WaitGroup
	for i := range int64(20) {
		calls.Go(func() {
			v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: fmt.Sprintf("D%d", i%4), ID: i, Method: "m", Params: json.RawMessage(fmt.Sprint(i))})
			if err != nil || v.String() != fmt.Sprintf(`{"got":%d}`, i) {
				t.Errorf("call %d: %v, %v", i, v, err)
			}
		})
	}
	calls.Wait()
}

func TestPeerMosquittoWebsocket(t *testing.T) {
	m := startMosquitto(t, peer.Mosquitto{Websocket: true})
	c := loadPeer(t, m, `{"host":"127.0.0.1","port":%d,"transport":"websocket","path":"mqtt"}`)
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	pub, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "ws://" + m.Addr() + "/mqtt"})
	require.NoError(t, err)
	t.Cleanup(pub.Close)
	publish(t, pub, "dev/1", `{"id":5}`, false)
	r.eventually("the message", func() bool { return slices.Contains(r.values("id"), 5) })
}

// loadPeer makes a connector of a file whose broker section knows the port.
func loadPeer(t *testing.T, m *mosquitto, broker string) connector.Connector {
	t.Helper()
	config := `{"broker":` + fmt.Sprintf(broker, m.port()) + `,"mapping":[{"topicFilter":"dev/+","converter":{"type":"json",
	 "deviceInfo":{"deviceNameExpressionSource":"constant","deviceNameExpression":"D"},"timeseries":["*"]}}]}`
	c, err := mqtt.Type().New(json.RawMessage(config), connector.Env{Name: "peer", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	return c
}

func TestPeerMosquittoTLSAndPassword(t *testing.T) {
	certs := peer.NewCerts(t)
	m := startMosquitto(t, peer.Mosquitto{Certs: &certs, User: "gw", Password: "secret"})
	security := func(format string, args ...any) string {
		return `{"host":"127.0.0.1","port":%d,"security":{` + fmt.Sprintf(format, args...) + `}}`
	}
	client := fmt.Sprintf(`"pathToCACert":%q,"pathToClientCert":%q,"pathToPrivateKey":%q`, certs.CA, certs.ClientCert, certs.ClientKey)
	old := fmt.Sprintf(`"caCert":%q,"cert":%q,"privateKey":%q`, certs.CA, certs.ClientCert, certs.ClientKey)
	for name, s := range map[string]string{
		"new keys": security(`"type":"certificates",%s,"username":"gw","password":"secret"`, client),
		"old keys": security(`%s,"username":"gw","password":"secret"`, old),
	} {
		r := run(t, loadPeer(t, m, s))
		r.eventually(name, r.IsReady)
		r.stop()
	}
	for name, s := range map[string]string{
		"wrong password":        security(`%s,"username":"gw","password":"wrong"`, client),
		"no client certificate": security(`"pathToCACert":%q,"username":"gw","password":"secret"`, certs.CA),
		"unknown authority":     security(`"type":"certificates","pathToClientCert":%q,"pathToPrivateKey":%q,"username":"gw","password":"secret"`, certs.ClientCert, certs.ClientKey),
	} {
		h := connectortest.NewHost(t)
		err := loadPeer(t, m, s).Run(t.Context(), h)
		require.Error(t, err, name)
		require.False(t, h.IsReady(), name)
		require.NotContains(t, err.Error(), "secret", "secrets are in no error")
	}
}
