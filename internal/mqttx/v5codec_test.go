package mqttx

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/stretchr/testify/require"
)

// FuzzPackets lets the decoders see any bytes. What they take for a packet,
// the codec of paho.golang must take for the same.
func FuzzPackets(f *testing.F) {
	user := &packets.Properties{
		User: []packets.User{{Key: "k", Value: "v"}}, ContentType: "c", ResponseTopic: "r", CorrelationData: []byte{1},
	}
	reason := &packets.Properties{ReasonString: "why"}
	for _, p := range []packets.Packet{
		&packets.Publish{Topic: "t", Payload: []byte("x"), QoS: 1, PacketID: 1, Properties: user},
		&packets.Publish{Topic: "t", Payload: []byte("x"), Properties: &packets.Properties{}},
		&packets.Connack{ReasonCode: 0x87, Properties: reason},
		&packets.Puback{PacketID: 3, ReasonCode: 0x97, Properties: reason},
		&packets.Suback{PacketID: 3, Reasons: []byte{0, 0x80}, Properties: reason},
		&packets.Disconnect{ReasonCode: 0x8e, Properties: reason},
	} {
		var b bytes.Buffer
		if _, err := p.WriteTo(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte{0x30, 7, 0, 1, 't', 3, 0x23, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := newFrameReader(bytes.NewReader(data), 1<<16)
		for {
			fr, err := in.next()
			if err != nil {
				return
			}
			require.Less(t, len(fr.body), 1<<16)
			compare(t, fr)
		}
	})
}

func compare(t *testing.T, fr frame) {
	t.Helper()
	cp, err := packets.ReadPacket(bytes.NewReader(appendFrame(nil, fr.kind<<4|fr.flags, fr.body)))
	switch fr.kind {
	case packetConnack:
		_, _ = parseConnack(fr)
	case packetPublish:
		m, id, code := parsePublish(fr)
		if code != 0 || err != nil {
			return
		}
		want, ok := cp.Content.(*packets.Publish)
		require.True(t, ok)
		require.Equal(t, want.Topic, m.Topic)
		require.Equal(t, want.PacketID, id)
		require.Equal(t, string(want.Payload), string(m.Payload))
		if m.Properties != nil {
			require.Equal(t, want.Properties.ContentType, m.Properties.ContentType)
			require.Equal(t, want.Properties.ResponseTopic, m.Properties.ResponseTopic)
			require.Equal(t, string(want.Properties.CorrelationData), string(m.Properties.CorrelationData))
			require.Len(t, m.Properties.User, len(want.Properties.User))
		}
	case packetPuback:
		if a, ok := parseAnswer(fr); ok && err == nil {
			want, isAck := cp.Content.(*packets.Puback)
			require.True(t, isAck)
			require.Equal(t, want.PacketID, a.id)
			require.Equal(t, want.ReasonCode, a.code)
			require.Equal(t, want.Properties.ReasonString, a.text)
		}
	default:
		_, _ = parseAnswer(fr)
	}
}

// FuzzProxyAnswer lets the answer of a proxy be anything.
func FuzzProxyAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 Connection established\r\n\r\n")
	f.Add("HTTP/1.0 407 Proxy Authentication Required\nA: b\n\n")
	f.Add("\r\n\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		r := strings.NewReader(data + "\r\n\r\nbroker")
		err := readConnectAnswer(r)
		require.GreaterOrEqual(t, r.Len(), len("broker"), "what belongs to the tunnel was read")
		if err == nil {
			require.Regexp(t, `^HTTP/1\.[^ ]* 2[^ ]{2}( |\r|\n)`, data+"\r\n")
		}
	})
}

func TestProxyAnswersAreBounded(t *testing.T) {
	require.ErrorContains(t, readConnectAnswer(strings.NewReader(strings.Repeat("x", 1<<20))), "longer than")
	long := readConnectAnswer(strings.NewReader("HTTP/1.1 500 " + strings.Repeat("x", 1000) + "\n\n"))
	require.ErrorContains(t, long, "HTTP/1.1 500")
	require.Less(t, len(long.Error()), 300)
	require.Error(t, readConnectAnswer(strings.NewReader("")))
	require.NoError(t, readConnectAnswer(strings.NewReader("HTTP/1.1 200\r\n\r\n")))
	require.Error(t, readConnectAnswer(strings.NewReader("HTTP/2 200 OK\r\n\r\n")))
	require.Error(t, readConnectAnswer(strings.NewReader("SSH-2.0-x\r\n\r\n")))
}

// TestIdentifiersAreNotGivenTwice guards that an identifier stays taken until the
// broker has answered.
func TestIdentifiersAreNotGivenTwice(t *testing.T) {
	var f inflight
	seen := make(map[uint16]bool)
	for range maxString {
		id, ok := f.add(newPending(packetPuback))
		require.True(t, ok)
		require.NotZero(t, id)
		require.False(t, seen[id])
		seen[id] = true
	}
	_, ok := f.add(newPending(packetPuback))
	require.False(t, ok, "all are taken")
	require.Nil(t, f.take(7, packetSuback), "of another kind")
	require.NotNil(t, f.take(7, packetPuback))
	id, ok := f.add(newPending(packetPuback))
	require.True(t, ok)
	require.EqualValues(t, 7, id)
}
