package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Files names what a TLS configuration is made of. The zero Files means a client
// with TLS 1.2 or later that verifies servers against the system's roots.
type Files struct {
	Dir        string // the folder that relative paths start from
	CA         string // PEM file of the roots to trust instead of the system's
	Cert, Key  string // PEM files of the own certificate; both or neither
	ServerName string // name to verify instead of the host's

	// SkipVerify turns off the verification of the server. Connections are
	// then open to interception.
	SkipVerify bool
}

// Config reads the files and returns the configuration of a client. Errors name
// the file.
func (f Files) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName, InsecureSkipVerify: f.SkipVerify} //nolint:gosec // the caller's explicit choice
	if f.CA != "" {
		roots, err := f.roots()
		if err != nil {
			return nil, err
		}
		c.RootCAs = roots
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("tls: a certificate needs both a certificate file and a key file")
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.path(f.Cert), f.path(f.Key))
		if err != nil {
			return nil, fmt.Errorf("tls: client certificate %s, key %s: %w", f.Cert, f.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (f Files) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(f.path(f.CA))
	if err != nil {
		return nil, fmt.Errorf("tls: CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls: CA file %s holds no certificate", f.CA)
	}
	return roots, nil
}

func (f Files) path(name string) string {
	if filepath.IsAbs(name) || f.Dir == "" {
		return name
	}
	return filepath.Join(f.Dir, name)
}
