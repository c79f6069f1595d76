package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Files names what a TLS configuration is made of. The zero Files means a client
// with TLS 1.2 or later that verifies servers against the system's roots. In the
// place of the name of a file there may be PEM text itself.
type Files struct {
	Dir        string // the folder that relative paths start from
	CA         string // PEM file of the roots to trust instead of the system's
	Cert, Key  string // PEM files of the own certificate; both or neither
	ServerName string // name to verify instead of the host's

	// AnyName accepts every name in a server's certificate that is otherwise
	// good.
	AnyName bool

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
		pair, err := f.pair()
		if err != nil {
			return nil, fmt.Errorf("tls: client certificate %s, key %s: %w", shown(f.Cert), shown(f.Key), err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if f.AnyName && !f.SkipVerify {
		verifyAnyName(c)
	}
	return c, nil
}

func (f Files) pair() (tls.Certificate, error) {
	cert, err := f.read(f.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := f.read(f.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

func (f Files) roots() (*x509.CertPool, error) {
	pem, err := f.read(f.CA)
	if err != nil {
		return nil, fmt.Errorf("tls: CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls: CA file %s holds no certificate", shown(f.CA))
	}
	return roots, nil
}

// verifyAnyName makes conf accept every name in a certificate that is otherwise
// good.
func verifyAnyName(conf *tls.Config) {
	roots := conf.RootCAs
	conf.InsecureSkipVerify = true //nolint:gosec // VerifyConnection verifies all but the name
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		others := x509.NewCertPool()
		for _, cert := range s.PeerCertificates[1:] {
			others.AddCert(cert)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others})
		return err
	}
}

// inline reports whether name is PEM text rather than the name of a file.
func inline(name string) bool { return strings.Contains(name, "-----BEGIN ") }

// shown returns what messages call the file.
func shown(name string) string {
	if inline(name) {
		return "(in the configuration)"
	}
	return name
}

// read returns the PEM text of name.
func (f Files) read(name string) ([]byte, error) {
	if inline(name) {
		return []byte(name), nil
	}
	return os.ReadFile(f.path(name))
}

func (f Files) path(name string) string {
	if filepath.IsAbs(name) || f.Dir == "" {
		return name
	}
	return filepath.Join(f.Dir, name)
}
