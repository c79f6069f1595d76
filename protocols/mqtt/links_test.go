package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// Two filters overlap exactly if there is a topic that both match.
func TestOverlapsAgreesWithMatch(t *testing.T) {
	levels := []string{"a", "b", "", "+", "#", "$x"}
	topics := allTopics([]string{"a", "b", "", "c", "$x"}, 4)
	random := func() string {
		parts := make([]string, 1+rand.IntN(3))
		for i := range parts {
			parts[i] = levels[rand.IntN(len(levels))]
		}
		return strings.Join(parts, "/")
	}
	for pairs := 0; pairs < 3000; {
		a, b := random(), random()
		if mqtt.CheckFilter(a) != nil || mqtt.CheckFilter(b) != nil || a == "/#" || b == "/#" {
			continue
		}
		pairs++
		both := slices.ContainsFunc(topics, func(topic string) bool { return mqtt.Match(a, topic) && mqtt.Match(b, topic) })
		require.Equal(t, both, mqtt.Overlaps(a, b), "%q and %q", a, b)
		require.Equal(t, both, mqtt.Overlaps("$share/g/"+a, b), "%q, shared, and %q", a, b)
	}
}

func TestFiltersThatOverlapAreOnConnectionsOfTheirOwn(t *testing.T) {
	for filters, want := range map[string][]int{
		"a/+ b/+ c":               {0, 0, 0},
		"a/+ a/b":                 {0}, // covered
		"a/+ +/b":                 {0, 1},
		"a/+/+ +/b/+ +/+/c":       {0, 1, 2},
		"$share/g/a/+ a/#":        {0, 1},
		"$share/g/a $share/h/a":   {0, 1},
		"a/+ +/b x/y $SYS/# q/#":  {0, 1, 0, 0, 0},
		"s/+/data s/1/# t/+ +/xx": {0, 1, 0, 1},
	} {
		cfg := mqtt.Config{Broker: "tcp://localhost"}
		for f := range strings.FieldsSeq(filters) {
			cfg.Mappings = append(cfg.Mappings, mqtt.Mapping{Filter: f, Converter: nothing})
		}
		require.Equal(t, want, mqtt.LinksOf(mqtt.New(cfg)), filters)
	}
}

// overlapping runs a connector whose filters overlap, and checks that a message is
// stored once for each mapping that matches it.
func overlapping(t *testing.T, cfg mqtt.Config, publish func(topic, payload string)) {
	t.Helper()
	named := func(key, value string) mqtt.UplinkConverter {
		return newJSON(t, mqtt.JSONConfig{Timeseries: []mqtt.Datapoint{{Key: constant(key), Type: "integer", Value: value}}})
	}
	cfg.Mappings = []mqtt.Mapping{
		{Filter: "a/+", QoS: 1, Converter: named("first", "${id}")},
		{Filter: "+/b", QoS: 1, Converter: named("second", "${id}")},
		{Filter: "a/b", QoS: 1, Converter: named("third", "${id}")},
		{Filter: "$share/group/a/#", QoS: 1, Converter: named("shared", "${id}")},
	}
	cfg.RPCs = []mqtt.RPC{{Topic: "rq", Value: "${params}", ReplyTopic: "a/b/reply", Timeout: 10 * time.Second}}
	r := run(t, mqtt.New(cfg))
	r.eventually("it is ready", r.IsReady)
	const n = 50
	for id := range n {
		publish("a/b", fmt.Sprintf(`{"id":%d}`, id))
		publish("a/x", fmt.Sprintf(`{"id":%d}`, n+id))
	}
	publish("a/b", `{"id":-1}`)
	for _, key := range []string{"first", "second", "third", "shared"} {
		r.eventually(key, func() bool { return slices.Contains(r.values(key), -1) })
	}
	require.Len(t, r.values("first"), 2*n+1)
	require.Len(t, r.values("second"), n+1)
	require.Len(t, r.values("third"), n+1)
	require.Len(t, r.values("shared"), 2*n+1)
}

