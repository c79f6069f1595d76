package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// security reads how to log in, and reports whether TLS is used.
func (l *loader) security(broker *conf.Object, cfg *Config) bool {
	o := broker.Object("security")
	defer o.Finish()
	kind := o.OneOf("type", "anonymous", "anonymous", "basic", "certificates", "tls")
	cfg.Username, cfg.Password = o.Text("username", ""), o.Text("password", "")
	certs := certificates{
		ca:       either(o, "pathToCACert", "caCert"),
		cert:     either(o, "pathToClientCert", "cert"),
		key:      either(o, "pathToPrivateKey", "privateKey"),
		name:     o.Text("serverName", ""),
		anyName:  o.Flag("insecure", false),
		dir:      l.env.Dir,
		log:      l.env.Logger,
		insecure: o.Flag("insecureSkipVerify", false),
	}
	if kind != "certificates" && kind != "tls" && certs.ca == "" && certs.cert == "" {
		return false
	}
	switch {
	case certs.insecure:
		o.Warn("insecureSkipVerify", "the broker's certificate is not verified")
	case certs.anyName:
		o.Warn("insecure", "the name in the broker's certificate is not verified")
	}
	source, err := certs.source()
	if err == nil {
		cfg.TLS, err = source()
	}
	o.Fail("", err)
	cfg.TLSSource = source
	return true
}

func either(o *conf.Object, key, old string) string {
	text := o.Text(key, "")
	if other := o.Text(old, ""); text == "" {
		return other
	}
	return text
}

// certificates is what a TLS configuration is made of. Each of ca, cert and key
// is the name of a PEM file, or PEM itself.
type certificates struct {
	ca, cert, key string
	name          string // to verify instead of the host's
	anyName       bool   // verify the certificate, but not its name
	insecure      bool   // verify nothing
	dir           string
	log           *slog.Logger
}

func inline(text string) bool { return strings.Contains(text, "-----BEGIN ") }

// source returns a function that yields the configuration. It follows the files,
// if there are any, as they change.
func (c certificates) source() (func() (*tls.Config, error), error) {
	files := tlsconf.Files{Dir: c.dir, ServerName: c.name, SkipVerify: c.insecure}
	var roots *x509.CertPool
	var own []tls.Certificate
	if inline(c.ca) {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(c.ca)) {
			return nil, errors.New("pathToCACert: holds no certificate")
		}
	} else {
		files.CA = c.ca
	}
	switch {
	case inline(c.cert) != inline(c.key):
		return nil, errors.New("pathToClientCert and pathToPrivateKey: must both be files, or both be PEM")
	case inline(c.cert):
		pair, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key))
		if err != nil {
			return nil, errors.New("pathToClientCert and pathToPrivateKey: are not the PEM of a certificate and its key")
		}
		own = []tls.Certificate{pair}
	default:
		files.Cert, files.Key = c.cert, c.key
	}
	next := files.Source(c.report)
	return func() (*tls.Config, error) {
		conf, err := next()
		if err != nil {
			return nil, err
		}
		conf = conf.Clone()
		if roots != nil {
			conf.RootCAs = roots
		}
		if own != nil {
			conf.Certificates = own
		}
		if c.anyName && !c.insecure {
			verifyAnyName(conf)
		}
		return conf, nil
	}, nil
}

func (c certificates) report(err error) {
	if err != nil {
		c.log.Warn("the certificates that have changed cannot be used; those before them are", slog.Any("error", err))
		return
	}
	c.log.Info("the certificates can be used again")
}

// verifyAnyName makes conf accept every name in a certificate that is otherwise
// good, as the reference gateway does with "insecure".
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
