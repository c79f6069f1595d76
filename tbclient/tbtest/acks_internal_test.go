package tbtest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// takeAll takes what is ready at a time.
func takeAll(a *acks, now time.Time, window int) (ids []uint16, wait time.Duration) {
	for {
		k, ok, wait := a.take(now, window)
		if !ok {
			return ids, wait
		}
		ids = append(ids, k.id)
	}
}

func TestAcknowledgementsAreReorderedInWindows(t *testing.T) {
	a, now := newAcks(), time.Unix(1_700_000_000, 0)
	for id := uint16(1); id <= 8; id++ {
		a.add(ack{id: id, due: now})
	}
	ids, wait := takeAll(a, now, 3)
	require.Equal(t, []uint16{3, 2, 1, 6, 5, 4}, ids)
	require.Equal(t, holdFor, wait, "the rest wait for a third")
	ids, _ = takeAll(a, now.Add(holdFor), 3)
	require.Equal(t, []uint16{8, 7}, ids, "but not for ever")
}

func TestAcknowledgementsAreSentWhenTheyAreDue(t *testing.T) {
	a, now := newAcks(), time.Unix(1_700_000_000, 0)
	require.Equal(t, 1, a.add(ack{id: 1, due: now.Add(time.Second)}))
	require.Equal(t, 2, a.add(ack{id: 2, due: now}))
	require.Equal(t, 3, a.add(ack{id: 3, due: now.Add(time.Second)}))
	ids, wait := takeAll(a, now, 0)
	require.Equal(t, []uint16{2}, ids)
	require.Equal(t, time.Second, wait)
	ids, wait = takeAll(a, now.Add(time.Second), 0)
	require.Equal(t, []uint16{1, 3}, ids)
	require.Negative(t, wait)
}

func TestDrainedAcknowledgementsAreNotHeldBack(t *testing.T) {
	a, now := newAcks(), time.Unix(1_700_000_000, 0)
	a.add(ack{id: 1, due: now})
	idle := a.drain()
	ids, _ := takeAll(a, now, 10)
	require.Equal(t, []uint16{1}, ids)
	select {
	case <-idle:
		t.Fatal("drained before it was written")
	default:
	}
	a.sent()
	<-idle
}

// TestReorderReachesTheWire reads the acknowledgements of three messages that
// were sent at once. That they arrive together is likely, not certain.
func TestReorderReachesTheWire(t *testing.T) {
	srv, err := NewServer(Config{})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	srv.Reorder(3)
	var got []uint16
	for range 20 {
		if got = threeAcks(t, srv.Addr()); slices.Equal(got, []uint16{3, 2, 1}) {
			return
		}
	}
	t.Fatalf("acknowledged in the order %v", got)
}

func threeAcks(t *testing.T, addr string) (ids []uint16) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	out := bytes.NewBufferString("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c")
	for id := uint16(1); id <= 3; id++ {
		p := header(packets.Publish)
		p.FixedHeader.Qos, p.PacketID, p.TopicName, p.Payload = 1, id, "v1/devices/me/telemetry", []byte(`{"a":1}`)
		require.NoError(t, encode(out, p))
	}
	_, err = conn.Write(out.Bytes())
	require.NoError(t, err)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	connack := make([]byte, 4)
	_, err = io.ReadFull(conn, connack)
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	for range 3 {
		p, err := readPacket(in, 4, 1000)
		require.NoError(t, err)
		ids = append(ids, p.PacketID)
	}
	return ids
}
