package ftp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An update is a compiled Update.
type update struct {
	Update
	device *expr.Regexp
	value  *expr.Template
	json   bool
}

// A call is a compiled RPC.
type call struct {
	RPC
	device, method *expr.Regexp
	value          *expr.Template
}

func compileUpdate(u Update) (update, error) {
	c := update{Update: u, json: kindOf(u.Path) == jsonFile}
	var errs [2]error
	if u.Path == "" {
		errs[0] = errors.New("path: is missing")
	}
	c.device, errs[1] = filter("deviceNameFilter", u.Device)
	text := u.Value
	if c.json {
		text = strings.ReplaceAll(text, "'", `"`)
	}
	c.value = expr.Compile(text)
	return c, errors.Join(errs[:]...)
}

func compileCall(r RPC) (call, error) {
	c := call{RPC: r, value: expr.Compile(r.Value)}
	var errs [2]error
	c.device, errs[0] = filter("deviceNameFilter", r.Device)
	c.method, errs[1] = filter("methodFilter", r.Method)
	return c, errors.Join(errs[:]...)
}

// filter compiles a regular expression, which is .* if it is empty.
func filter(key, text string) (*expr.Regexp, error) {
	if text == "" {
		text = ".*"
	}
	re, err := expr.CompileRegexp(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return re, nil
}

func whole(re *expr.Regexp, text string) bool {
	found, ok := re.FindWhole(text)
	return ok && found == text
}

// UpdateAttributes implements connector.AttributeUpdater. The attributes are written
// to the files that are configured.
func (c *Connector) UpdateAttributes(ctx context.Context, u connector.AttributeUpdate) error {
	r := c.run.Load()
	if r == nil {
		return errNotRunning
	}
	var errs []error
	for i := range c.all.updates {
		up := &c.all.updates[i]
		if !whole(up.device, u.Device) {
			continue
		}
		for _, a := range u.Attributes {
			err := r.do(ctx, func(ctx context.Context, s Session) error { return up.write(ctx, s, a) })
			if err != nil {
				errs = append(errs, fmt.Errorf("ftp: attribute %q of device %q: file %q: %w", a.Key, u.Device, up.Path, err))
			}
		}
	}
	return errors.Join(errs...)
}

// write writes an attribute.
func (u *update) write(ctx context.Context, s Session, a telemetry.Point) error {
	text, err := u.value.Expand(func(name string, inQuotes bool) (string, error) {
		switch name = strings.TrimSpace(name); {
		case name != "attributeKey" && name != "attributeValue":
			return "", fmt.Errorf("valueExpression: ${%s} is neither attributeKey nor attributeValue", name)
		case name == "attributeKey":
			return u.quote(a.Key, inQuotes), nil
		case u.json && !inQuotes:
			return string(a.Value.AppendJSON(nil)), nil
		default:
			return u.quote(a.Value.String(), inQuotes), nil
		}
	})
	if err != nil {
		return err
	}
	switch {
	case !u.json && u.Append:
		return s.Write(ctx, u.Path, []byte("\n"+text), true)
	case u.json && !json.Valid([]byte(text)):
		return fmt.Errorf("%s is not JSON", text)
	default:
		return s.Write(ctx, u.Path, []byte(text), false)
	}
}

// quote returns a text as it stands in a document: with quotes unless it is between
// some.
func (u *update) quote(text string, inQuotes bool) string {
	if !u.json {
		return text
	}
	quoted := string(telemetry.AppendString(nil, text))
	if inQuotes {
		return quoted[1 : len(quoted)-1]
	}
	return quoted
}

// HandleRPC implements connector.RPCHandler. Besides the configured methods there are
//
//	get  filePath=stations/a.csv;
//	set  filePath=stations/a.csv;value=text;
//
// and, without a device, read and write with an object whose valueExpression is a path,
// or path;text.
func (c *Connector) HandleRPC(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	r := c.run.Load()
	if r == nil {
		return telemetry.Value{}, errNotRunning
	}
	v, err := r.handle(ctx, req)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("ftp: call %q of device %q: %w", req.Method, req.Device, err)
	}
	return v, nil
}