// Mosquitto is told to send a message once for each subscription.
func TestPeerMosquittoOverlappingFiltersDoNotDuplicate(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			m := startMosquitto(t, peer.Mosquitto{Lines: []string{"allow_duplicate_messages true"}})
			pub := m.client(nil)
			cfg := mqtt.Config{Broker: m.url(), Version: version, ClientID: "gateway", KeepSession: true}
			overlapping(t, cfg, func(topic, payload string) { publish(t, pub, topic, payload, false) })
		})
	}
}

func TestOverlappingFiltersDoNotDuplicate(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			addr := newBroker(t)
			pub, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "tcp://" + addr})
			require.NoError(t, err)
			t.Cleanup(pub.Close)
			cfg := mqtt.Config{Broker: "tcp://" + addr, Version: version}
			overlapping(t, cfg, func(topic, payload string) { publish(t, pub, topic, payload, false) })
		})
	}
}

// A reply that two connections bring answers one call.
func TestAReplyThatTwoConnectionsBringIsGivenOnce(t *testing.T) {
	addr := newBroker(t)
	c := mqtt.New(mqtt.Config{
		Broker: "tcp://" + addr,
		Mappings: []mqtt.Mapping{
			{Filter: "rs/+", QoS: 1, Converter: nothing}, {Filter: "+/1", QoS: 1, Converter: nothing},
		},
		RPCs: []mqtt.RPC{{Topic: "rq", Value: "${params}", ReplyTopic: "rs/1", Timeout: 20 * time.Second}},
	})
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	device, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "tcp://" + addr})
	require.NoError(t, err)
	t.Cleanup(device.Close)
	results := make([]string, 2)
	var calls sync.WaitGroup
	for i := range results {
		calls.Go(func() {
			v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "m"})
			if err != nil {
				t.Error(err)
			}
			results[i] = v.String()
		})
	}
	r.eventually("both wait", func() bool { return mqtt.Waiting(c) == 2 })
	publish(t, device, "rs/1", "1", false)
	publish(t, device, "rs/1", "2", false)
	calls.Wait()
	slices.Sort(results)
	require.Equal(t, []string{"1", "2"}, results)
}

func TestOneConnectionThatEndsEndsTheRun(t *testing.T) {
	cfg := mqtt.Config{Broker: "tcp://fake", ClientID: "gw", Mappings: []mqtt.Mapping{{Filter: "a/+", Converter: nothing}, {Filter: "+/b", Converter: nothing}}}
	brokers := map[string]*fakeBroker{"gw": newFakeBroker(), "gw-2": newFakeBroker()}
	c := mqtt.NewWithSession(cfg, func(ctx context.Context, cfg mqtt.Config, receive func(mqtt.Message)) (mqtt.Session, error) {
		return brokers[cfg.ClientID].Dial(ctx, cfg, receive)
	})
	r := run(t, c)
	r.eventually("it is ready", r.IsReady)
	for id, want := range map[string]string{"gw": "a/+", "gw-2": "+/b"} {
		brokers[id].mu.Lock()
		require.Equal(t, []mqtt.Subscription{{Filter: want}}, brokers[id].subs)
		brokers[id].mu.Unlock()
	}
	brokers["gw-2"].drop()
	r.eventually("the run ends", func() bool { return len(r.errors()) == 1 })
	require.ErrorContains(t, r.errors()[0], "connection dropped")
}

func TestAConnectionThatCannotBeMadeClosesTheOthers(t *testing.T) {
	b := newFakeBroker()
	cfg := mqtt.Config{Broker: "tcp://fake", ClientID: "gw", Mappings: []mqtt.Mapping{{Filter: "a/+", Converter: nothing}, {Filter: "+/b", Converter: nothing}}}
	refused := errors.New("refused")
	c := mqtt.NewWithSession(cfg, func(ctx context.Context, cfg mqtt.Config, receive func(mqtt.Message)) (mqtt.Session, error) {
		if cfg.ClientID != "gw" {
			return nil, refused
		}
		return b.Dial(ctx, cfg, receive)
	})
	require.ErrorIs(t, c.Run(t.Context(), connectortest.NewHost(t)), refused)
	require.Error(t, b.session.Err(), "it was closed")
}
