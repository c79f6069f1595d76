package opcua_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestADeadbandInPercentIsOneOfTheRange(t *testing.T) {
	s := newFake(t)
	d := s.add(s.objects, "ns=2;s=D", "2:D")
	for _, name := range []string{"absolute", "percent", "rangeless"} {
		s.variable(d, "ns=2;s="+name, "2:"+name, 0.0)
	}
	s.nodes[nodeID("ns=2;s=absolute").String()].span, s.nodes[nodeID("ns=2;s=percent").String()].span = 200, 200
	c, err := opcua.Type().New(json.RawMessage(`{"server": {"url": "`+s.url()+`", "pollPeriodInMillis": 20}, "mapping": [{
		"deviceNodePattern": "Root\\.Objects\\.D", "deviceInfo": {"deviceNameExpression": "D", "deviceProfileExpression": "default"},
		"timeseries": [
			{"key": "absolute", "value": "absolute", "deadband": 5}, {"key": "percent", "value": "percent", "deadband": 5, "deadbandType": "percent"},
			{"key": "rangeless", "value": "rangeless", "deadband": 5, "deadbandType": "percent"}]}]}`), connector.Env{Name: "opcua"})
	require.NoError(t, err)
	h, _ := run(t, c)
	until(t, long, "first values", func() bool { return len(h.Online()) == 1 && h.IsReady() && len(h.series("D", "rangeless")) > 2 })
	for _, x := range []float64{4, 7, 9, 11, 20, 23} {
		for _, name := range []string{"absolute", "percent", "rangeless"} {
			s.set("ns=2;s="+name, x)
		}
	}
	until(t, long, "what has no range is polled", func() bool { return h.last("D", "rangeless") == telemetry.Float(23) })
	s.set("ns=2;s=absolute", 100.0)
	s.set("ns=2;s=percent", 100.0)
	until(t, long, "last values", func() bool {
		return h.last("D", "absolute") == telemetry.Float(100) && h.last("D", "percent") == telemetry.Float(100)
	})
	numbers := func(key string) (list []float64) {
		for _, r := range h.series("D", key) {
			list = append(list, r.Value.Float())
		}
		return list
	}
	require.Equal(t, []float64{0, 7, 20, 100}, numbers("absolute"))
	require.Equal(t, []float64{0, 11, 23, 100}, numbers("percent"))
}
