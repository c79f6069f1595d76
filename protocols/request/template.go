package request

import (
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A variable is what a placeholder stands for, as text and as JSON.
type variable struct{ text, json string }

func textVariable(s string) variable {
	return variable{s, string(telemetry.AppendString(nil, s))}
}

func valueVariable(v telemetry.Value) variable {
	if v.Kind() == telemetry.KindNone {
		return variable{"null", "null"}
	}
	return variable{v.String(), string(v.AppendJSON(nil))}
}

func jsonVariable(v *fastjson.Value) variable {
	return variable{string(expr.AppendText(nil, v)), string(v.MarshalTo(nil))}
}

// A lookup returns what the placeholder of a name stands for.
type lookup func(name string) (variable, error)

func unknown(name string) (variable, error) {
	return variable{}, fmt.Errorf("placeholder ${%s} has no value", name)
}

// pollVariables are the placeholders of an endpoint.
func pollVariables(now, last time.Time) lookup {
	return func(name string) (variable, error) {
		base, unit, _ := strings.Cut(name, ".")
		var t time.Time
		switch base {
		case "now":
			t = now
		case "last":
			t = last
		default:
			return unknown(name)
		}
		switch unit {
		case "", "ms":
			return valueVariable(telemetry.Int(t.UnixMilli())), nil
		case "s":
			return valueVariable(telemetry.Int(t.Unix())), nil
		case "iso":
			return textVariable(t.UTC().Format(time.RFC3339)), nil
		default:
			return unknown(name)
		}
	}
}

// updateVariables are the placeholders of an update of attributes.
func updateVariables(device string, a telemetry.Point) lookup {
	return func(name string) (variable, error) {
		switch name {
		case "deviceName":
			return textVariable(device), nil
		case "attributeKey":
			return textVariable(a.Key), nil
		case "attributeValue":
			return valueVariable(a.Value), nil
		default:
			return unknown(name)
		}
	}
}

// callVariables are the placeholders of a remote procedure call.
func callVariables(req connector.RPCRequest, params *fastjson.Value) lookup {
	return func(name string) (variable, error) {
		switch name {
		case "deviceName":
			return textVariable(req.Device), nil
		case "methodName":
			return textVariable(req.Method), nil
		case "requestId":
			return valueVariable(telemetry.Int(req.ID)), nil
		}
		path, ok := strings.CutPrefix(name, "params")
		var v *fastjson.Value
		switch {
		case !ok:
		case path == "":
			v = params
		case path[0] == '.':
			v = expr.CompilePath(path[1:]).First(params)
		case path[0] == '[':
			v = expr.CompilePath(path).First(params)
		}
		if v == nil {
			return unknown(name)
		}
		return jsonVariable(v), nil
	}
}

// messageVariables are the values of a message.
func messageVariables(root *fastjson.Value) lookup {
	return func(name string) (variable, error) {
		v := expr.CompilePath(name).First(root)
		if v == nil || v.Type() == fastjson.TypeNull {
			return unknown(name)
		}
		return jsonVariable(v), nil
	}
}

// urlText returns the URL that t makes. Values are percent-encoded.
func urlText(t *expr.Template, look lookup) (string, error) {
	return t.Expand(func(name string, _ bool) (string, error) {
		v, err := look(name)
		return escape(v.text), err
	})
}

// escape percent-encodes all but the characters that mean nothing in a URL.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&0xF])
	}
	return b.String()
}
