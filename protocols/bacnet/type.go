package bacnet

import (
	"encoding/json"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A TypeOption configures [Type].
type TypeOption func(*typeOptions)

type typeOptions struct {
	open Opener
}

// WithOpener makes connectors open links with open rather than with [Listen].
func WithOpener(open Opener) TypeOption {
	return func(o *typeOptions) { o.open = open }
}

// Type returns the connector type "bacnet" of configuration files, which have the
// form described in the package comment. Its connectors share the sockets of equal
// addresses.
func Type(opts ...TypeOption) connector.Type {
	var o typeOptions
	for _, opt := range opts {
		opt(&o)
	}
	sockets := NewSockets(o.open)
	return connector.Type{
		Name: "bacnet",
		New: func(doc json.RawMessage, env connector.Env) (connector.Connector, error) {
			cfg, err := load(conf.NewReader(env.Logger), doc, env.Dir)
			if err != nil {
				return nil, err
			}
			cfg.Sockets = sockets
			return New(cfg), nil
		},
	}
}
