package rest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An inquiry is a compiled AttributeRequest.
type inquiry struct {
	path    string
	client  bool
	timeout time.Duration
	device  name
	names   *expr.Template
}

func newInquiry(q *AttributeRequest, p problems) *inquiry {
	c := &inquiry{
		path: q.Path, client: q.Client, timeout: q.Timeout,
		device: compileName(Expression{Text: q.Device}, false, "deviceNameExpression", p),
		names:  expr.Compile(q.Names),
	}
	if q.Names == "" {
		p.add("attributeNameExpression", errMissing)
	}
	p.add("attributeNameExpression", c.names.Check())
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	return c
}

func (q *inquiry) action(a *AttributeRequest) *action {
	return &action{auth: compileAuth(a.Auth), serve: q.serve}
}

// serve asks the platform for the attributes that a request names.
func (q *inquiry) serve(r *run, w http.ResponseWriter, req *http.Request, vars []Param) answer {
	m, free, err := r.message(w, req, q.path, vars)
	defer free()
	if err != nil {
		return failed(err)
	}
	var d document
	root, err := d.data(&m, false)
	if err != nil {
		return failed(err)
	}
	if items := root.GetArray(); len(items) > 0 {
		root = items[0]
	}
	device, ok := q.device.resolve(&d, root)
	query := connector.AttributeQuery{Device: device, Shared: !q.client, Keys: q.keys(root)}
	if !ok || device == "" || len(query.Keys) == 0 {
		return answer{status: http.StatusUnprocessableEntity, reason: "the data does not name a device and attributes"}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the request is read
	ctx, cancel := context.WithTimeout(req.Context(), q.timeout)
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel)
	defer stop()
	points, err := r.host.Attributes(ctx, query)
	switch {
	case err == nil:
		return answer{device: device, body: attributesJSON(points), contentType: jsonType}
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil && r.ctx.Err() == nil:
		return answer{status: http.StatusRequestTimeout, device: device, reason: "the platform did not answer in time"}
	}
	return answer{status: http.StatusServiceUnavailable, device: device, reason: err.Error()}
}

// keys returns the names of attributes that data has.
func (q *inquiry) keys(root *fastjson.Value) []string {
	var keys []string
	add := func(text string) {
		for key := range strings.SplitSeq(text, ",") {
			if key = strings.TrimSpace(key); key != "" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	if q.names.Constant() {
		add(q.names.String())
	}
	for _, path := range q.names.Paths() {
		v := path.First(root)
		switch {
		case v == nil || v.Type() == fastjson.TypeNull:
		case v.Type() == fastjson.TypeArray:
			for _, item := range v.GetArray() {
				add(string(expr.AppendText(nil, item)))
			}
		default:
			add(string(expr.AppendText(nil, v)))
		}
	}
	return keys
}

// attributesJSON returns attributes as an object.
func attributesJSON(points []telemetry.Point) []byte {
	doc := []byte("{")
	for i, p := range points {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(telemetry.AppendString(doc, p.Key), ':')
		doc = p.Value.AppendJSON(doc)
	}
	return append(doc, '}')
}
