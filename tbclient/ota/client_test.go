package ota_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/ota"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// patience bounds every wait of these tests.
const patience = 90 * time.Second

// nothing is a gateway.Downlink that is not called.
type nothing struct{}

func (nothing) SharedAttributes(string) []string { return nil }

func (nothing) HandleRPC(context.Context, connector.RPCRequest) (telemetry.Value, error) {
	return telemetry.Value{}, nil
}

func (nothing) UpdateAttributes(context.Context, connector.AttributeUpdate) error { return nil }

// states returns the states that the gateway has reported, without repetitions.
func states(srv *tbtest.Server) (all []string) {
	for _, r := range srv.Readings() {
		if s, ok := r.Value.(string); ok && r.Device == tbtest.Gateway && r.Key == "fw_state" {
			if len(all) == 0 || all[len(all)-1] != s {
				all = append(all, s)
			}
		}
	}
	return all
}

// The whole way, over MQTT: an announcement, chunks of which some are lost with
// the connection, a package that arrives damaged, and one that does not.
func TestAnUpdateThroughTheClient(t *testing.T) {
	image := random(20_000)
	var asked atomic.Int64
	var srv *tbtest.Server
	cut := make(chan struct{})
	srv, err := tbtest.NewServer(tbtest.Config{Token: "secret", OnPublish: func(m tbtest.Message) {
		if strings.HasPrefix(m.Topic, "v2/fw/request/") && asked.Add(1) == 7 {
			close(cut)
		}
	}})
	require.NoError(t, err)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	runCtx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() {
		<-cut
		srv.Cut()
	})
	defer func() {
		if asked.Load() < 7 {
			close(cut)
		}
	}()

	log := slog.New(slog.DiscardHandler)
	client := tbclient.Dial(tbclient.Config{
		Broker: srv.URL(), AccessToken: "secret", ShortestBackoff: time.Millisecond, LongestBackoff: 10 * time.Millisecond, Logger: log,
	})
	running.Go(func() { _ = client.Run(runCtx, nothing{}) })
	images := make(chan []byte, 10)
	cfg := config(t.TempDir(), &installer{})
	i := &installer{}
	cfg.ChunkSize = 1000
	cfg.Install = func(ctx context.Context, m ota.Image) error {
		err := i.install(ctx, m)
		images <- i.bytes[len(i.bytes)-1]
		return err
	}
	running.Go(func() { _ = ota.New(cfg).Run(runCtx, client) })

	require.NoError(t, srv.WaitFor(ctx, func() bool { return len(states(srv)) == 1 }))
	require.NoError(t, srv.SetFirmware("fw", "gateway", "2", image, "MURMUR3_128"))
	require.NoError(t, srv.WaitFor(ctx, func() bool { return len(states(srv)) == 1+len(whole) }), states(srv))
	require.Equal(t, append([]string{"IDLE"}, whole...), states(srv))
	require.True(t, bytes.Equal(image, <-images))

	srv.CorruptChunks(1)
	require.NoError(t, srv.SetFirmware("fw", "gateway", "3", image[5000:], "CRC32"))
	require.NoError(t, srv.WaitFor(ctx, func() bool { s := states(srv); return s[len(s)-1] == "FAILED" }), states(srv))
	require.NoError(t, srv.SetFirmware("fw", "gateway", "4", image[5000:], "CRC32"))
	require.NoError(t, srv.WaitFor(ctx, func() bool { s := states(srv); return s[len(s)-1] == "UPDATED" && len(s) > 8 }), states(srv))
	require.True(t, bytes.Equal(image[5000:], <-images))
	require.Empty(t, images)
}
