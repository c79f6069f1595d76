package opcua

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	trustedFolder  = "trusted"
	rejectedFolder = "rejected"
	maxRejected    = 100 // files
)

// A trustStore knows the servers that are trusted: those whose certificate, or that
// of an authority that issued it, lies in the folder trusted of dir, or is pinned.
// The folder is read at each check, so that a change counts at the next attempt to
// connect.
type trustStore struct {
	dir    string
	pinned []*x509.Certificate
	any    bool
}

// check returns an error unless the server's certificates are trusted. Certificates
// that are refused are kept in the folder rejected.
func (t *trustStore) check(der []byte, now time.Time) error {
	chain, err := x509.ParseCertificates(der)
	if err != nil || len(chain) == 0 {
		return errors.New("the server has no valid certificate")
	}
	server := chain[0]
	if _, ok := server.PublicKey.(*rsa.PublicKey); !ok {
		return errors.New("the server's certificate has no RSA key")
	}
	if t.any {
		return nil
	}
	trusted := t.trusted()
	for _, c := range trusted {
		if c.Equal(server) {
			return nil
		}
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted {
		if c.IsCA {
			roots.AddCert(c)
		}
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = server.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err == nil {
		return nil
	}
	return t.reject(server, err)
}

// trusted reads the folder, and leaves out what is no certificate.
func (t *trustStore) trusted() []*x509.Certificate {
	list := append([]*x509.Certificate(nil), t.pinned...)
	files, err := os.ReadDir(filepath.Join(t.dir, trustedFolder))
	if err != nil {
		return list
	}
	for _, f := range files {
		if certs, err := readCertificates(filepath.Join(t.dir, trustedFolder, f.Name())); err == nil {
			list = append(list, certs...)
		}
	}
	return list
}

// reject keeps the certificate where somebody can find it.
func (t *trustStore) reject(c *x509.Certificate, why error) error {
	sum := sha256.Sum256(c.Raw)
	name := hex.EncodeToString(sum[:8]) + ".pem"
	dir := filepath.Join(t.dir, rejectedFolder)
	file := filepath.Join(dir, name)
	refused := fmt.Errorf("the server's certificate (%s, SHA-256 %x) is not trusted: %w", c.Subject, sum, why)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return refused
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) >= maxRejected {
		return refused
	}
	if _, err := os.Stat(file); err != nil {
		if err := writePEM(file, "CERTIFICATE", c.Raw); err != nil {
			return refused
		}
	}
	return fmt.Errorf("%w; to trust it, move %s to the folder %s", refused, file, filepath.Join(t.dir, trustedFolder))
}
