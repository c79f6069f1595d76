package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Convert converts a message of the connector's first endpoint.
func Convert(c connector.Connector, m Message, out *telemetry.Batch) error {
	cc := c.(*Connector)
	for _, r := range cc.plan.routes.static {
		for _, a := range r.actions {
			return a.intake.convert(m, out)
		}
	}
	return errMissing
}

// Outgoing returns the URL and the body of the first request for an attribute.
func Outgoing(c connector.Connector, device string, p telemetry.Point) (address string, content []byte, err error) {
	o := c.(*Connector).plan.updates[0].outgoing
	get := updateLookup(device, p)
	if address, err = o.url.fillURL(get); err != nil {
		return "", nil, err
	}
	content, err = o.value.fill(get)
	return address, content, err
}

// LoadWith reads a configuration with a reader.
func LoadWith(r *conf.Reader, doc json.RawMessage) error {
	_, err := loader{}.load(r, doc)
	return err
}

// Load reads a configuration.
func Load(doc string, opts ...TypeOption) (Config, error) {
	l := loader{converters: make(map[string]func(json.RawMessage) (UplinkConverter, error))}
	for _, opt := range opts {
		opt(&l)
	}
	return l.load(conf.NewReader(nil), json.RawMessage(doc))
}

// Route returns the variables that a path has for a URL.
func Route(path string, req *http.Request) (vars []Param, ok bool, err error) {
	var rt router
	r, err := rt.route(path)
	if err != nil {
		return nil, false, err
	}
	found, vars := rt.find(req.URL)
	return vars, found == r, nil
}

// Fill fills in a template with texts.
func Fill(template string, values map[string]telemetry.Value) (string, error) {
	b, err := compileText(template, false).fill(func(name string) (telemetry.Value, error) { return values[name], nil })
	return string(b), err
}

// SendOnce sends a request.
func SendOnce(ctx context.Context, q Request) ([]byte, error) {
	var errs []error
	return newOutgoing(q, problems{list: &errs}).send(ctx, updateLookup("D", telemetry.Point{}))
}
