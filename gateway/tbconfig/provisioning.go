package tbconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/provision"
)

// credentialsFile is where the original keeps what the platform has given, in
// the folder of tb_gateway.json.
const credentialsFile = ".credentials"

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// apply makes c ask the platform for credentials, if there are none yet, before
// its first connection.
func (p *Provisioning) apply(c *tbclient.Config, dir string) error {
	path := filepath.Join(dir, credentialsFile)
	if (p.Key == "" || p.Secret == "") && !exists(path) {
		return errors.New("thingsboard.provisioning: provisionDeviceKey and provisionDeviceSecret are needed")
	}
	kind := provision.Type(p.Type)
	switch kind {
	case "", provision.AccessToken, provision.MQTTBasic, provision.X509:
	default:
		return fmt.Errorf("thingsboard.provisioning.type: %q is not %s, %s or %s", p.Type, provision.AccessToken, provision.MQTTBasic, provision.X509)
	}
	if p.CACert != "" && c.TLSFiles == nil {
		c.TLSFiles = &tbclient.TLSFiles{Dir: dir, CA: p.CACert, CheckEvery: defaultCertLook}
		if err := c.TLSFiles.Check(); err != nil {
			return fmt.Errorf("thingsboard.provisioning: %w", err)
		}
	}
	req := provision.Request{
		Broker: c.Broker, Proxy: c.Proxy, Key: p.Key, Secret: p.Secret, DeviceName: p.DeviceName, Type: kind,
		Token: p.AccessToken, ClientID: p.ClientID, Username: p.Username, Password: p.Password, CACert: p.CACert,
		Logger: c.Logger,
	}
	c.Credentials = func(ctx context.Context, cfg *tbclient.Config) error {
		r := req
		r.TLS = cfg.TLS
		credentials, err := provision.LoadOrRequest(ctx, path, r)
		if credentials.Type == "" {
			return err
		}
		if err != nil {
			cfg.Logger.Error("credentials from the platform could not be saved", "file", path, "error", err)
		}
		return credentials.Apply(cfg)
	}
	return nil
}