func (r *run) handle(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	if req.Device == "" {
		return r.own(ctx, req)
	}
	if writes := req.Method == "set"; writes || req.Method == "get" {
		if fields := reserved(req.Params); fields["filePath"] != "" {
			if writes {
				return r.write(ctx, fields["filePath"], fields["value"])
			}
			return r.fetch(ctx, fields["filePath"])
		}
	}
	for i := range r.c.all.calls {
		call := &r.c.all.calls[i]
		if !whole(call.device, req.Device) || !whole(call.method, req.Method) {
			continue
		}
		text, err := call.text(req)
		if err != nil {
			return telemetry.Value{}, err
		}
		return r.perform(ctx, call.Write || strings.HasPrefix(req.Method, "write"), text)
	}
	return telemetry.Value{}, errors.New("no remote procedure call is configured for it")
}

// own handles a call of the connector itself.
func (r *run) own(ctx context.Context, req connector.RPCRequest) (telemetry.Value, error) {
	var params struct{ ValueExpression string }
	if err := json.Unmarshal(req.Params, &params); err != nil || params.ValueExpression == "" {
		if err = json.Unmarshal(req.Params, &params.ValueExpression); err != nil {
			return telemetry.Value{}, errors.New("wanted is an object with a valueExpression")
		}
	}
	switch req.Method {
	case "read", "get":
		return r.perform(ctx, false, params.ValueExpression)
	case "write", "set":
		return r.perform(ctx, true, params.ValueExpression)
	default:
		return telemetry.Value{}, errors.New("there are read and write only")
	}
}

// text returns what the value's template makes of the call.
func (c *call) text(req connector.RPCRequest) (string, error) {
	doc := append([]byte(`{"method":`), telemetry.AppendString(nil, req.Method)...)
	if params := bytes.TrimSpace(req.Params); len(params) > 0 {
		doc = append(append(doc, `,"params":`...), params...)
	}
	root, err := fastjson.ParseBytes(append(doc, '}'))
	if err != nil {
		return "", errors.New("the parameters are not JSON")
	}
	var s expr.Scratch
	text, ok := s.String(c.value, root)
	if !ok {
		return "", fmt.Errorf("the parameters have no value for %q", c.value)
	}
	return text, nil
}

// perform reads the file that a text names, or writes as path;text says.
func (r *run) perform(ctx context.Context, writes bool, text string) (telemetry.Value, error) {
	if !writes {
		return r.fetch(ctx, text)
	}
	name, value, ok := strings.Cut(strings.ReplaceAll(text, "'", ""), ";")
	if !ok {
		return telemetry.Value{}, errors.New("wanted is path;text")
	}
	value, _, _ = strings.Cut(value, ";")
	return r.write(ctx, name, value)
}

// maxReply is the largest file that a call returns.
const maxReply = 1 << 20

func (r *run) fetch(ctx context.Context, name string) (v telemetry.Value, err error) {
	var data []byte
	err = r.do(ctx, func(ctx context.Context, s Session) error {
		data, err = s.Read(ctx, name, 0, maxReply)
		return err
	})
	if err != nil {
		return v, fmt.Errorf("file %q: %w", name, err)
	}
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	return result(telemetry.AppendString(nil, string(data)))
}

// echoed is how long a text may be that the answer repeats, in characters.
const echoed = 80

// write writes a text. What the server says against it is the result, as that of the
// Python gateway.
func (r *run) write(ctx context.Context, name, text string) (telemetry.Value, error) {
	err := r.do(ctx, func(ctx context.Context, s Session) error { return s.Write(ctx, path.Clean(name), []byte(text), false) })
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return result([]byte(strconv.Quote(`{"error": ` + string(telemetry.AppendString(nil, refused.Error())) + `}`)))
	case err != nil:
		return telemetry.Value{}, fmt.Errorf("file %q: %w", name, err)
	case utf8.RuneCountInString(text) >= echoed:
		return result([]byte("true"))
	default:
		return result(append(telemetry.AppendString([]byte(`{"value":`), text), '}'))
	}
}

func result(doc []byte) (telemetry.Value, error) {
	return telemetry.JSON(append(append([]byte(`{"result":`), doc...), '}'))
}

// reserved returns the parameters key=value; of a call.
func reserved(params json.RawMessage) map[string]string {
	fields := make(map[string]string)
	var text string
	if json.Unmarshal(params, &text) == nil {
		for field := range strings.SplitSeq(text, ";") {
			if key, value, ok := strings.Cut(field, "="); ok {
				fields[strings.TrimSpace(key)] = value
			}
		}
		return fields
	}
	var object map[string]string
	if json.Unmarshal(params, &object) == nil {
		return object
	}
	return fields
}
