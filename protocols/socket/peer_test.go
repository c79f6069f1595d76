package socket_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// socat pipes text into the connector, over what the address says.
func socat(t *testing.T, text, address string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peer.Need(t, "socat"), "-u", "-", address)
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), os.Stderr
	require.NoError(t, cmd.Run())
}

func lines(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "a%d\n", i)
	}
	return s.String()
}

func TestPeerSocatTCP(t *testing.T) {
	c, host := start(t, listen(station("127.0.0.1:*")))
	socat(t, lines(1000), "TCP:"+c.Addr())
	host.Eventually(t, "all readings", func() bool { return len(values(host, "v")) == 1000 })
	got := values(host, "v")
	assert.Equal(t, "0", got[0])
	assert.Equal(t, "999", got[999])
}

func TestPeerSocatUDP(t *testing.T) {
	cfg := listen(station(""))
	cfg.UDP = true
	c, host := start(t, cfg)
	socat(t, "a7", "UDP:"+c.Addr())
	host.Eventually(t, "the reading", func() bool { return len(values(host, "v")) == 1 })
}

func TestPeerSocatTLS(t *testing.T) {
	certs := peer.NewCerts(t)
	cfg := listen(station(""))
	cfg.TLS = func() (*tls.Config, error) {
		return tlsconf.Files{CA: certs.CA, Cert: certs.ServerCert, Key: certs.ServerKey}.Server(nil)
	}
	c, host := start(t, cfg)
	_, port, _ := net.SplitHostPort(c.Addr())
	socat(t, lines(100), fmt.Sprintf("OPENSSL:127.0.0.1:%s,cafile=%s,cert=%s,key=%s,verify=1", port, certs.CA, certs.ClientCert, certs.ClientKey))
	host.Eventually(t, "all readings", func() bool { return len(values(host, "v")) == 100 })
}

// The connector connects to socat, which listens.
func TestPeerSocatListens(t *testing.T) {
	port := peer.FreePort(t)
	peer.Start(t, t.TempDir(), peer.Need(t, "socat"), "TCP-LISTEN:"+port+",bind=127.0.0.1,reuseaddr,fork", "SYSTEM:echo a5")
	cfg := listen(station(""))
	cfg.Dial = true
	_, err := fmt.Sscan(port, &cfg.Port)
	require.NoError(t, err)
	_, host := start(t, cfg)
	host.Eventually(t, "readings of two connections", func() bool { return len(values(host, "v")) >= 2 })
}
