package ftp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A TypeOption configures Type.
type TypeOption func(*loader)

// WithConverter makes a converter known to configuration files by name: it is what
// "converter" of a path refers to, by its "extension", if its "type" is custom. For
// each such path make is called with the "extension-config", which is nil if there is
// none.
func WithConverter(name string, make func(config json.RawMessage) (UplinkConverter, error)) TypeOption {
	return func(l *loader) { l.converters[name] = make }
}

// Type returns the connector type "ftp" of configuration files.
func Type(opts ...TypeOption) connector.Type { return NewType("ftp", readServer, opts...) }

// A ServerReader reads how to connect from the parameters and the security of a
// configuration file. It is for the protocols of this module whose files are those of
// this one.
type ServerReader func(o, security *conf.Object, cfg *Config, dir string, log *slog.Logger)

// NewType returns a connector type whose configuration files differ from those of Type
// in how to connect.
func NewType(name string, server ServerReader, opts ...TypeOption) connector.Type {
	l := loader{converters: make(map[string]func(json.RawMessage) (UplinkConverter, error)), server: server}
	for _, opt := range opts {
		opt(&l)
	}
	return connector.Type{
		Name: name,
		New: func(doc json.RawMessage, env connector.Env) (connector.Connector, error) {
			cfg, err := l.Load(conf.NewReader(env.Logger), doc, env)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if cfg.State == "" && env.Dir != "" {
				cfg.State = filepath.Join(env.Dir, "state", name+"-"+url.PathEscape(env.Name)+".jsonl")
			}
			return New(cfg), nil
		},
	}
}
