package bacnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The texts of the reserved methods' errors are those of the reference gateway.
const (
	schemaGet = "get objectType=<objectType>;objectId=<objectId>;propertyId=<propertyId>;"
	schemaSet = "set objectType=<objectType>;objectId=<objectId>;propertyId=<propertyId>;priority=<priority>;value=<value>;"
	noParams  = "No params section found in RPC request"
)

// refuse returns the reply to a call that cannot be carried out.
func (c *Connector) refuse(r connector.RPCRequest, err error) (telemetry.Value, error) {
	if !c.cfg.WrapResults {
		return telemetry.Value{}, fmt.Errorf("bacnet: %s %s: %w", r.Device, r.Method, err)
	}
	doc := telemetry.AppendString([]byte(`{"result":{"error":`), err.Error())
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, "}}"...))), nil
}

// wrap returns a result as the reference gateway does: in Python's notation of a
// dictionary, in which a value that was read is text.
func wrap(v telemetry.Value, write bool, failed string) telemetry.Value {
	text := "{'error': " + pythonText(failed) + "}"
	switch {
	case failed != "":
	case write:
		text = "{'value': " + python(v) + "}"
	default:
		text = "{'value': " + pythonText(shown(v)) + "}"
	}
	doc := telemetry.AppendString([]byte(`{"result":`), text)
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, '}')))
}

// shown returns the text of a value that was read.
func shown(v telemetry.Value) string {
	switch v.Kind() {
	case telemetry.KindNone:
		return "None"
	case telemetry.KindBool:
		if v.Bool() {
			return "active"
		}
		return "inactive"
	default:
		return v.String()
	}
}

// python returns a value in Python's notation.
func python(v telemetry.Value) string {
	switch v.Kind() {
	case telemetry.KindNone:
		return "()" // of a null
	case telemetry.KindBool:
		if v.Bool() {
			return "True"
		}
		return "False"
	case telemetry.KindString:
		return pythonText(v.String())
	default:
		return v.String()
	}
}

func pythonText(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	return quote + strings.NewReplacer(`\`, `\\`, quote, `\`+quote, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + quote
}

// cause returns what a reply says of an error: the reason alone, as the call has
// named the device.
func (d *device) cause(ctx context.Context, err error) string {
	var failed *wire.Error
	var reject wire.Reject
	var abort wire.Abort
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failed):
		return failed.Error()
	case errors.As(err, &reject):
		return reject.Error()
	case errors.As(err, &abort):
		return abort.Error()
	case errors.Is(err, ErrTimeout):
		return ErrTimeout.Error()
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return "Timeout rpc has been reached for " + d.subscriberName()
	default:
		return err.Error()
	}
}

func (d *device) subscriberName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subscriber.Name
}

// parseParams returns the parameters of a call, a JSON value as it is: what is wrapped
// as {"value": ...} is taken out by who needs it. No parameters are the zero Value.
func parseParams(doc json.RawMessage) (telemetry.Value, error) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return telemetry.Value{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var x any
	if err := dec.Decode(&x); err != nil {
		return telemetry.Value{}, fmt.Errorf("parameters are not JSON: %w", err)
	}
	if m, ok := x.(map[string]any); ok && len(m) == 0 {
		return telemetry.Value{}, nil
	}
	return telemetry.ValueOf(x)
}

// unwrap returns the value of {"value": …}, and any other value as it is.
func unwrap(v telemetry.Value) telemetry.Value {
	var m map[string]json.RawMessage
	if v.Kind() != telemetry.KindJSON || json.Unmarshal([]byte(v.String()), &m) != nil || len(m) != 1 || m["value"] == nil {
		return v
	}
	inner, err := parseParams(m["value"])
	if err != nil {
		return v
	}
	return inner
}

// parseReserved returns what get or set has to do, and the value to write.
func parseReserved(method string, v telemetry.Value) (*command, telemetry.Value, error) {
	if v.Kind() == telemetry.KindNone || v.String() == "" {
		return nil, v, errors.New(noParams) //nolint:staticcheck // the reference gateway's text
	}
	params, value := reservedParams(v)
	set := method == "set"
	object, err := wire.ParseObjectType(params["objectType"])
	if err == nil && params["propertyId"] == "" {
		err = errors.New("no property")
	}
	instance, bad := strconv.ParseUint(params["objectId"], 10, 22)
	if err = errors.Join(err, bad); err != nil || set && value.Kind() == telemetry.KindNone && params["priority"] == "" {
		schema := schemaGet
		if set {
			schema = schemaSet
		}
		return nil, v, fmt.Errorf("The requested RPC does not match with the schema: %s", schema) //nolint:staticcheck // the reference gateway's text
	}
	c := Command{Method: method, Object: wire.NewObjectID(object, uint32(instance)), Write: set, Kind: params["dataType"]}
	if c.Property, c.Element, err = parseProperty(params["propertyId"]); err != nil {
		return nil, v, err
	}
	if s := params["priority"]; s != "" && set {
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil || n < 1 || n > 16 {
			return nil, v, fmt.Errorf("priority: %q is not from 1 to 16", s)
		}
		c.Priority = uint8(n)
	}
	cmd, err := newCommand(c)
	return cmd, value, err
}

// reservedParams returns the parameters of get and set: of a text like k=v;k=v; or of
// an object.
func reservedParams(v telemetry.Value) (params map[string]string, value telemetry.Value) {
	params = make(map[string]string)
	if v.Kind() == telemetry.KindJSON {
		var m map[string]json.RawMessage
		if json.Unmarshal([]byte(v.String()), &m) != nil {
			return params, value
		}
		for key, raw := range m {
			x, err := parseParams(raw)
			if err != nil || x.Kind() == telemetry.KindNone {
				continue
			}
			params[key] = x.String()
			if key == "value" {
				value = x
			}
		}
		return params, value
	}
	for part := range strings.SplitSeq(v.String(), ";") {
		key, s, ok := strings.Cut(part, "=")
		if !ok || s == "" {
			continue
		}
		params[strings.TrimSpace(key)] = s
		if strings.TrimSpace(key) == "value" {
			value = telemetry.String(s)
		}
	}
	return params, value
}

// parseProperty reads a property with the element of an array: priorityArray[8].
func parseProperty(s string) (wire.Property, int, error) {
	name, rest, ok := strings.Cut(strings.TrimSpace(s), "[")
	p, err := wire.ParseProperty(name)
	if err != nil || !ok {
		return p, 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 31)
	if err != nil || !strings.HasSuffix(rest, "]") {
		return 0, 0, fmt.Errorf("%q is not a property with the number of an element", s)
	}
	if n == 0 {
		return p, -1, nil
	}
	return p, int(n), nil
}
