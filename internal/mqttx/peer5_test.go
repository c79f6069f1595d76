package mqttx_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
)

// TestTakeoverIsTheReason uses the broker of mochi-mqtt, because Mosquitto 2.0.11
// closes the connection without a DISCONNECT packet.
func TestTakeoverIsTheReason(t *testing.T) {
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, s.AddHook(new(auth.AllowHook), nil))
	l := listeners.NewNet("test", listen(t))
	require.NoError(t, s.AddListener(l))
	require.NoError(t, s.Serve())
	t.Cleanup(func() { _ = s.Close() })
	o := mqttx.Options{Version: 5, Broker: l.Address(), ClientID: "same"}
	first := connect(t, o)
	connect(t, o)
	err := ends(t, first)
	require.EqualValues(t, 0x8E, reasonOf(t, err))
	require.ErrorContains(t, err, "session taken over")
	require.True(t, mqttx.IsRemoteClose(err))
}

func TestPeerMosquittoTakeover(t *testing.T) {
	eachVersion(t, func(t *testing.T, version byte) {
		o := mqttx.Options{Version: version, Broker: peer.Mosquitto{}.Start(t).Addr(), ClientID: "same"}
		first := connect(t, o)
		roundTrip(t, o)
		require.True(t, mqttx.IsRemoteClose(ends(t, first)))
	})
}

// afterRefusals is for Mosquitto 2.0.11, which ends a connection whose second
// publication follows a refused one if max_queued_messages is 0, as the peers of
// tests have it.
const afterRefusals = "max_queued_messages 1000"

func TestPeerMosquittoDeniesTopics(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	require.NoError(t, os.WriteFile(acl, []byte("topic readwrite open/#\n"), 0o600))
	b := peer.Mosquitto{Lines: []string{"acl_file " + acl, afterRefusals}}.Start(t)
	ctx := within(t, patience)
	c := connect(t, mqttx.Options{Version: 5, Broker: b.Addr()})
	denied := c.Publish("closed/a", 1, false, nil)
	allowed := c.Publish("open/a", 1, false, nil) // 0x10 is the answer: nobody subscribed
	require.EqualValues(t, 0x87, reasonOf(t, denied.Wait(ctx)))
	require.NoError(t, allowed.Wait(ctx))
	require.EqualValues(t, 0x87, reasonOf(t, c.Publish("closed/a", 2, false, nil).Wait(ctx)))
	require.NoError(t, c.Publish("open/a", 2, false, nil).Wait(ctx))
	require.NoError(t, c.Err())
}

// TestPeerMosquittoWindow guards that a broker that takes few publications at
// once gets them all, from a client that would send more.
func TestPeerMosquittoWindow(t *testing.T) {
	const n = 500
	b := peer.Mosquitto{Lines: []string{"max_inflight_messages 5"}}.Start(t)
	var mu sync.Mutex
	var got []string
	c := connect(t, mqttx.Options{Version: 5, Broker: b.Addr(), ReceiveMaximum: 3, Receive: func(m mqttx.Message) {
		m.Ack()
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(m.Payload))
	}})
	require.Equal(t, 5, c.Server().ReceiveMaximum)
	ctx := within(t, patience)
	require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "w", QoS: 2}))
	publications := make([]mqttx.Publication, n)
	for i := range publications {
		publications[i] = c.Publish("w", 1+byte(i%2), false, fmt.Append(nil, i))
	}
	for _, p := range publications {
		require.NoError(t, p.Wait(ctx))
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == n }, patience, 5*time.Millisecond)
	require.NoError(t, c.Err())
}

// TestPeerMosquittoMessageSizeLimit guards that a message that is larger than
// the broker takes costs no other.
func TestPeerMosquittoMessageSizeLimit(t *testing.T) {
	b := peer.Mosquitto{Lines: []string{"message_size_limit 1000", "max_packet_size 2000", afterRefusals}}.Start(t)
	ctx := within(t, patience)
	c := connect(t, mqttx.Options{Version: 5, Broker: b.Addr()})
	require.Equal(t, 2000, c.Server().MaximumPacketSize)
	require.EqualValues(t, 0x95, reasonOf(t, c.Publish("m", 1, false, make([]byte, 3000)).Wait(ctx)), "the broker told before")
	require.EqualValues(t, 0x95, reasonOf(t, c.Publish("m", 1, false, make([]byte, 1500)).Wait(ctx)), "the broker answers")
	require.NoError(t, c.Publish("m", 1, false, make([]byte, 900)).Wait(ctx))
	require.NoError(t, c.Err())
}

