package mqttx_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
)

func TestConnectSaysWhatTheOptionsSay(t *testing.T) {
	_, _, got := dial5(t, mqttx.Options{
		ClientID: "id", Username: "user", Password: "secret", KeepAlive: 1500 * time.Millisecond,
		ReceiveMaximum: 7, MaximumPacketSize: 1000,
	}, welcome(nil))
	want := &packets.Connect{
		ProtocolName: "MQTT", ProtocolVersion: 5, ClientID: "id", CleanStart: true, KeepAlive: 1,
		Username: "user", UsernameFlag: true, Password: []byte("secret"), PasswordFlag: true,
		Properties: &packets.Properties{ReceiveMaximum: ptr(uint16(7)), MaximumPacketSize: ptr(uint32(1000))},
	}
	require.Equal(t, want, got)
}

func TestSessionsAreKeptAsLongAsAsked(t *testing.T) {
	for expiry, want := range map[time.Duration]uint32{
		0: 1<<32 - 1, time.Millisecond: 1, time.Hour: 3600, 1<<63 - 1: 1<<32 - 2,
	} {
		_, _, got := dial5(t, mqttx.Options{ClientID: "id", KeepSession: true, SessionExpiry: expiry}, welcome(nil))
		require.False(t, got.CleanStart)
		require.Equal(t, &want, got.Properties.SessionExpiryInterval, expiry)
	}
	_, _, got := dial5(t, mqttx.Options{SessionExpiry: time.Hour}, welcome(nil))
	require.True(t, got.CleanStart)
	require.Nil(t, got.Properties.SessionExpiryInterval, "it was not asked to keep the session")
	require.EqualValues(t, 100, *got.Properties.ReceiveMaximum)
}

func TestServerTellsItsLimits(t *testing.T) {
	c, _, _ := dial5(t, mqttx.Options{}, welcome(&packets.Properties{
		ReceiveMaximum: ptr(uint16(9)), MaximumPacketSize: ptr(uint32(1 << 20)), MaximumQOS: ptr(byte(0)),
		ServerKeepAlive: ptr(uint16(90)), SessionExpiryInterval: ptr(uint32(60)), AssignedClientID: "auto-1",
		TopicAliasMaximum: ptr(uint16(10)), RetainAvailable: ptr(byte(0)), WildcardSubAvailable: ptr(byte(0)),
		SharedSubAvailable: ptr(byte(0)), ReasonString: "welcome", User: []packets.User{{Key: "k", Value: "v"}},
	}))
	require.Equal(t, mqttx.ServerLimits{
		ReceiveMaximum: 9, MaximumPacketSize: 1 << 20, MaximumQoS: 0, KeepAlive: 90 * time.Second,
		SessionExpiry: time.Minute, AssignedClientID: "auto-1", TopicAliasMaximum: 10,
		NoRetain: true, NoWildcards: true, NoShared: true,
	}, c.Server())
	c, _, _ = dial5(t, mqttx.Options{}, welcome(nil))
	require.Equal(t, mqttx.ServerLimits{MaximumQoS: 2}, c.Server(), "nothing was told")
}

func TestKeepAliveOfTheServerIsObeyed(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{KeepAlive: time.Hour}, welcome(&packets.Properties{ServerKeepAlive: ptr(uint16(1))}))
	require.IsType(t, &packets.Pingreq{}, b.next())
	b.raw(0xd0, 0)
	require.IsType(t, &packets.Pingreq{}, b.next(), "the answer kept the connection up")
	require.ErrorContains(t, ends(t, c), "no answer to a ping")

	_, b, _ = dial5(t, mqttx.Options{KeepAlive: time.Second}, welcome(&packets.Properties{ServerKeepAlive: ptr(uint16(0))}))
	b.silent(1500 * time.Millisecond)
}

// TestPingsCoverBothDirections guards that a client that only sends, or only
// receives, pings as well: the first would not notice a link that is half open,
// and the second would be taken for dead.
func TestPingsCoverBothDirections(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{KeepAlive: time.Second}, welcome(nil))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				c.Publish("t", 0, false, nil)
			}
		}
	}()
	for {
		if _, ping := b.next().(*packets.Pingreq); ping {
			break
		}
	}

	_, b, _ = dial5(t, mqttx.Options{KeepAlive: time.Second}, welcome(nil))
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = b.conn.Write([]byte{0x30, 4, 0, 1, 't', 0})
			}
		}
	}()
	require.IsType(t, &packets.Pingreq{}, b.next())
}

