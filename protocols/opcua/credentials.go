package opcua

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

const (
	keyBits      = 2048
	certValidity = 20 * 365 * 24 * time.Hour
	ownCertFile  = "own.pem"
	ownKeyFile   = "own-key.pem"
)

// credentials are the gateway's certificate and the servers that it trusts.
type credentials struct {
	applicationURI string
	cert           []byte // DER; nil: none is needed
	key            *rsa.PrivateKey
	trust          *trustStore
}

// sent returns the certificate that is shown to the server.
func (c *credentials) sent(e *endpoint) []byte {
	if e.cert == nil {
		return nil
	}
	return c.cert
}

// loadCredentials reads what c needs, and makes a certificate if there is none.
func loadCredentials(c Config) (*credentials, error) {
	s := c.Security
	cred := &credentials{applicationURI: c.ApplicationURI}
	if cred.applicationURI == "" {
		cred.applicationURI = DefaultApplicationURI
	}
	if s.plain() {
		return cred, nil
	}
	cred.trust = &trustStore{dir: s.path(s.PKI), any: s.SkipVerify}
	var err error
	if s.ServerCert != "" {
		if cred.trust.pinned, err = readCertificates(s.path(s.ServerCert)); err != nil {
			return nil, err
		}
	}
	certFile, keyFile := s.path(s.Cert), s.path(s.Key)
	if s.Cert == "" {
		certFile, keyFile = filepath.Join(s.path(s.PKI), ownCertFile), filepath.Join(s.path(s.PKI), ownKeyFile)
		if err := makeCertificate(certFile, keyFile, cred.applicationURI); err != nil {
			return nil, err
		}
	}
	own, err := readCertificates(certFile)
	if err != nil {
		return nil, err
	}
	if cred.key, err = readKey(keyFile); err != nil {
		return nil, err
	}
	return cred, cred.fits(own[0], c.ApplicationURI, certFile)
}

// fits takes over the certificate, which names the application as well.
func (c *credentials) fits(own *x509.Certificate, uri, file string) error {
	if pub, ok := own.PublicKey.(*rsa.PublicKey); !ok || !pub.Equal(&c.key.PublicKey) {
		return fmt.Errorf("%s: the certificate is not that of the key", file)
	}
	c.cert = own.Raw
	if len(own.URIs) > 0 {
		c.applicationURI = own.URIs[0].String()
	}
	if uri != "" && c.applicationURI != uri {
		return fmt.Errorf("%s: the certificate is for the application %q, not %q", file, c.applicationURI, uri)
	}
	return nil
}

func (s Security) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir, name)
}

// makeCertificate makes a certificate for itself, unless there is one.
func makeCertificate(certFile, keyFile, uri string) error {
	_, err := os.Stat(certFile)
	if _, keyErr := os.Stat(keyFile); err == nil && keyErr == nil {
		return nil
	}
	cert, key, err := newCertificate(uri)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(certFile), 0o700); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", der); err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", cert)
}

func writePEM(name, kind string, der []byte) error {
	return atomicfile.Write(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// newCertificate makes a certificate as Part 6, 6.2.2 demands it.
func newCertificate(uri string) ([]byte, *rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(uri)
	if err != nil {
		return nil, nil, fmt.Errorf("application URI: %w", err)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "GridLinks IoT Gateway", Organization: []string{host}},
		// A box whose clock is not set yet must not make a certificate of the future.
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Now().Add(certValidity),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{u},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return der, key, err
}

// readCertificates reads the certificates of a file, at least one.
func readCertificates(name string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	der := data
	if block, _ := pem.Decode(data); block != nil {
		der = nil
		for rest := data; ; {
			block, rest = pem.Decode(rest)
			if block == nil {
				break
			}
			if block.Type == "CERTIFICATE" {
				der = append(der, block.Bytes...)
			}
		}
	}
	list, err := x509.ParseCertificates(der)
	if err == nil && len(list) == 0 {
		err = errors.New("has no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

// readKey reads an RSA key, the only kind that the security policies know.
func readKey(name string) (*rsa.PrivateKey, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	if key, err := x509.ParsePKCS1PrivateKey(data); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: is no private key without a password", name)
	}
	key, ok := any.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: is no RSA key", name)
	}
	return key, nil
}