func TestPeerMosquittoOptionsOfSubscriptions(t *testing.T) {
	b := peer.Mosquitto{}.Start(t)
	ctx := within(t, patience)
	got := make(chan mqttx.Message, 100)
	c := connect(t, mqttx.Options{Version: 5, Broker: b.Addr(), Receive: func(m mqttx.Message) { got <- m }})
	other := connect(t, mqttx.Options{Version: 5, Broker: b.Addr()})
	require.NoError(t, other.Publish("o/r", 1, true, []byte("retained")).Wait(ctx))

	o := mqttx.SubscribeOptions{NoLocal: true, RetainAsPublished: true, RetainHandling: mqttx.RetainedNever}
	require.NoError(t, c.SubscribeWith(ctx, o, mqttx.Subscription{Filter: "o/#"}))
	require.NoError(t, c.Publish("o/own", 1, false, []byte("own")).Wait(ctx))
	require.NoError(t, other.Publish("o/other", 1, true, []byte("other")).Wait(ctx))
	m := <-got
	require.Equal(t, "other", string(m.Payload), "neither the retained one nor its own")
	require.True(t, m.Retained)

	require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "o/r"}))
	require.Equal(t, "retained", string((<-got).Payload))
	o = mqttx.SubscribeOptions{RetainHandling: mqttx.RetainedIfNew}
	require.NoError(t, c.SubscribeWith(ctx, o, mqttx.Subscription{Filter: "o/r"}))
	require.NoError(t, other.Publish("o/r", 1, false, []byte("next")).Wait(ctx))
	require.Equal(t, "next", string((<-got).Payload), "the subscription is not new")
}

func TestPeerMosquittoSharedSubscription(t *testing.T) {
	const n = 40
	b := peer.Mosquitto{}.Start(t)
	ctx := within(t, patience)
	type receipt struct {
		client  int
		payload string
	}
	got := make(chan receipt, 2*n)
	for i := range 2 {
		c := connect(t, mqttx.Options{Version: 5, Broker: b.Addr(), Receive: func(m mqttx.Message) {
			m.Ack()
			got <- receipt{i, string(m.Payload)}
		}})
		require.NoError(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "$share/group/s/#", QoS: 1}))
	}
	publisher := connect(t, mqttx.Options{Version: 5, Broker: b.Addr()})
	for i := range n {
		require.NoError(t, publisher.Publish("s/a", 1, false, fmt.Append(nil, i)).Wait(ctx))
	}
	payloads, clients := make(map[string]int), make(map[int]int)
	for range n {
		r := <-got
		payloads[r.payload]++
		clients[r.client]++
	}
	require.Len(t, payloads, n, "each message went to one of them")
	require.Len(t, clients, 2, "both got some")
}

func TestPeerMosquittoAssignsAClientID(t *testing.T) {
	b := peer.Mosquitto{}.Start(t)
	require.NotEmpty(t, connect(t, mqttx.Options{Version: 5, Broker: b.Addr()}).Server().AssignedClientID)
	require.Empty(t, connect(t, mqttx.Options{Version: 5, Broker: b.Addr(), ClientID: "own"}).Server().AssignedClientID)
}

// TestPeerMosquittoForgetsTheSession guards that the session lives as long as it
// was asked for.
func TestPeerMosquittoForgetsTheSession(t *testing.T) {
	b := peer.Mosquitto{}.Start(t)
	ctx := within(t, patience)
	got := make(chan mqttx.Message, 10)
	o := mqttx.Options{
		Version: 5, Broker: b.Addr(), ClientID: "keeper", KeepSession: true, SessionExpiry: time.Second,
		Receive: func(m mqttx.Message) { got <- m },
	}
	first := connect(t, o)
	require.NoError(t, first.Subscribe(ctx, mqttx.Subscription{Filter: "k", QoS: 1}))
	first.Close()
	time.Sleep(4 * time.Second) // Mosquitto looks for sessions that expired every second
	publisher := connect(t, mqttx.Options{Version: 5, Broker: b.Addr()})
	require.NoError(t, publisher.Publish("k", 1, false, []byte("missed")).Wait(ctx))
	second := connect(t, o)
	require.NoError(t, second.Subscribe(ctx, mqttx.Subscription{Filter: "k", QoS: 1}))
	require.NoError(t, publisher.Publish("k", 1, false, []byte("next")).Wait(ctx))
	require.Equal(t, "next", string((<-got).Payload))
}

// TestPeerMosquittoRestarts guards that what was lost with the broker is known,
// and that the next connection works.
func TestPeerMosquittoRestarts(t *testing.T) {
	eachVersion(t, func(t *testing.T, version byte) {
		b := peer.Mosquitto{Persistent: true}.Start(t)
		o := mqttx.Options{Version: version, Broker: b.Addr(), ClientID: "r", KeepSession: true}
		first := connect(t, o)
		require.NoError(t, first.Subscribe(within(t, patience), mqttx.Subscription{Filter: "r", QoS: 1}))
		b.Stop()
		err := ends(t, first)
		require.True(t, mqttx.IsRemoteClose(err), "%v", err)
		b.Restart()
		roundTrip(t, mqttx.Options{Version: version, Broker: b.Addr()})
		b.Kill()
	})
}