func TestPublishKeepsToTheReceiveMaximum(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(&packets.Properties{ReceiveMaximum: ptr(uint16(2))}))
	const n = 5
	publications := make(chan mqttx.Publication, n)
	go func() {
		defer close(publications)
		for i := range n {
			publications <- c.Publish("t", 1, false, []byte{byte(i)})
		}
	}()
	first, second := b.publication(), b.publication()
	b.silent(50 * time.Millisecond)
	b.puback(first.PacketID)
	third := b.publication()
	require.Equal(t, []byte{2}, third.Payload)
	b.silent(50 * time.Millisecond)
	b.send(&packets.Puback{PacketID: second.PacketID, ReasonCode: 0x97, Properties: &packets.Properties{}}) // room all the same
	require.Equal(t, []byte{3}, b.publication().Payload)
	c.Fail(fmt.Errorf("enough"))
	for p := range publications { // the one that waits for room ends too
		if err := p.Wait(within(t, patience)); err != nil && !strings.Contains(err.Error(), "quota") {
			require.ErrorContains(t, err, "enough")
		}
	}
}

func TestAReasonFailsOnePublicationOnly(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(nil))
	ctx := within(t, patience)
	refused := c.Publish("t", 1, false, nil)
	b.send(&packets.Puback{
		PacketID: b.publication().PacketID, ReasonCode: 0x97, Properties: &packets.Properties{ReasonString: "buy more"},
	})
	err := refused.Wait(ctx)
	require.EqualValues(t, 0x97, reasonOf(t, err))
	require.EqualError(t, err, "quota exceeded (0x97): buy more")
	require.False(t, mqttx.IsRemoteClose(err))
	require.False(t, mqttx.IsRefused(&mqttx.ReasonError{Code: 0x87}), "of a publication, not of the credentials")

	unheard := c.Publish("t", 1, false, nil)
	b.send(&packets.Puback{PacketID: b.publication().PacketID, ReasonCode: 0x10, Properties: &packets.Properties{}})
	require.NoError(t, unheard.Wait(ctx), "no matching subscribers")
	c.Close()
	require.EqualValues(t, 0x97, reasonOf(t, refused.Wait(ctx)), "the end does not hide the answer")
}

func TestExactlyOncePublications(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(&packets.Properties{ReceiveMaximum: ptr(uint16(1))}))
	ctx := within(t, patience)
	none := &packets.Properties{}
	p := c.Publish("t", 2, true, []byte("x"))
	got := b.publication()
	require.Equal(t, &packets.Publish{Topic: "t", QoS: 2, Retain: true, PacketID: got.PacketID, Payload: []byte("x"), Properties: none}, got)
	b.puback(got.PacketID) // of the wrong kind: ignored
	b.send(&packets.Pubrec{PacketID: got.PacketID, Properties: none})
	rel, ok := b.next().(*packets.Pubrel)
	require.True(t, ok)
	require.Equal(t, got.PacketID, rel.PacketID)
	select {
	case <-p.Done():
		t.Fatal("it is not complete before PUBCOMP")
	case <-time.After(20 * time.Millisecond):
	}
	b.send(&packets.Pubcomp{PacketID: got.PacketID, Properties: none})
	require.NoError(t, p.Wait(ctx))

	p = c.Publish("t", 2, false, nil)
	b.send(&packets.Pubrec{PacketID: b.publication().PacketID, ReasonCode: 0x99, Properties: none})
	require.EqualValues(t, 0x99, reasonOf(t, p.Wait(ctx)))
}

func TestLimitsFailOnlyThePublication(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(&packets.Properties{
		MaximumPacketSize: ptr(uint32(20)), MaximumQOS: ptr(byte(1)), RetainAvailable: ptr(byte(0)),
	}))
	ctx := within(t, patience)
	require.EqualValues(t, 0x95, reasonOf(t, c.Publish("t", 1, false, make([]byte, 13)).Wait(ctx)))
	require.EqualValues(t, 0x9B, reasonOf(t, c.Publish("t", 2, false, nil).Wait(ctx)))
	require.EqualValues(t, 0x9A, reasonOf(t, c.Publish("t", 0, true, nil).Wait(ctx)))
	for _, topic := range []string{"", "a/+", "#", "a\x00", "\xff", strings.Repeat("a", 1<<16)} {
		require.EqualValues(t, 0x90, reasonOf(t, c.Publish(topic, 0, false, nil).Wait(ctx)), "%.10q", topic)
	}
	require.EqualValues(t, 0x95, reasonOf(t, c.Subscribe(ctx, mqttx.Subscription{Filter: "a/long/filter/it/is"})))
	require.Error(t, c.Subscribe(ctx, mqttx.Subscription{Filter: ""}))
	require.Error(t, c.Unsubscribe(ctx, ""))
	p := c.Publish("t", 1, false, make([]byte, 12))
	got := b.publication()
	require.Len(t, encode(t, got), 20)
	b.puback(got.PacketID)
	require.NoError(t, p.Wait(ctx))
	require.NoError(t, c.Err())
}

func TestLargePayloadsArriveWhole(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(nil))
	for _, size := range []int{0, 1, 127, 128, 16 << 10, 16<<10 + 1, 3 << 20} {
		payload := []byte(strings.Repeat("x", size))
		go c.Publish("t", 0, false, payload)
		require.Equal(t, string(payload), string(b.publication().Payload))
	}
}

