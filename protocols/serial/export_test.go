package serial

import (
	"encoding/json"
	"log/slog"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Convert converts a message of the connector's first device.
func Convert(c connector.Connector, m []byte) (*telemetry.Batch, error) {
	l := c.(*Connector).order[0]
	l.batch.Reset()
	err := l.convert(m)
	return &l.batch, err
}

// Answer converts a reply to the first call of the connector's first device.
func Answer(c connector.Connector, m []byte) (telemetry.Value, error) {
	l := c.(*Connector).order[0]
	return l.answers.value(l.cfg.RPCs[0].Reply, l.cfg.RPCs[0].ReplyType, m)
}

// Load reads a configuration.
func Load(doc string, log *slog.Logger) (Config, error) {
	return loader{}.load(conf.NewReader(log), json.RawMessage(doc))
}

// LoadWith reads a configuration with a reader.
func LoadWith(r *conf.Reader, doc json.RawMessage) error {
	_, err := loader{}.load(r, doc)
	return err
}

// Encode returns the bytes of a call's parameters.
func Encode(t ValueType, params string, little bool) ([]byte, error) {
	return encode(t, json.RawMessage(params), little)
}
