package sftp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/ftp"
	"github.com/gridlinks/iot-gateway/protocols/ftp/sftp"
)

func TestPeerOpenSSH(t *testing.T) {
	server := peer.SSHD(t)
	server.Put(t, "data/a.csv", "v\n1\n")
	server.Put(t, "data/b.csv", "v\n2\n")
	doc := fmt.Sprintf(`{
		"parameters": {"host": "127.0.0.1", "port": %s, "security": {"username": %q, "pathToPrivateKey": %q, "knownHosts": %q}},
		"paths": [{"path": "d*/*.csv", "readMode": "PARTIAL", "pollPeriod": 0.05, "devicePatternName": "S",
			"timeseries": [{"key": "v", "value": "${v}", "type": "integer"}]}],
		"requestsMapping": {"serverSideRpc": [{"methodFilter": "read|write"}],
			"attributeUpdates": [{"path": "data/set.log", "writingMode": "WRITE", "valueExpression": "${attributeKey}=${attributeValue}"}]}
	}`, server.Port, server.User, server.Key, server.Hosts)
	c, err := sftp.Type().New([]byte(doc), connector.Env{Name: "s", Dir: t.TempDir()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	host := connectortest.NewHost(t)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	defer func() {
		cancel()
		<-done
	}()
	sum := func() (n int64) {
		for _, r := range host.Readings(true) {
			n = n*10 + r.Value.Int()
		}
		return n
	}
	host.Eventually(t, "two files", func() bool { return sum() == 12 || sum() == 21 })
	server.Put(t, "data/a.csv", "v\n1\n3\n")
	host.Eventually(t, "what was added", func() bool { return sum()%10 == 3 && sum() > 100 })
	call := func(method, params string) (string, error) {
		text, err := json.Marshal(params)
		require.NoError(t, err)
		v, err := c.(connector.RPCHandler).HandleRPC(ctx, connector.RPCRequest{Device: "S", Method: method, Params: text})
		return v.String(), err
	}
	got, err := call("write", "data/new.txt;text")
	require.NoError(t, err)
	assert.JSONEq(t, `{"result":{"value":"text"}}`, got)
	got, err = call("read", "data/new.txt")
	require.NoError(t, err)
	assert.JSONEq(t, `{"result":"text"}`, got)
	_, err = call("read", "none.txt")
	require.ErrorContains(t, err, `file "none.txt": 2 no such file`)
	stored, err := os.ReadFile(filepath.Join(server.Dir, "data/new.txt"))
	require.NoError(t, err)
	assert.Equal(t, "text", string(stored))
}

func TestPeerOpenSSHIsVerified(t *testing.T) {
	server, other := peer.SSHD(t), peer.SSHD(t)
	var port int
	_, err := fmt.Sscan(server.Port, &port)
	require.NoError(t, err)
	good := sftp.Config{Host: "127.0.0.1", Port: port, User: server.User, PrivateKey: server.Key, Fingerprint: server.HostFP}
	dial := func(c sftp.Config) error {
		var s ftp.Session
		s, err := sftp.Dialer(c)(t.Context())
		if err == nil {
			err = s.Close()
		}
		return err
	}
	require.NoError(t, dial(good))
	wrong := good
	wrong.Fingerprint = other.HostFP
	require.ErrorContains(t, dial(wrong), "the server's key has the fingerprint")
	wrong.Fingerprint, wrong.KnownHosts = "", other.Hosts
	require.ErrorContains(t, dial(wrong), "knownhosts: key is unknown")
	wrong.KnownHosts = ""
	require.ErrorContains(t, dial(wrong), "knownHosts: is missing")
	wrong = good
	wrong.PrivateKey = other.Key
	require.ErrorContains(t, dial(wrong), "unable to authenticate")
}
