package snmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// reserved makes a command of the parameters of a reserved method: a text of settings
// "method=...;oid=...;value=...;type=...;" in any order, of which the last semicolon
// may be missing and value, if it comes last, may hold anything; or an object with
// these members. method can be left out if the call has its name.
func (t *target) reserved(method string, params telemetry.Value) (*command, telemetry.Value, error) {
	settings, value, err := reservedSettings(params)
	if err != nil {
		return nil, value, err
	}
	if named := settings["method"]; len(named) > 0 {
		if set := strings.EqualFold(method, "set"); set != (strings.EqualFold(named[0], "set") || strings.EqualFold(named[0], "multiset")) {
			return nil, value, fmt.Errorf("method: %q is not one to %s with", named[0], method)
		}
		method = named[0]
	}
	c := Command{Name: "reserved"}
	if c.Method, err = parseMethod(method); err != nil {
		return nil, value, fmt.Errorf("method: %w", err)
	}
	c.OIDs, c.Scalars = settings["oid"], settings["scalarOid"]
	if c.Method == BulkGet {
		c.OIDs = append(c.OIDs, settings["repeatingOid"]...)
	}
	if typ := settings["type"]; len(typ) > 0 {
		if c.Syntax, err = parseType(typ[0]); err != nil {
			return nil, value, fmt.Errorf("type: %w", err)
		}
	}
	cmd, err := newCommand(t.device, t.names, c)
	if err != nil {
		return nil, value, err
	}
	return cmd, value, nil
}

// reservedSettings splits the parameters, and takes out the value to write.
func reservedSettings(params telemetry.Value) (map[string][]string, telemetry.Value, error) {
	switch params.Kind() {
	case telemetry.KindString:
		return textSettings(params.String())
	case telemetry.KindJSON:
		return objectSettings(params.String())
	default:
		return nil, telemetry.Value{}, errors.New(`parameters are neither a text like "method=get;oid=1.3.6.1.2.1.1.3.0;" nor an object`)
	}
}

func textSettings(s string) (map[string][]string, telemetry.Value, error) {
	settings := make(map[string][]string)
	var v telemetry.Value
	for rest := s; strings.TrimSpace(rest) != ""; {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, v, fmt.Errorf("%q is not of the form key=value;", strings.TrimSpace(rest))
		}
		key = strings.TrimSpace(key)
		if key == "value" && !moreSettings(after) {
			return settings, telemetry.String(strings.TrimSuffix(after, ";")), nil
		}
		value, next, _ := strings.Cut(after, ";")
		rest = next
		switch {
		case key == "value":
			v = telemetry.String(value)
		case !knownSetting(key):
			return nil, v, unknownSetting(key)
		default:
			for part := range strings.SplitSeq(value, ",") {
				settings[key] = append(settings[key], strings.TrimSpace(part))
			}
		}
	}
	return settings, v, nil
}

// moreSettings reports whether a setting other than the value follows in s.
func moreSettings(s string) bool {
	for _, part := range strings.Split(s, ";")[1:] {
		key, _, ok := strings.Cut(part, "=")
		if ok && knownSetting(strings.TrimSpace(key)) {
			return true
		}
	}
	return false
}

func knownSetting(key string) bool {
	switch key {
	case "method", "oid", "scalarOid", "repeatingOid", "type":
		return true
	default:
		return false
	}
}

func unknownSetting(key string) error {
	return fmt.Errorf("unknown setting %q; there are method, oid, scalarOid, repeatingOid, value and type", key)
}

func objectSettings(doc string) (map[string][]string, telemetry.Value, error) {
	var v telemetry.Value
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &m); err != nil {
		return nil, v, fmt.Errorf("parameters are not an object: %s", doc)
	}
	settings := make(map[string][]string)
	for key, raw := range m {
		var one string
		var many []string
		var err error
		switch {
		case key == "value":
			v, err = params.Value(raw)
		case !knownSetting(key):
			err = unknownSetting(key)
		case json.Unmarshal(raw, &one) == nil:
			settings[key] = []string{one}
		case json.Unmarshal(raw, &many) == nil:
			settings[key] = many
		default:
			err = fmt.Errorf("%s: %s is neither text nor a list of texts", key, raw)
		}
		if err != nil {
			return nil, v, err
		}
	}
	return settings, v, nil
}
