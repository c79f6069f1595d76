package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certs are an authority, and certificates by it for a server on 127.0.0.1 and
// for a client. They are in PEM files of these names.
type Certs struct {
	CA, ServerCert, ServerKey, ClientCert, ClientKey string

	Roots          *x509.CertPool
	Server, Client tls.Certificate
}

// NewCerts makes certificates that are valid for an hour.
func NewCerts(tb testing.TB) Certs {
	tb.Helper()
	dir := tb.TempDir()
	ca, caKey := create(tb, "test authority", nil, nil)
	c := Certs{CA: filepath.Join(dir, "ca.crt"), Roots: x509.NewCertPool()}
	write(tb, c.CA, "CERTIFICATE", ca.Raw)
	c.Roots.AddCert(ca)
	c.ServerCert, c.ServerKey, c.Server = issue(tb, dir, "server", ca, caKey)
	c.ClientCert, c.ClientKey, c.Client = issue(tb, dir, "client", ca, caKey)
	return c
}

func issue(tb testing.TB, dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (certFile, keyFile string, pair tls.Certificate) {
	tb.Helper()
	cert, key := create(tb, name, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(tb, err)
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	write(tb, certFile, "CERTIFICATE", cert.Raw)
	write(tb, keyFile, "PRIVATE KEY", der)
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	must(tb, err)
	return certFile, keyFile, pair
}

// create makes a certificate; without an authority it is one.
func create(tb testing.TB, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  ca == nil,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if ca == nil {
		template.KeyUsage |= x509.KeyUsageCertSign
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	must(tb, err)
	cert, err := x509.ParseCertificate(der)
	must(tb, err)
	return cert, key
}

func write(tb testing.TB, name, kind string, der []byte) {
	tb.Helper()
	must(tb, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
