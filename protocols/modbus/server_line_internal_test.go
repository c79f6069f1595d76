package modbus

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// On a line the gateway as a slave answers its own unit, carries out broadcasts without
// an answer, and leaves the requests of other units alone.
func TestOnALineOnlyTheOwnUnitIsAnswered(t *testing.T) {
	m := newImage(Identity{})
	m.words[Holding][10] = 0
	s := &server{image: m, unit: 5, at: endpoint{frame: frameRTU, medium: mediumSerial}}
	ours, theirs := net.Pipe()
	r := s.newReader(ours, time.Second)
	r.line = true
	done := make(chan error, 1)
	go func() { done <- r.run() }()
	send := func(unit uint8, value byte) {
		t.Helper()
		_, err := theirs.Write(rtuFraming{}.append(nil, unit, []byte{writeSingleRegister, 0, 10, 0, value}))
		require.NoError(t, err)
	}
	require.NoError(t, theirs.SetDeadline(time.Now().Add(20*time.Second)))
	send(0, 55) // all
	send(6, 66) // another
	send(5, 77)
	answer := make([]byte, 64)
	n, err := theirs.Read(answer)
	require.NoError(t, err)
	unit, pdu, length := parseRTU(answer, n)
	require.Equal(t, n, length)
	require.EqualValues(t, 5, unit, "the first answer is to the third request")
	require.Equal(t, []byte{writeSingleRegister, 0, 10, 0, 77}, pdu)
	require.NoError(t, theirs.Close())
	require.Error(t, <-done)

	require.NoError(t, r.answer(0, []byte{writeSingleRegister, 0, 10, 0, 88}))
	require.EqualValues(t, 88, m.words[Holding][10], "a broadcast is carried out")
	require.NoError(t, r.answer(6, []byte{writeSingleRegister, 0, 10, 0, 99}))
	require.EqualValues(t, 88, m.words[Holding][10], "what is for another is not")
}
