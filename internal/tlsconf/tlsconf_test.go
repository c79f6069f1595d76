package tlsconf_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// serve accepts TLS connections that show a client certificate of the authority.
func serve(t *testing.T, c peer.Certs) (addr string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{c.Server}, ClientCAs: c.Roots,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	return ln.Addr().String()
}

func echo(conn net.Conn) {
	defer conn.Close()
	_, _ = io.Copy(conn, conn)
}

// talk connects with f, and reports whether a byte comes back.
func talk(t *testing.T, addr string, f tlsconf.Files) error {
	t.Helper()
	cfg, err := f.Config()
	require.NoError(t, err)
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

func TestServersAreVerifiedByDefault(t *testing.T) {
	c := peer.NewCerts(t)
	addr := serve(t, c)
	mutual := tlsconf.Files{CA: c.CA, Cert: c.ClientCert, Key: c.ClientKey}
	require.NoError(t, talk(t, addr, mutual))

	unknown := mutual
	unknown.CA = ""
	require.Error(t, talk(t, addr, unknown), "an authority that is not trusted")
	other := mutual
	other.CA = peer.NewCerts(t).CA
	require.Error(t, talk(t, addr, other), "the certificate of another authority")
	name := mutual
	name.ServerName = "elsewhere.example"
	require.Error(t, talk(t, addr, name), "the certificate of another server")
	anonymous := mutual
	anonymous.Cert, anonymous.Key = "", ""
	require.Error(t, talk(t, addr, anonymous), "no client certificate")
	careless := unknown
	careless.SkipVerify = true
	require.NoError(t, talk(t, addr, careless), "verification was turned off")
}

func TestOldProtocolVersionsAreRefused(t *testing.T) {
	cfg, err := tlsconf.Files{}.Config()
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS12, cfg.MinVersion)
}

func TestErrorsNameTheFile(t *testing.T) {
	c := peer.NewCerts(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty.pem"), []byte("nothing"), 0o600))
	for want, f := range map[string]tlsconf.Files{
		"absent.pem":                  {Dir: dir, CA: "absent.pem"},
		"empty.pem":                   {Dir: dir, CA: "empty.pem"},
		"needs both":                  {Cert: c.ClientCert},
		filepath.Base(c.ServerKey):    {Cert: c.ClientCert, Key: c.ServerKey},
		"tls: client certificate x.c": {Dir: dir, Cert: "x.c", Key: "x.k"},
	} {
		_, err := f.Config()
		require.ErrorContains(t, err, want)
	}
}

func TestPEMInThePlaceOfFiles(t *testing.T) {
	c := peer.NewCerts(t)
	addr := serve(t, c)
	text := func(name string) string {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(b)
	}
	f := tlsconf.Files{CA: text(c.CA), Cert: text(c.ClientCert), Key: text(c.ClientKey)}
	require.NoError(t, talk(t, addr, f))
	next := f.Source(nil)
	_, err := next()
	require.NoError(t, err)
	_, _, err = f.Expiry()
	require.NoError(t, err)

	f.Key = text(c.ServerKey)
	_, err = f.Config()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "BEGIN", "secrets are not shown")
}

func TestAnyNameVerifiesAllButTheName(t *testing.T) {
	c := peer.NewCerts(t)
	addr := serve(t, c)
	f := tlsconf.Files{CA: c.CA, Cert: c.ClientCert, Key: c.ClientKey, ServerName: "elsewhere.example", AnyName: true}
	require.NoError(t, talk(t, addr, f))
	f.CA = peer.NewCerts(t).CA
	require.Error(t, talk(t, addr, f), "the certificate of another authority")
}
