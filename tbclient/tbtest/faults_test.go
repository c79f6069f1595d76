package tbtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

func TestTrapAcknowledgesWhatItDoesNotStore(t *testing.T) {
	both(t, func(t *testing.T, version byte) {
		srv := start(t, tbtest.Config{Token: token})
		srv.Trap(1, time.Millisecond)
		converse(t, srv, version, table.Login{}, publish(telemetry, one, "PUBACK", "closed"))
		require.Empty(t, srv.Readings())
		converse(t, srv, version, table.Login{}, publish(telemetry, one, "PUBACK"))
		require.Len(t, srv.Readings(), 1)
	})
}

func TestDelaysOfSingleMessagesHoldUpNoOthers(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, AckDelay: func(m tbtest.Message) time.Duration {
		if strings.Contains(string(m.Payload), "slow") {
			return time.Hour
		}
		return 0
	}})
	converse(t, srv, mqtt5, table.Login{}, publish(telemetry, `{"$d":[{"slow":1}]}`), publish(telemetry, one, "PUBACK"))
	require.Len(t, srv.Readings(), 2)
}

func TestFailureOfTheBackEnd(t *testing.T) {
	both(t, func(t *testing.T, version byte) {
		var srv *tbtest.Server
		srv = start(t, tbtest.Config{Token: token, OnPublish: func(m tbtest.Message) {
			if strings.Contains(string(m.Payload), "fail") {
				srv.FailBackend(true)
			}
		}})
		converse(t, srv, version, table.Login{}, publish(telemetry, `{"$d":[{"fail":1}]}`, "PUBACK 128", "closed"))
		converse(t, srv, version, table.Login{Want: []string{"CONNACK 136", "closed"}, Want3: []string{"CONNACK 3", "closed"}})
		srv.FailBackend(false)
		converse(t, srv, version, table.Login{}, publish(telemetry, one, "PUBACK"),
			publish("v1/devices/me/telemetry", `{"fail":1}`, "closed"))
		require.Len(t, srv.Readings(), 1)
		require.Equal(t, uint64(1), srv.Stats().Refused)
	})
}

func TestConnectionsAreRefusedAFewTimes(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token})
	srv.RefuseConnects(2)
	converse(t, srv, mqtt5, table.Login{Want: []string{"CONNACK 159", "closed"}})
	converse(t, srv, mqtt3, table.Login{Want: []string{"CONNACK 3", "closed"}})
	converse(t, srv, mqtt5, table.Login{})
}
