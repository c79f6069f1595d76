package opcua_test

import (
	"context"
	"net"
	"strconv"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/server"
	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// TestTheServerOfTheLibrary speaks with another server, in the one policy that
// current versions of Node.js have switched off.
func TestTheServerOfTheLibrary(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	cert, key, err := opcua.NewCertificate("urn:test:server")
	require.NoError(t, err)
	s := server.New(
		server.EndPoint("127.0.0.1", number), server.PrivateKey(key), server.Certificate(cert),
		server.EnableSecurity("None", ua.MessageSecurityModeNone),
		server.EnableSecurity("Basic128Rsa15", ua.MessageSecurityModeSignAndEncrypt),
		server.EnableAuthMode(ua.UserTokenTypeAnonymous),
	)
	ns := server.NewNodeNameSpace(s, "urn:lib")
	zero, err := s.Namespace(0)
	require.NoError(t, err)
	zero.Objects().AddRef(ns.Objects(), id.HasComponent, true)
	temp := ns.AddNewVariableStringNode("temp", 21.5)
	ns.Objects().AddRef(temp, id.HasComponent, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, s.Start(ctx))
	defer func() { _ = s.Close() }()

	for _, policy := range []string{"", "Basic128Rsa15"} {
		h, stop := run(t, opcua.New(opcua.Config{
			URL:      "opc.tcp://127.0.0.1:" + port,
			Security: opcua.Security{Policy: policy, Dir: t.TempDir(), SkipVerify: true},
			Mappings: []opcua.Mapping{{
				Node: `Root\.Objects\.urn:lib`, DeviceName: "lib",
				Telemetry: []opcua.Item{{Key: "temp", Node: "temp"}, {Key: "same", Node: "nsu=urn:lib;s=temp"}},
			}},
		}))
		until(t, long, "values", func() bool {
			return h.last("lib", "temp") == telemetry.Float(21.5) && h.last("lib", "same") == telemetry.Float(21.5)
		})
		stop()
	}
}
