package rest

import (
	"crypto/tls"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

func (l loader) report() func(error) { return tlsconf.Report(l.log) }

// files reads the names of certificates.
func (l loader) files(s *conf.Object) tlsconf.Files {
	return tlsconf.Files{Dir: l.dir, CA: s.Text("ca", ""), Cert: s.Text("cert", ""), Key: s.Text("key", "")}
}

// serverTLS reads the certificates of the server. Without any, it makes one.
func (l loader) serverTLS(o *conf.Object, cfg *Config) {
	on := o.Flag("SSL", false)
	s := o.Object("security")
	defer s.Finish()
	files := l.files(s)
	optional := s.OneOf("clientCertificate", "required", "required", "optional") == "optional"
	if !on {
		return
	}
	if files.Cert == "" && files.Key == "" {
		o.Warn("security", "there is no certificate: one is made that clients cannot verify, at each start another one")
		var err error
		files.Cert, files.Key, err = selfSigned(cfg.Hosts)
		s.Fail("", err)
	}
	cfg.TLS = func() (*tls.Config, error) {
		conf, err := files.Server(l.report())
		if err == nil && optional {
			voluntary(conf)
		}
		return conf, err
	}
	_, err := cfg.TLS()
	s.Fail("", err)
}

// voluntary makes a server verify the certificate of a client, but not demand one.
func voluntary(conf *tls.Config) {
	get := conf.GetConfigForClient
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := get(hello)
		if err == nil && c.ClientAuth == tls.RequireAndVerifyClientCert {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
		return c, err
	}
}
