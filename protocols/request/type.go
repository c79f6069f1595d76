package request

import (
	"encoding/json"
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A TypeOption configures Type.
type TypeOption func(*loader)

// WithConverter makes a converter known to configuration files by name: it is what
// "extension" of a converter refers to. For each such converter make is called with its
// "extensionConfig", which is nil if there is none.
func WithConverter(name string, make func(config json.RawMessage) (UplinkConverter, error)) TypeOption {
	return func(l *loader) { l.converters[name] = make }
}

// Type returns the connector type "request" of configuration files.
func Type(opts ...TypeOption) connector.Type {
	l := loader{converters: make(map[string]func(json.RawMessage) (UplinkConverter, error))}
	for _, opt := range opts {
		opt(&l)
	}
	return connector.Type{
		Name: "request",
		New: func(doc json.RawMessage, env connector.Env) (connector.Connector, error) {
			l := l
			l.dir, l.log = env.Dir, env.Logger
			cfg, err := l.load(conf.NewReader(env.Logger), doc)
			if err != nil {
				return nil, fmt.Errorf("request: %w", err)
			}
			return New(cfg), nil
		},
	}
}
