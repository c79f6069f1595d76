package mqtt

import (
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// security reads how to log in, and reports whether TLS is used.
func (l *loader) security(broker *conf.Object, cfg *Config) bool {
	o := broker.Object("security")
	defer o.Finish()
	kind := o.OneOf("type", "anonymous", "anonymous", "basic", "certificates", "tls")
	cfg.Username, cfg.Password = o.Text("username", ""), o.Text("password", "")
	files := tlsconf.Files{
		Dir:        l.env.Dir,
		CA:         either(o, "pathToCACert", "caCert"),
		Cert:       either(o, "pathToClientCert", "cert"),
		Key:        either(o, "pathToPrivateKey", "privateKey"),
		ServerName: o.Text("serverName", ""),
		AnyName:    o.Flag("insecure", false),
		SkipVerify: o.Flag("insecureSkipVerify", false),
	}
	if kind != "certificates" && kind != "tls" && files.CA == "" && files.Cert == "" {
		return false
	}
	switch {
	case files.SkipVerify:
		o.Warn("insecureSkipVerify", "the broker's certificate is not verified")
	case files.AnyName:
		o.Warn("insecure", "the name in the broker's certificate is not verified")
	}
	source := files.Source(tlsconf.Report(l.env.Logger))
	var err error
	cfg.TLS, err = source()
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
