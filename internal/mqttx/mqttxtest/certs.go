package mqttxtest

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
func NewCerts(t testing.TB) Certs {
	t.Helper()
	dir := t.TempDir()
	ca, caKey := create(t, "test authority", nil, nil)
	c := Certs{CA: filepath.Join(dir, "ca.crt"), Roots: x509.NewCertPool()}
	write(t, c.CA, "CERTIFICATE", ca.Raw)
	c.Roots.AddCert(ca)
	c.ServerCert, c.ServerKey, c.Server = issue(t, dir, "server", ca, caKey)
	c.ClientCert, c.ClientKey, c.Client = issue(t, dir, "client", ca, caKey)
	return c
}

func issue(t testing.TB, dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	cert, key := create(t, name, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	write(t, certFile, "CERTIFICATE", cert.Raw)
	write(t, keyFile, "PRIVATE KEY", der)
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	must(t, err)
	return certFile, keyFile, pair
}

// create makes a certificate; without an authority it is one.
func create(t testing.TB, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
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
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert, key
}

func write(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	must(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
