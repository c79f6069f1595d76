package tlsconf_test

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// put copies a file, which gives it the time at.
func put(t *testing.T, from, to string, at time.Time) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
	require.NoError(t, os.Chtimes(to, at, at))
}

// A rotation is a folder whose certificates are replaced.
type rotation struct {
	t     *testing.T
	files tlsconf.Files
	now   time.Time
}

func newRotation(t *testing.T) *rotation {
	t.Helper()
	return &rotation{t, tlsconf.Files{Dir: t.TempDir(), CA: "ca.crt", Cert: "own.crt", Key: "own.key"}, time.Now().Add(-time.Hour)}
}

func (r *rotation) put(from, name string) {
	r.t.Helper()
	r.now = r.now.Add(time.Second)
	put(r.t, from, filepath.Join(r.files.Dir, name), r.now)
}

func (r *rotation) client(c peer.Certs) {
	r.t.Helper()
	r.put(c.CA, "ca.crt")
	r.put(c.ClientCert, "own.crt")
	r.put(c.ClientKey, "own.key")
}

func TestSourceFollowsTheFiles(t *testing.T) {
	first, second := peer.NewCerts(t), peer.NewCerts(t)
	r := newRotation(t)
	var reports []error
	next := r.files.Source(func(err error) { reports = append(reports, err) })
	_, err := next()
	require.ErrorContains(t, err, "ca.crt", "nothing good yet")
	require.Empty(t, reports, "it was returned")

	r.client(first)
	a, err := next()
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS12, a.MinVersion)
	again, err := next()
	require.NoError(t, err)
	require.Same(t, a, again, "nothing has changed, nothing is read")

	r.put(second.ClientCert, "own.crt") // and its key follows later
	for range 3 {
		kept, err := next()
		require.NoError(t, err)
		require.Same(t, a, kept, "the last good one")
	}
	require.Len(t, reports, 1, "the same error is reported once")
	require.ErrorContains(t, reports[0], "own.crt")
	require.NoError(t, os.Remove(filepath.Join(r.files.Dir, "own.crt")))
	_, err = next()
	require.NoError(t, err)
	require.Len(t, reports, 2, "another error")

	r.client(second)
	b, err := next()
	require.NoError(t, err)
	require.NotSame(t, a, b)
	require.Equal(t, second.Client.Certificate[0], b.Certificates[0].Certificate[0])
	require.Len(t, reports, 3)
	require.NoError(t, reports[2], "good again")
}

func TestSourceSeesEachFile(t *testing.T) {
	first, second := peer.NewCerts(t), peer.NewCerts(t)
	r := newRotation(t)
	r.client(first)
	next := r.files.Source(nil)
	a, err := next()
	require.NoError(t, err)
	r.put(second.CA, "ca.crt")
	b, err := next()
	require.NoError(t, err)
	require.NotSame(t, a, b)
	require.False(t, a.RootCAs.Equal(b.RootCAs))
	r.put(second.ClientKey, "own.key") // does not fit: the last good one stays
	c, err := next()
	require.NoError(t, err)
	require.Same(t, b, c)
	r.put(first.ClientKey, "own.key") // as it was, and newer
	d, err := next()
	require.NoError(t, err)
	require.NotSame(t, c, d)
}

// TestServerFollowsTheFiles guards that a server shows the new certificate, and
// takes clients of the new authority only, without a restart.
func TestServerFollowsTheFiles(t *testing.T) {
	first, second := peer.NewCerts(t), peer.NewCerts(t)
	r := newRotation(t)
	server := func(c peer.Certs) {
		r.put(c.CA, "ca.crt")
		r.put(c.ServerCert, "own.crt")
		r.put(c.ServerKey, "own.key")
	}
	server(first)
	cfg, err := r.files.Server(nil)
	require.NoError(t, err)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
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
	client := func(c peer.Certs) tlsconf.Files {
		return tlsconf.Files{CA: c.CA, Cert: c.ClientCert, Key: c.ClientKey}
	}
	addr := ln.Addr().String()
	require.NoError(t, talk(t, addr, client(first)))
	require.Error(t, talk(t, addr, client(second)))
	require.Error(t, talk(t, addr, tlsconf.Files{CA: first.CA}), "no certificate")
	server(second)
	require.NoError(t, talk(t, addr, client(second)))
	require.Error(t, talk(t, addr, client(first)))
	require.Error(t, talk(t, addr, tlsconf.Files{CA: second.CA, Cert: first.ClientCert, Key: first.ClientKey}), "of the old authority")

	old := &tls.Config{RootCAs: second.Roots, Certificates: []tls.Certificate{second.Client}, MaxVersion: tls.VersionTLS11} //nolint:gosec // to be refused
	_, err = (&tls.Dialer{Config: old}).DialContext(context.Background(), "tcp", addr)
	require.Error(t, err, "TLS 1.1")

	_, err = tlsconf.Files{}.Server(nil)
	require.ErrorContains(t, err, "needs a certificate")
	_, err = tlsconf.Files{Cert: "absent", Key: "absent"}.Server(nil)
	require.ErrorContains(t, err, "absent")
}
