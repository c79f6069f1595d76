package tlsconf_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

const day = 24 * time.Hour

// certificate returns a PEM block of a certificate that expires at a time.
func certificate(t *testing.T, name string, at time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: at.Add(-365 * day), NotAfter: at,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestExpiryIsThatOfTheFirstToExpire(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().UTC().Truncate(time.Second)
	save := func(name string, blocks ...[]byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), bytes.Join(blocks, nil), 0o600))
	}
	noise := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	save("own.crt", noise, certificate(t, "own", now.Add(50*day)), certificate(t, "between", now.Add(40*day)))
	save("ca.crt", certificate(t, "root a", now.Add(60*day)), certificate(t, "root b", now.Add(30*day)))
	for _, test := range []struct {
		files tlsconf.Files
		what  string
		days  int
	}{
		{tlsconf.Files{Dir: dir, Cert: "own.crt", Key: "own.key"}, `certificate "CN=between" in own.crt`, 40},
		{tlsconf.Files{Dir: dir, Cert: "own.crt", Key: "own.key", CA: "ca.crt"}, `CA certificate "CN=root b" in ca.crt`, 30},
	} {
		what, at, err := test.files.Expiry()
		require.NoError(t, err)
		require.Equal(t, test.what, what)
		require.True(t, at.Equal(now.Add(time.Duration(test.days)*day)), "%v", at)
	}
	what, at, err := tlsconf.Files{}.Expiry()
	require.NoError(t, err)
	require.Empty(t, what)
	require.True(t, at.IsZero())
}

func TestExpiryOfBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.crt"), broken, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty.crt"), nil, 0o600))
	for _, name := range []string{"absent.crt", "broken.crt", "empty.crt"} {
		_, _, err := tlsconf.Files{Dir: dir, CA: name}.Expiry()
		require.ErrorContains(t, err, name)
	}
}

// A logbook keeps the lines of a log.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns the levels of the lines that have come since the last call.
func (l *logbook) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var levels []string
	for line := range strings.Lines(l.text.String()) {
		_, rest, _ := strings.Cut(line, "level=")
		level, _, _ := strings.Cut(rest, " ")
		levels = append(levels, level)
	}
	l.text.Reset()
	return levels
}

func TestExpiryIsLoggedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "ca.crt")
		save := func(at time.Time) { require.NoError(t, os.WriteFile(file, certificate(t, "root", at), 0o600)) }
		save(time.Now().Add(12 * day))
		var book logbook
		ctx, stop := context.WithCancel(t.Context())
		var watch sync.WaitGroup
		defer watch.Wait()
		defer stop()
		watch.Go(func() {
			tlsconf.Files{CA: file}.WarnExpiry(ctx, slog.New(slog.NewTextHandler(&book, nil)), 10, time.Hour)
		})
		pass := func(d time.Duration) []string {
			time.Sleep(d)
			synctest.Wait()
			return book.take()
		}
		time.Sleep(time.Minute) // away from the moments at which it looks
		require.Empty(t, pass(2*day), "12 to 10 days")
		require.Equal(t, []string{"WARN"}, pass(2*time.Hour), "less than 10 days")
		require.Equal(t, []string{"WARN", "WARN", "WARN"}, pass(3*day), "one a day")
		require.Equal(t, []string{"WARN", "WARN", "WARN", "WARN", "WARN", "WARN", "ERROR"}, pass(7*day))
		require.Empty(t, pass(30*day), "the error comes once")

		save(time.Now().Add(5 * day))
		require.Equal(t, []string{"WARN"}, pass(2*time.Hour), "another certificate")
		save(time.Now().Add(-time.Hour))
		require.Equal(t, []string{"ERROR"}, pass(2*time.Hour))
		save(time.Now().Add(100 * day))
		require.Empty(t, pass(2*day), "renewed")

		require.NoError(t, os.Remove(file))
		require.Equal(t, []string{"WARN"}, pass(5*day), "one for files that cannot be read")
		save(time.Now().Add(100 * day))
		require.Empty(t, pass(day))
		require.NoError(t, os.Remove(file))
		require.Equal(t, []string{"WARN"}, pass(day), "and another for the next time")
	})
}

// TestExpiryIsLookedAtAtOnce guards that a start with an old certificate says so,
// also without a pause being given.
func TestExpiryIsLookedAtAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		ctx, stop := context.WithCancel(t.Context())
		var watch sync.WaitGroup
		c := peer.NewCerts(t) // for an hour
		watch.Go(func() {
			tlsconf.Files{CA: c.CA, Cert: c.ClientCert, Key: c.ClientKey}.WarnExpiry(ctx, slog.New(slog.NewTextHandler(&book, nil)), 1, 0)
		})
		synctest.Wait()
		require.Equal(t, []string{"WARN"}, book.take())
		stop()
		watch.Wait()
	})
}
