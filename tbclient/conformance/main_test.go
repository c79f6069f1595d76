package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

func serve(t *testing.T, cfg tbtest.Config) *tbtest.Server {
	t.Helper()
	srv, err := tbtest.NewServer(cfg)
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	return srv
}

// command runs the command, which ends by itself.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestAFaithfulServerDiffersNowhere(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "secret", Provision: &tbtest.Provision{Key: "pk", Secret: "ps"}})
	code, out, errs := command(t, "-broker", srv.URL(), "-token", "secret", "-quiet", "10ms", "-timeout", "30s",
		"-provision-key", "pk", "-provision-secret", "ps", "-prefix", "pre")
	require.Equal(t, exitSame, code, "%s%s", out, errs)
	require.Contains(t, out, "Creates devices named pre-")
	require.Contains(t, out, " 0 differ,")
	require.Contains(t, out, "needs a rate limit")
	require.NotContains(t, out, "NOT RUN  MQTT 5      provisioning")
	for name := range srv.Devices() {
		if name != tbtest.Gateway {
			require.True(t, strings.HasPrefix(name, "pre-"), name)
		}
	}
}

func TestDifferencesAreReported(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "secret", NotGateway: true})
	code, out, _ := command(t, "-broker", srv.URL(), "-token", "secret", "-quiet", "10ms", "-timeout", "100ms", "-mqtt", "5",
		"-run", "^(connect with a type|own telemetry)$")
	require.Equal(t, exitDiffers, code)
	require.Contains(t, out, "DIFFERS  MQTT 5      connect with a type\n         from  AbstractGatewaySessionHandler 260-270, 330-360\n"+
		"         want  CONNACK 0 | PUBACK\n         got   CONNACK 0\n")
	require.Contains(t, out, "PASS     MQTT 5      own telemetry\n")
	require.Contains(t, out, "1 pass, 1 differ, 0 not run.")
}

// TestWhatComesAfterTheExpectedCounts has the server end the connection a while
// after it has acknowledged a message.
func TestWhatComesAfterTheExpectedCounts(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "secret"})
	srv.Trap(1, 10*time.Millisecond)
	code, out, _ := command(t, "-broker", srv.URL(), "-token", "secret", "-quiet", "2s", "-timeout", "30s", "-mqtt", "4", "-run", "^telemetry of one device$")
	require.Equal(t, exitDiffers, code)
	require.Contains(t, out, "want  CONNACK 0 | PUBACK\n         got   CONNACK 0 | PUBACK | closed\n")
}

func TestResultsForMachines(t *testing.T) {
	srv := serve(t, tbtest.Config{Token: "secret"})
	code, out, _ := command(t, "-broker", srv.URL(), "-token", "secret", "-quiet", "10ms", "-timeout", "30s", "-json", "-run", "rate limit|PINGREQ")
	require.Equal(t, exitSame, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 7)
	var results []table.Result
	for _, line := range lines[:6] {
		var res table.Result
		require.NoError(t, json.Unmarshal([]byte(line), &res))
		results = append(results, res)
	}
	require.Equal(t, table.Result{
		Row: "PINGREQ", Source: results[0].Source, MQTT: "3.1.1", Verdict: table.Pass,
		Want: []string{"CONNACK 0", "PINGRESP"}, Got: []string{"CONNACK 0", "PINGRESP"},
	}, results[0])
	require.Equal(t, table.NotRun, results[2].Verdict)
	require.NotEmpty(t, results[2].Why)
	require.JSONEq(t, `{"pass":2,"differs":0,"notRun":4}`, lines[6])
}

