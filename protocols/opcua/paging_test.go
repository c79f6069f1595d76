package opcua_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestReferencesThatDoNotFitInOneAnswerAreAskedFor(t *testing.T) {
	s := newFake(t)
	s.page, s.points = 7, 1
	m := opcua.Mapping{Node: `Root\.Objects\.Dev.*`, DeviceName: "${Name}"}
	for i := range 10 {
		m.Telemetry = append(m.Telemetry, opcua.Item{Key: fmt.Sprintf("v%d", i), Node: fmt.Sprintf("v%d", i)})
	}
	for i := range 20 {
		d := s.add(s.objects, fmt.Sprintf("ns=2;i=%d", i+1), fmt.Sprintf("2:Dev%d", i))
		s.variable(d, fmt.Sprintf("ns=2;s=name%d", i), "2:Name", fmt.Sprintf("dev %d", i))
		for k := range 10 {
			s.variable(d, fmt.Sprintf("ns=2;s=v%d.%d", i, k), fmt.Sprintf("2:v%d", k), int32(100*i+k))
		}
	}
	h, stop := run(t, opcua.New(opcua.Config{URL: s.url(), Mappings: []opcua.Mapping{m}}))
	until(t, long, "all values came", func() bool { return len(h.Readings(false)) >= 200 })
	stop()
	require.Len(t, h.Readings(false), 200)
	for i := range 20 {
		for k := range 10 {
			require.Equal(t, telemetry.Int(int64(100*i+k)), h.last(fmt.Sprintf("dev %d", i), fmt.Sprintf("v%d", k)))
		}
	}
	require.Zero(t, h.log.count("nodes are not there"))
	s.with(func() { require.Empty(t, s.rest, "the server still remembers what nobody asked for") })
}

func TestAServerThatAlwaysHasMoreReferencesIsLeft(t *testing.T) {
	s := newFake(t)
	cfg := plain(s, 3)
	s.page, s.points, s.circle = 2, 100, true
	h, _ := run(t, opcua.New(cfg))
	until(t, long, "what came first", func() bool { return correct(h) == 2 })
	require.Equal(t, 1, h.log.count("nodes are not there"))
}