func TestAcknowledgementsKeepTheirOrder(t *testing.T) {
	got := make(chan mqttx.Message, 10)
	_, b, _ := dial5(t, mqttx.Options{Receive: func(m mqttx.Message) { got <- m }}, welcome(nil))
	for id := range uint16(3) {
		b.message(id+1, fmt.Sprint(id+1))
	}
	first, second, third := <-got, <-got, <-got
	third.Ack()
	second.Ack()
	b.silent(50 * time.Millisecond)
	first.Ack()
	first.Ack() // counts once
	for id := range uint16(3) {
		ack, ok := b.next().(*packets.Puback)
		require.True(t, ok)
		require.Equal(t, id+1, ack.PacketID)
	}
	b.message(1, "again") // the identifier is free again
	fourth := <-got
	first.Ack() // and the first message has nothing to do with it
	b.silent(50 * time.Millisecond)
	fourth.Ack()
	require.IsType(t, &packets.Puback{}, b.next())
}

func TestMessagesOfQoS2AreReceived(t *testing.T) {
	_, b, _ := dial5(t, mqttx.Options{Receive: func(m mqttx.Message) { m.Ack() }}, welcome(nil))
	none := &packets.Properties{}
	b.send(&packets.Publish{Topic: "t", QoS: 2, PacketID: 5, Properties: none})
	rec, ok := b.next().(*packets.Pubrec)
	require.True(t, ok)
	require.EqualValues(t, 5, rec.PacketID)
	b.send(&packets.Pubrel{PacketID: 5, Properties: none})
	comp, ok := b.next().(*packets.Pubcomp)
	require.True(t, ok)
	require.EqualValues(t, 5, comp.PacketID)
}

func TestMessagesCarryTheirProperties(t *testing.T) {
	got := make(chan mqttx.Message, 10)
	_, b, _ := dial5(t, mqttx.Options{Receive: func(m mqttx.Message) { got <- m }}, welcome(nil))
	b.send(&packets.Publish{Topic: "t", Retain: true, Payload: []byte("p"), Properties: &packets.Properties{
		ContentType: "text/plain", ResponseTopic: "answer", CorrelationData: []byte{1, 2}, MessageExpiry: ptr(uint32(30)),
		PayloadFormat: ptr(byte(1)), SubscriptionIdentifier: ptr(300),
		User: []packets.User{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
	}})
	m := <-got
	require.Equal(t, &mqttx.Properties{
		ContentType: "text/plain", ResponseTopic: "answer", CorrelationData: []byte{1, 2}, MessageExpiry: 30 * time.Second,
		User: []mqttx.UserProperty{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
	}, m.Properties)
	require.Equal(t, "p", string(m.Payload))
	require.True(t, m.Retained)
	b.send(&packets.Publish{Topic: "t", Payload: []byte("p"), Properties: &packets.Properties{PayloadFormat: ptr(byte(1))}})
	require.Nil(t, (<-got).Properties, "none that the receiver is told")
	b.send(&packets.Publish{Topic: "t", Payload: []byte("p"), Properties: &packets.Properties{}})
	require.Nil(t, (<-got).Properties)
}

func TestSubscribeOptionsAreSent(t *testing.T) {
	c, b, _ := dial5(t, mqttx.Options{}, welcome(nil))
	ctx := within(t, patience)
	result := make(chan error, 1)
	go func() {
		o := mqttx.SubscribeOptions{NoLocal: true, RetainAsPublished: true, RetainHandling: mqttx.RetainedNever}
		result <- c.SubscribeWith(ctx, o, mqttx.Subscription{Filter: "a", QoS: 1},
			mqttx.Subscription{Filter: "b", QoS: 2}, mqttx.Subscription{Filter: "a"})
	}()
	sub, ok := b.next().(*packets.Subscribe)
	require.True(t, ok)
	require.Equal(t, []packets.SubOptions{
		{Topic: "a", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2},
		{Topic: "b", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2},
	}, sub.Subscriptions)
	b.send(&packets.Suback{PacketID: sub.PacketID, Properties: &packets.Properties{}, Reasons: []byte{1, 0x87}})
	err := <-result
	require.EqualError(t, err, `mqtt: subscription to "b" was refused: not authorized (0x87)`)
	require.False(t, mqttx.IsRefused(err))
	go func() { result <- c.Unsubscribe(ctx, "a", "b") }()
	unsub, ok := b.next().(*packets.Unsubscribe)
	require.True(t, ok)
	require.Equal(t, []string{"a", "b"}, unsub.Topics)
	b.send(&packets.Unsuback{PacketID: unsub.PacketID, Properties: &packets.Properties{}, Reasons: []byte{0x11, 0x83}})
	require.EqualError(t, <-result, `mqtt: unsubscribe: "b": implementation specific error (0x83)`)
}