func TestServerOfTLSIsVerified(t *testing.T) {
	certs := peer.NewCerts(t)
	srv := serve(t, tbtest.Config{Token: "secret", TLS: &tls.Config{
		Certificates: []tls.Certificate{certs.Server}, ClientCAs: certs.Roots,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}})
	args := []string{"-broker", srv.URL(), "-quiet", "10ms", "-timeout", "30s", "-run", "^PINGREQ$", "-cert", certs.ClientCert, "-key", certs.ClientKey}
	code, out, _ := command(t, append(args, "-ca", certs.CA)...)
	require.Equal(t, exitSame, code, out)
	code, _, errs := command(t, args...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "certificate")
	code, _, _ = command(t, append(args, "-insecure")...)
	require.Equal(t, exitSame, code)
}

func TestArgumentsThatMakeNoSense(t *testing.T) {
	for want, args := range map[string][]string{
		"-broker is needed": {},
		"matches no row":    {"-broker", "tcp://127.0.0.1:1", "-run", "no such row"},
		"not 4, 5 or both":  {"-broker", "tcp://127.0.0.1:1", "-mqtt", "6"},
		"-run":              {"-broker", "tcp://127.0.0.1:1", "-run", "("},
		"and a key file":    {"-broker", "tcp://127.0.0.1:1", "-cert", "only"},
		"provided but not":  {"-unknown"},
	} {
		code, _, errs := command(t, args...)
		require.Equal(t, exitFailed, code, args)
		require.Contains(t, errs, want)
	}
	code, _, errs := command(t, "-h")
	require.Equal(t, exitSame, code)
	require.Contains(t, errs, "-provision-key")
}

func TestServerThatIsNotThere(t *testing.T) {
	port := peer.FreePort(t)
	code, _, errs := command(t, "-broker", "tcp://127.0.0.1:"+port, "-timeout", "5s")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "refused")
}

// TestServerThatSaysNothing shows that a row ends though the server takes
// connections and never writes.
func TestServerThatSaysNothing(t *testing.T) {
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var conns []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		accepting.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	code, out, _ := command(t, "-broker", "tcp://"+ln.Addr().String(), "-timeout", "50ms", "-quiet", "10ms", "-run", "^telemetry of")
	require.Equal(t, exitDiffers, code)
	require.Contains(t, out, "0 pass, 4 differ, 4 not run.")
}

func TestInterruptionEndsTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	srv := serve(t, tbtest.Config{})
	var out, errs bytes.Buffer
	require.Equal(t, exitFailed, run(ctx, []string{"-broker", srv.URL()}, &out, &errs))
	require.Contains(t, errs.String(), "cancel")
}

// TestPeerMosquittoDiffers shows that a broker that is no ThingsBoard is told
// from one, and that no row waits for ever.
func TestPeerMosquittoDiffers(t *testing.T) {
	broker := peer.Mosquitto{}.Start(t)
	began := time.Now()
	code, out, errs := command(t, "-broker", "tcp://"+broker.Addr(), "-json", "-timeout", "300ms", "-quiet", "20ms",
		"-run", "SUBSCRIBE (#|v1/gateway/(#|rpc))|session limits|empty name|cut off|unknown access token|attribute request with key|over the maximum payload|key$")
	require.Equal(t, exitDiffers, code, errs)
	require.Less(t, time.Since(began), 5*time.Minute)
	verdicts := make(map[string]table.Verdict)
	for line := range strings.Lines(out) {
		var res table.Result
		require.NoError(t, json.Unmarshal([]byte(line), &res))
		if res.Row != "" {
			verdicts[res.Row+", MQTT "+res.MQTT] = res.Verdict
		}
	}
	for _, version := range []string{"3.1.1", "5"} {
		for _, row := range []string{
			"SUBSCRIBE # is refused", "SUBSCRIBE v1/gateway/# is refused", "session limits", "connect with an empty name",
			"telemetry that is cut off", "CONNECT with an unknown access token", "attribute request with key",
			"firmware chunk over the maximum payload", "provisioning: unknown key",
		} {
			require.Equal(t, table.Differs, verdicts[row+", MQTT "+version], "%s, MQTT %s", row, version)
		}
	}
}
