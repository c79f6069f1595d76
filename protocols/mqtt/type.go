package mqtt

import (
	"encoding/json"
	"log/slog"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A TypeOption configures Type.
type TypeOption func(*typeOptions)

type typeOptions struct {
	converters map[string]func(config json.RawMessage) (UplinkConverter, error)
}

// WithConverter makes a converter known to configuration files by name: it is
// what their "extension" refers to.
func WithConverter(name string, c UplinkConverter) TypeOption {
	return WithConverterFunc(name, func(json.RawMessage) (UplinkConverter, error) { return c, nil })
}

// WithConverterFunc makes a kind of converter known to configuration files by
// name. For each mapping that refers to it, make is called with the mapping's
// "extensionConfig", which is nil if there is none.
func WithConverterFunc(name string, make func(config json.RawMessage) (UplinkConverter, error)) TypeOption {
	return func(o *typeOptions) { o.converters[name] = make }
}

// Type returns the connector type "mqtt" of configuration files. Converters
// that files refer to by name are given with WithConverter.
func Type(opts ...TypeOption) connector.Type {
	o := typeOptions{converters: make(map[string]func(json.RawMessage) (UplinkConverter, error))}
	for _, opt := range opts {
		opt(&o)
	}
	return connector.Type{
		Name: "mqtt",
		New: func(raw json.RawMessage, env connector.Env) (connector.Connector, error) {
			if env.Logger == nil {
				env.Logger = slog.Default()
			}
			cfg, err := load(conf.NewReader(env.Logger), raw, env, o)
			if err != nil {
				return nil, err
			}
			return New(cfg), nil
		},
	}
}
