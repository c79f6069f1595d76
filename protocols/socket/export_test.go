package socket

import (
	"encoding/json"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Convert converts a message of the connector's first device.
func Convert(c connector.Connector, m []byte) (*telemetry.Batch, error) {
	var b telemetry.Batch
	err := c.(*Connector).devices[0].convert(&peer{addr: "127.0.0.1:9"}, m, &b)
	return &b, err
}

// LoadWith reads a configuration with a reader.
func LoadWith(r *conf.Reader, doc json.RawMessage) error {
	_, err := loader{}.load(r, doc)
	return err
}

// Load reads a configuration.
func Load(doc string) (Config, error) {
	return loader{}.load(conf.NewReader(nil), json.RawMessage(doc))
}

// Code decodes and encodes texts.
func Code(name string) (decode func(b string) (string, error), encode func(text string) ([]byte, error), err error) {
	e, err := lookupEncoding(name)
	return func(b string) (string, error) {
		out, err := e.decode(nil, []byte(b))
		return string(out), err
	}, e.encode, err
}

// Matches reports whether a pattern matches an address.
func Matches(pattern, addr string) (bool, error) {
	p, err := compilePattern(pattern)
	return err == nil && p.match(addr), err
}

// Asks reports whether an expression matches a message.
func Asks(expression, message string) (bool, error) {
	m, err := compileMatch(expression)
	return err == nil && m.matches([]byte(message)), err
}
