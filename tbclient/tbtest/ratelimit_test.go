package tbtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

const telemetry = "v1/gateway/telemetry"

// one is a message of one reading.
const one = `{"$d":[{"ts":1,"values":{"a":1}}]}`

func TestWhatALimitDoesNotAllowIsNotStored(t *testing.T) {
	both(t, func(t *testing.T, version byte) {
		srv := start(t, tbtest.Config{Token: token, RateLimits: tbtest.RateLimits{Gateway: tbtest.Rates{TelemetryMessages: "1:3600"}}})
		converse(t, srv, version, table.Login{}, publish(telemetry, one, "PUBACK"), table.Step{
			Publish: telemetry, Payload: one, QoS: 1,
			Want:  []string{"PUBACK 151", `PUBLISH v1/gateway/disconnect {"device":"$d","reason":150}`, "DISCONNECT 151", "closed"},
			Want3: []string{"PUBACK", "closed"},
		})
		require.Len(t, srv.Readings(), 1)
		require.Equal(t, uint64(1), srv.Stats().RateLimited)
		require.Equal(t, uint64(1), srv.Stats().Refusals)
		require.Equal(t, uint64(1), srv.Stats().Rejected)
	})
}

func TestLevelsOfRateLimits(t *testing.T) {
	two := `{"$d":[{"ts":1,"values":{"a":1}},{"ts":2,"values":{"a":1}}]}`
	over := []string{"PUBACK 151", `PUBLISH v1/gateway/disconnect "$any"`, "closed"}
	for name, c := range map[string]struct {
		limits tbtest.RateLimits
		steps  []table.Step
	}{
		"the devices behind a gateway share one": {
			tbtest.RateLimits{Gateway: tbtest.Rates{TelemetryMessages: "2:3600"}, GatewayDevice: tbtest.Rates{TelemetryMessages: "1:3600"}},
			[]table.Step{
				publish(telemetry, one, "PUBACK"), publish(telemetry, `{"$e":[{"a":1}]}`, "PUBACK"), publish(telemetry, one, over...),
			},
		},
		"points": {
			tbtest.RateLimits{Tenant: tbtest.Rates{DataPoints: "3:3600"}},
			[]table.Step{publish(telemetry, two, "PUBACK"), publish(telemetry, two, over...)},
		},
		"every device of a message counts": {
			tbtest.RateLimits{Gateway: tbtest.Rates{TelemetryMessages: "1:3600"}},
			[]table.Step{publish(telemetry, `{"$d":[{"a":1}],"$e":[{"a":1}]}`, over...)},
		},
		"other messages": {
			tbtest.RateLimits{Gateway: tbtest.Rates{Messages: "1:3600"}},
			[]table.Step{
				publish(telemetry, one, "PUBACK"), publish("v1/gateway/attributes", `{"$d":{"a":1}}`, "PUBACK"),
				publish("v1/gateway/attributes", `{"$d":{"a":1}}`, over...),
			},
		},
		"the gateway's own device has its own": {
			tbtest.RateLimits{Gateway: tbtest.Rates{TelemetryMessages: "1:3600"}, GatewayDevice: tbtest.Rates{TelemetryMessages: "1:3600"}},
			[]table.Step{
				publish(telemetry, one, "PUBACK"), publish("v1/devices/me/telemetry", `{"a":1}`, "PUBACK"), publish("v1/devices/me/telemetry", `{"a":1}`, "closed"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, tbtest.Config{Token: token, RateLimits: c.limits})
			converse(t, srv, mqtt5, table.Login{}, c.steps...)
			require.Equal(t, uint64(1), srv.Stats().RateLimited)
		})
	}
}

func TestPlainDevicesHaveALimitOfTheirOwn(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, NotGateway: true, RateLimits: tbtest.RateLimits{
		Gateway: tbtest.Rates{TelemetryMessages: "9:3600"}, Device: tbtest.Rates{TelemetryMessages: "1:3600"},
	}})
	converse(t, srv, mqtt3, table.Login{}, publish("v1/devices/me/rpc/request/1", `{"method":"getSessionLimits"}`, "PUBACK",
		`PUBLISH v1/devices/me/rpc/response/1 {"maxPayloadSize":65536,"maxInflightMessages":100,`+
			`"rateLimits":{"messages":"","telemetryMessages":"1:3600","telemetryDataPoints":""}}`),
		publish("v1/devices/me/telemetry", `{"a":1}`, "PUBACK"), publish("v1/devices/me/telemetry", `{"a":1}`, "closed"))
	require.Len(t, srv.Readings(), 1)
}

func TestLimitsAreTold(t *testing.T) {
	srv := start(t, tbtest.Config{Token: token, MaxInflight: 7, RateLimits: tbtest.RateLimits{
		Tenant: tbtest.Rates{Messages: "99:1"}, Gateway: tbtest.Rates{Messages: "10:1,300:60"}, GatewayDevice: tbtest.Rates{DataPoints: "5:1"},
	}})
	converse(t, srv, mqtt5, table.Login{}, publish("v1/devices/me/rpc/request/1", `{"method":"getSessionLimits"}`, "PUBACK",
		`PUBLISH v1/devices/me/rpc/response/1 {"maxPayloadSize":65536,"maxInflightMessages":7,`+
			`"rateLimits":{"messages":"","telemetryMessages":"","telemetryDataPoints":"5:1"},`+
			`"gatewayRateLimits":{"messages":"10:1,300:60","telemetryMessages":"","telemetryDataPoints":""}}`))
}

func TestRateLimitsThatMakeNoSense(t *testing.T) {
	for _, text := range []string{"10", "x:1", "1:x", "0:1", "1:0", "-1:1"} {
		_, err := tbtest.NewServer(tbtest.Config{RateLimits: tbtest.RateLimits{GatewayDevice: tbtest.Rates{DataPoints: text}}})
		require.ErrorContains(t, err, "rate limit", text)
	}
}
