package bacnet

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A device sends nothing behind the first segment until that is acknowledged, then
// windows of segments (clause 5.4.4).
func TestSegmentsAreAcknowledgedInWindows(t *testing.T) {
	e := newEndpoint(nil)
	tx := newTransaction()
	tx.service = wire.ServiceReadProperty
	require.NoError(t, e.begin(tx, wire.Address{}))
	segment := func(n uint8, more bool) *wire.APDU {
		return e.accept(wire.Address{}, &wire.APDU{
			Type: wire.ComplexACK, Segmented: true, More: more, InvokeID: tx.key.id, Sequence: n, Window: 3, Service: tx.service, Payload: []byte{n},
		})
	}
	acks := func(a *wire.APDU, sequence uint8, negative bool) {
		t.Helper()
		require.NotNil(t, a)
		require.Equal(t, wire.SegmentACK, a.Type)
		require.Equal(t, []any{sequence, negative, uint8(3)}, []any{a.Sequence, a.Negative, a.Window})
	}
	acks(segment(0, true), 0, false)
	require.Nil(t, segment(1, true))
	require.Nil(t, segment(2, true))
	acks(segment(3, true), 3, false)
	require.Nil(t, segment(4, true))
	acks(segment(6, true), 4, true) // 5 is missing
	require.Nil(t, segment(7, true), "the gap is reported once")
	require.Nil(t, segment(5, true))
	require.Nil(t, segment(6, true))
	acks(segment(7, true), 7, false)
	acks(segment(8, false), 8, false)
	require.NoError(t, <-tx.done)
	require.Equal(t, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8}, tx.buf)
	late := segment(8, false)
	require.NotNil(t, late)
	require.Equal(t, wire.AbortPDU, late.Type, "nobody waits for it")
}

func TestAnAnswerIsBounded(t *testing.T) {
	e := newEndpoint(nil)
	tx := newTransaction()
	tx.service = wire.ServiceReadProperty
	require.NoError(t, e.begin(tx, wire.Address{}))
	part := make([]byte, 1400)
	for n := 0; ; n++ {
		require.Less(t, n, 2*maxAnswer/len(part), "it ends")
		a := e.accept(wire.Address{}, &wire.APDU{
			Type: wire.ComplexACK, Segmented: true, More: true, InvokeID: tx.key.id, Sequence: uint8(n), Window: 8, Service: tx.service, Payload: part,
		})
		if a != nil && a.Type == wire.AbortPDU {
			break
		}
	}
	require.ErrorIs(t, <-tx.done, errTooLong)
}

// Two requests to one device never have the same identifier at a time.
func TestIdentifiersAreNotUsedTwice(t *testing.T) {
	e := newEndpoint(nil)
	seen := make(map[uint8]bool)
	var last *transaction
	for range 256 {
		last = newTransaction()
		require.NoError(t, e.begin(last, wire.Address{}))
		require.False(t, seen[last.key.id])
		seen[last.key.id] = true
	}
	require.ErrorIs(t, e.begin(newTransaction(), wire.Address{}), errBusy)
	e.end(last)
	require.NoError(t, e.begin(newTransaction(), wire.Address{}))
}
