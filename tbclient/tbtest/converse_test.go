package tbtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// The versions of MQTT.
const (
	mqtt3 = 4
	mqtt5 = 5
)

// converse makes a connection, sends and expects, packet by packet. Devices of
// the steps are named d-4-0 and d-5-0 ($d), and the same with an e ($e).
func converse(t *testing.T, srv *tbtest.Server, version byte, login table.Login, steps ...table.Step) {
	t.Helper()
	target := table.Target{
		Broker: srv.URL(), Token: token, Prefix: "d", Operate: operator(srv),
		Timeout: 30 * time.Second, Quiet: 10 * time.Millisecond,
	}
	row := table.Row{Name: t.Name(), Login: login, Steps: steps, NoPing: login.Username == "provision"}
	res := table.Run(t.Context(), target, row, version, 0)
	require.Equal(t, table.Pass, res.Verdict, "want %q\ngot  %q\n%s", res.Want, res.Got, res.Why)
}

const token = "secret"

// publish is a step of one publication with QoS 1.
func publish(topic, payload string, want ...string) table.Step {
	return table.Step{Publish: topic, Payload: payload, QoS: 1, Want: want}
}

func subscribe(filter string) table.Step {
	return table.Step{Subscribe: []string{filter}, QoS: 1, Want: []string{"SUBACK 1"}}
}

// both runs a test for both versions of MQTT.
func both(t *testing.T, test func(t *testing.T, version byte)) {
	t.Helper()
	for _, version := range []byte{mqtt3, mqtt5} {
		t.Run(fmt.Sprintf("MQTT %d", version), func(t *testing.T) { test(t, version) })
	}
}
