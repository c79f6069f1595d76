package tbtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// BenchmarkTelemetry is the time of a reading, in messages of 100 of which 50
// are under way.
func BenchmarkTelemetry(b *testing.B) {
	const readings, window = 100, 50
	srv, err := tbtest.NewServer(tbtest.Config{})
	require.NoError(b, err)
	defer srv.Close()
	c, err := mqttx.Dial(b.Context(), mqttx.Options{Broker: srv.URL()})
	require.NoError(b, err)
	defer c.Close()
	var m strings.Builder
	for i := range readings {
		fmt.Fprintf(&m, `,{"ts":%d,"values":{"temperature":21.5}}`, 1_700_000_000_000+i)
	}
	payload := []byte(`{"device":[` + m.String()[1:] + `]}`)
	var under []mqttx.Publication
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%readings != 0 {
			continue
		}
		under = append(under, c.Publish(telemetry, 1, false, payload))
		if len(under) == window {
			require.NoError(b, under[0].Wait(b.Context()))
			under = under[1:]
		}
	}
	for _, p := range under {
		require.NoError(b, p.Wait(b.Context()))
	}
}
