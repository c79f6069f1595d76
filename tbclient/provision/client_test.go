package provision_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/provision"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// nothing is a gateway.Downlink that is not called.
type nothing struct{}

func (nothing) SharedAttributes(string) []string { return nil }

func (nothing) HandleRPC(context.Context, connector.RPCRequest) (telemetry.Value, error) {
	return telemetry.Value{}, nil
}

func (nothing) UpdateAttributes(context.Context, connector.AttributeUpdate) error { return nil }

// A client connects with what it was given, whatever the type.
func TestAClientConnectsWithItsCredentials(t *testing.T) {
	certs := peer.NewCerts(t)
	for _, typ := range []provision.Type{provision.AccessToken, provision.MQTTBasic, provision.X509} {
		srv, err := tbtest.NewServer(tbtest.Config{
			Token:     "somebody else's",
			Provision: &tbtest.Provision{Key: "key", Secret: "secret"},
			TLS:       &tls.Config{Certificates: []tls.Certificate{certs.Server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12},
		})
		require.NoError(t, err)
		defer srv.Close()
		log := slog.New(slog.DiscardHandler)
		path := filepath.Join(t.TempDir(), ".credentials")
		trust := &tls.Config{RootCAs: certs.Roots, MinVersion: tls.VersionTLS12}
		_, err = provision.LoadOrRequest(soon(t), path, provision.Request{
			Broker: srv.URL(), TLS: trust, Key: "key", Secret: "secret", DeviceName: "Plant 7", Type: typ, Logger: log,
		})
		require.NoError(t, err)
		require.Equal(t, []tbtest.Provisioned{{Name: "Plant 7", Gateway: true}}, srv.Provisioned())

		credentials, err := provision.Load(path)
		require.NoError(t, err)
		cfg := tbclient.Config{Broker: srv.URL(), TLS: trust, Logger: log}
		require.NoError(t, credentials.Apply(&cfg))
		client := tbclient.Dial(cfg)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = client.Run(ctx, nothing{}) })
		patience, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err = client.PublishOwn(patience, []telemetry.Point{{Key: "k", Value: telemetry.Int(1)}}, nil)
		cancel()
		stop()
		running.Wait()
		require.NoError(t, err, typ)
		require.NotEmpty(t, srv.Readings())
	}
}
