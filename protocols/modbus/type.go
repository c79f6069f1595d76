package modbus

import (
	"encoding/json"
	"log/slog"
	"maps"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A TypeOption configures [Type].
type TypeOption func(*typeOptions)

type typeOptions struct {
	profiles Profiles
}

// WithProfiles makes the key "profile" of a slave stand for one of p. It can be
// given more than once.
func WithProfiles(p Profiles) TypeOption {
	return func(o *typeOptions) { maps.Copy(o.profiles, p) }
}

// Type returns the connector type "modbus" of configuration files, which have the
// form described in the package comment.
func Type(opts ...TypeOption) connector.Type {
	o := typeOptions{profiles: make(Profiles)}
	for _, opt := range opts {
		opt(&o)
	}
	return connector.Type{
		Name: "modbus",
		New: func(doc json.RawMessage, env connector.Env) (connector.Connector, error) {
			log := env.Logger
			if log == nil {
				log = slog.Default()
			}
			cfg, err := parseFile(conf.NewReader(log), doc, o.profiles, env.Dir, log)
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
