package opcua

import (
	"encoding/json"
	"log/slog"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// Type returns the connector type "opcua" of configuration files, which have the
// form described in the package comment.
func Type() connector.Type {
	return connector.Type{
		Name: "opcua",
		New: func(doc json.RawMessage, env connector.Env) (connector.Connector, error) {
			log := env.Logger
			if log == nil {
				log = slog.Default()
			}
			cfg, err := load(conf.NewReader(log), doc, env.Dir)
			if err != nil {
				return nil, err
			}
			if err := cfg.Validate(); err != nil {
				return nil, err
			}
			return New(cfg), nil
		},
	}
}
