package ftp_test

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/ftp"
)

// start runs a connector until the test ends, or stop is called.
func start(t *testing.T, c connector.Connector) (host *connectortest.Host, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	host = connectortest.NewHost(t)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			<-done
		}
	}
	t.Cleanup(stop)
	return host, stop
}

// values returns the values of a key that are durable, in order.
func values(h *connectortest.Host, key string) (list []string) {
	for _, r := range h.Readings(true) {
		if r.Key == key {
			list = append(list, r.Value.String())
		}
	}
	return list
}

func table(pattern string) ftp.Path {
	return ftp.Path{
		Pattern: pattern, Period: 50 * time.Millisecond, Partial: true, Device: "S",
		Timeseries: []ftp.Datapoint{{Key: "v", Value: "${v}"}},
	}
}

func TestPeerVSFTPD(t *testing.T) {
	certs := peer.NewCerts(t)
	trust := func() (*tls.Config, error) {
		return &tls.Config{RootCAs: certs.Roots, MinVersion: tls.VersionTLS12}, nil
	}
	for name, c := range map[string]struct {
		server peer.VSFTPD
		cfg    ftp.Config
	}{
		"plain":    {},
		"explicit": {peer.VSFTPD{Certs: &certs}, ftp.Config{Security: ftp.Explicit, TLS: trust}},
		"implicit": {peer.VSFTPD{Certs: &certs, Implicit: true}, ftp.Config{Security: ftp.Implicit, TLS: trust}},
	} {
		t.Run(name, func(t *testing.T) {
			server := c.server.Start(t)
			cfg := c.cfg
			cfg.Host = "127.0.0.1"
			cfg.Port, _ = strconv.Atoi(server.Port)
			deleted := table("in/*/*.txt")
			deleted.After = ftp.Delete
			moved := table("in/*.csv")
			moved.After, moved.MoveTo = ftp.Move, "done"
			cfg.Paths = []ftp.Path{table("log dir/*.csv"), deleted, moved}
			cfg.RPCs = []ftp.RPC{{Method: "read|write", Value: "${params}"}}
			cfg.Updates = []ftp.Update{{Path: "log dir/set.txt", Value: "${attributeKey}=${attributeValue}", Append: true}}
			server.Put(t, "log dir/a.csv", "v\n1\n")
			server.Put(t, "in/x/b.txt", "v\n10\n")
			server.Put(t, "in/c.csv", "v\n20\n")
			require.NoError(t, os.Mkdir(filepath.Join(server.Dir, "done"), 0o777))
			con := ftp.New(cfg)
			host, _ := start(t, con)
			host.Eventually(t, "three files", func() bool { return len(values(host, "v")) == 3 })
			host.Eventually(t, "one file deleted and one moved", func() bool {
				_, errB := os.Stat(filepath.Join(server.Dir, "in/x/b.txt"))
				_, errC := os.Stat(filepath.Join(server.Dir, "done/c.csv"))
				return os.IsNotExist(errB) && errC == nil
			})
			server.Put(t, "log dir/a.csv", "v\n1\n2\n")
			host.Eventually(t, "what was added", func() bool { return len(values(host, "v")) == 4 })
			assert.ElementsMatch(t, []string{"1", "10", "20", "2"}, values(host, "v"))

			long := strings.Repeat("0123456789", 30_000)
			v, err := con.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "write", Params: []byte(`"log dir/long.txt;` + long + `"`)})
			require.NoError(t, err)
			assert.JSONEq(t, `{"result":true}`, v.String())
			stored, err := os.ReadFile(filepath.Join(server.Dir, "log dir/long.txt"))
			require.NoError(t, err)
			assert.Len(t, stored, len(long), "the upload is complete")
			v, err = con.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "read", Params: []byte(`"log dir/a.csv"`)})
			require.NoError(t, err)
			assert.JSONEq(t, `{"result":"v\n1\n2\n"}`, v.String())
			_, err = con.HandleRPC(t.Context(), connector.RPCRequest{Device: "S", Method: "read", Params: []byte(`"none.csv"`)})
			require.ErrorContains(t, err, `file "none.csv": 550`)

			server.Kill()
			server.Put(t, "log dir/a.csv", "v\n1\n2\n3\n")
			server.Restart()
			host.Eventually(t, "what was added meanwhile", func() bool { return len(values(host, "v")) == 5 })
		})
	}
}

func TestPeerVSFTPDIsVerified(t *testing.T) {
	certs := peer.NewCerts(t)
	server := peer.VSFTPD{Certs: &certs}.Start(t)
	port, _ := strconv.Atoi(server.Port)
	for name, cfg := range map[string]ftp.Config{
		"a certificate of nobody that is trusted": {Security: ftp.Explicit},
		"no encryption": {},
	} {
		cfg.Host, cfg.Port, cfg.Paths = "127.0.0.1", port, []ftp.Path{table("*.csv")}
		require.Error(t, ftp.Dial(t.Context(), cfg), name)
	}
}
