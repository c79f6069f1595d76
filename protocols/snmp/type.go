package snmp

import (
	"encoding/json"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// Type returns the connector type "snmp" of configuration files, which have the form
// described in the package comment.
func Type() connector.Type {
	return connector.Type{
		Name: "snmp",
		New: func(doc json.RawMessage, env connector.Env) (connector.Connector, error) {
			cfg, err := load(conf.NewReader(env.Logger), doc, env)
			if err != nil {
				return nil, err
			}
			return New(cfg), nil
		},
	}
}
