package tbtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// TestTheTableHolds plays every row of the table against the server, set up as
// the row needs it, over both versions of MQTT.
func TestTheTableHolds(t *testing.T) {
	seen := make(map[string]bool)
	for number, row := range table.Rows() {
		require.False(t, seen[row.Name], "%s: name is not unique", row.Name)
		seen[row.Name] = true
		require.NotEmpty(t, row.Source, row.Name)
		for _, version := range []byte{4, 5} {
			t.Run(fmt.Sprintf("%s, MQTT %d", row.Name, version), func(t *testing.T) {
				t.Parallel()
				res := table.Run(t.Context(), target(t, row.Needs), row, version, number)
				require.Equal(t, table.Pass, res.Verdict, "%s\nwant %q\ngot  %q\n%s", res.Source, res.Want, res.Got, res.Why)
				require.NotEmpty(t, res.Want)
			})
		}
	}
}

// target starts a server that meets a need.
func target(t *testing.T, need table.Need) table.Target {
	t.Helper()
	cfg := tbtest.Config{Token: "token-of-the-gateway"}
	out := table.Target{
		Token: cfg.Token, Prefix: "row", Has: []table.Need{need},
		Timeout: 30 * time.Second, Quiet: 20 * time.Millisecond,
	}
	switch need {
	case table.NeedPlainDevice:
		cfg.Token, cfg.NotGateway, out.DeviceToken = "token-of-a-device", true, "token-of-a-device"
	case table.NeedProvisioning:
		cfg.Provision = &tbtest.Provision{Key: "pk", Secret: "ps"}
		out.ProvisionKey, out.ProvisionSecret = "pk", "ps"
	case table.NeedRateLimit:
		cfg.RateLimits.Gateway = tbtest.Rates{Messages: "2:3600", TelemetryMessages: "2:3600"}
		cfg.RateLimits.GatewayDevice = cfg.RateLimits.Gateway
	case table.NeedDeviceLimit:
		cfg.MaxDevices = 1
	case table.NeedTypeProblem:
		cfg.RefuseDevice = func(_, kind string) byte {
			if kind == "refused" {
				return 128
			}
			return 0
		}
	case table.NeedAckInvalid:
		cfg.AckInvalid = true
	case table.NeedProtobuf:
		cfg.Protobuf = true
	}
	var srv *tbtest.Server
	if need == table.NeedBackendFailure {
		cfg.OnPublish = func(tbtest.Message) { srv.FailBackend(true) }
	}
	srv = start(t, cfg)
	switch need {
	case table.NeedAuthFailure:
		srv.FailBackend(true)
	case table.NeedConnectLimit:
		srv.RefuseConnects(1)
	case table.NeedDeviceLimit:
		srv.SetShared("another", nil)
	case table.NeedFirmware:
		require.NoError(t, srv.SetFirmware("fw", "t", "1", []byte("0123456789abcdef"), "SHA256"))
	}
	out.Broker = srv.URL()
	out.Operate = operator(srv)
	return out
}

// operator does what rows ask of a user of the platform.
func operator(srv *tbtest.Server) func(context.Context, table.Operation) (json.RawMessage, error) {
	return func(ctx context.Context, o table.Operation) (json.RawMessage, error) {
		device := o.Device
		if device == "" {
			device = tbtest.Gateway
		}
		switch o.Do {
		case table.SetAttribute:
			return nil, srv.PushAttributes(device, map[string]any{o.Key: o.Value})
		case table.DeleteAttribute:
			return nil, srv.DeleteAttributes(device, o.Key)
		case table.Rename:
			return srv.Rename(ctx, o.Device, o.To)
		case table.Delete:
			return srv.Delete(ctx, o.Device)
		case table.Call:
			if o.Device == "" {
				return srv.CallGateway(ctx, o.Key, o.Value)
			}
			return srv.Call(ctx, o.Device, o.Key, o.Value)
		}
		return nil, fmt.Errorf("unknown operation %q", o.Do)
	}
}
