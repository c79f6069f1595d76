package request

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Convert converts a body as the connector's first endpoint does.
func Convert(c connector.Connector, contentType string, body []byte) (*telemetry.Batch, error) {
	e := c.(*Connector).plan.endpoints[0]
	u := &upload{run: &run{c: c.(*Connector)}, endpoint: e, batch: new(telemetry.Batch)}
	resp := &Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}, Body: body}
	var p fastjson.Parser
	root, format, err := e.parse(&p, resp)
	if err != nil {
		return nil, err
	}
	if err := u.items(nil, root, format, nil); err != nil { //nolint:staticcheck // nothing is submitted
		return nil, err
	}
	return u.batch, u.problem
}

// A Converter converts messages without a connector, with the memory of the last one.
type Converter struct {
	json *jsonConverter
	root *fastjson.Value
	out  telemetry.Batch
}

// NewConverter returns a converter of a message.
func NewConverter(cfg JSONConfig, message string) *Converter {
	return &Converter{json: cfg.compile(false, func(string, error) {}), root: fastjson.MustParse(message)}
}

// Convert converts the message.
func (c *Converter) Convert() error {
	c.out.Reset()
	return c.json.convert(c.root, false, &c.out)
}

// Decode returns a body as JSON.
func Decode(format string, comma rune, header bool, body []byte) ([]byte, error) {
	return decoder{comma: comma, noHeader: !header}.decode(format, body)
}

// FormatOf returns the format that a content type says.
func FormatOf(contentType string) string { return decoder{}.formatOf(contentType) }

// Running reports whether c runs.
func Running(c *Connector) bool { return c.run.Load() != nil }

// NextLink returns the next page of Link headers.
func NextLink(headers ...string) string { return nextLink(headers) }

// RetryAfter reads the header of this name.
func RetryAfter(header string, now time.Time) time.Duration { return retryAfter(header, now) }

// Body expands a body's template for an attribute.
func Body(template, device string, a telemetry.Point) (string, error) {
	return compileBody(template).expand(updateVariables(device, a))
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
