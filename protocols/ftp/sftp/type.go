package sftp

import (
	"log/slog"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/protocols/ftp"
)

// New returns a connector for the files of cfg, of which everything counts but how to
// connect.
func New(server Config, cfg ftp.Config) *ftp.Connector {
	server = server.withDefaults()
	cfg.Dial, cfg.Server = Dialer(server), "sftp://"+server.addr()
	return ftp.New(cfg)
}

// Type returns the connector type "sftp" of configuration files.
func Type(opts ...ftp.TypeOption) connector.Type { return ftp.NewType("sftp", readServer, opts...) }

// readServer reads how to connect.
func readServer(o, security *conf.Object, cfg *ftp.Config, dir string, _ *slog.Logger) {
	c := Config{
		Host:        o.Text("host", "localhost"),
		Port:        int(o.Int("port", DefaultPort, 1, 65535)),
		User:        security.Text("username", ""),
		Password:    security.Text("password", ""),
		PrivateKey:  security.Text("pathToPrivateKey", ""),
		Passphrase:  security.Text("passphrase", ""),
		KnownHosts:  security.Text("knownHosts", ""),
		Fingerprint: security.Text("hostKeyFingerprint", ""),
		SkipVerify:  security.Flag("insecureSkipVerify", false),
		Dir:         dir, Timeout: cfg.Timeout,
	}
	security.Unused("type")
	o.Unused("TLSSupport")
	if c.SkipVerify && c.KnownHosts == "" && c.Fingerprint == "" {
		security.Warn("insecureSkipVerify", "the key of the server is not verified")
	}
	_, err := c.client()
	security.Fail("", err)
	cfg.Dial, cfg.Server = Dialer(c), "sftp://"+c.addr()
}
