package modbus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// parseReserved compiles the parameters of the methods get and set: a text of
// settings "type=...;functionCode=...;objectsCount=...;address=...;value=...;" in
// any order, of which the last semicolon may be missing and value, if it comes
// last, may hold anything; or an object with these members.
func parseReserved(method string, params telemetry.Value, order Order, quirks bool) (*command, telemetry.Value, error) {
	settings, v, err := reservedSettings(params)
	if err != nil {
		return nil, v, err
	}
	c := Command{Method: method, Register: Register{Order: order, Quirks: quirks}}
	typ := settings["type"]
	count, err := reservedNumber(settings, "objectsCount", 1)
	if err != nil {
		return nil, v, err
	}
	function, err := reservedNumber(settings, "functionCode", -1)
	if err != nil {
		return nil, v, err
	}
	addr, err := reservedNumber(settings, "address", -1)
	if err != nil {
		return nil, v, err
	}
	c.Function = uint8(min(function, 255))
	c.Register.Address = uint16(addr)
	if err := c.Register.setFileType(typ, count); err != nil {
		return nil, v, err
	}
	if settings["byteOrder"] != "" || settings["wordOrder"] != "" {
		if c.Register.Order, err = parseOrder(settings["byteOrder"], settings["wordOrder"]); err != nil {
			return nil, v, err
		}
	}
	cmd, err := newCommand(c)
	if err != nil {
		return nil, v, err
	}
	if writes := cmd.write != 0; writes != (method == "set") {
		return nil, v, fmt.Errorf("functionCode: %d is not one to %s with", function, method)
	}
	return cmd, v, nil
}

func reservedNumber(settings map[string]string, key string, missing int) (int, error) {
	s, ok := settings[key]
	if !ok && missing >= 0 {
		return missing, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number from 0 to 65535", key, s)
	}
	return int(n), nil
}

// reservedSettings splits the parameters, and takes out the value to write.
func reservedSettings(params telemetry.Value) (map[string]string, telemetry.Value, error) {
	switch params.Kind() {
	case telemetry.KindString:
		return textSettings(params.String())
	case telemetry.KindJSON:
		return objectSettings(params)
	default:
		return nil, telemetry.Value{}, fmt.Errorf("parameters are not a text like %q", "type=16int;functionCode=3;objectsCount=1;address=0;")
	}
}

func textSettings(s string) (map[string]string, telemetry.Value, error) {
	settings := make(map[string]string)
	var v telemetry.Value
	for rest := s; strings.TrimSpace(rest) != ""; {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, v, fmt.Errorf("%q is not of the form key=value;", strings.TrimSpace(rest))
		}
		key = strings.TrimSpace(key)
		if key == "value" && !moreSettings(after) {
			v = telemetry.String(strings.TrimSuffix(after, ";"))
			break
		}
		value, next, _ := strings.Cut(after, ";")
		if key == "value" {
			v = telemetry.String(value)
		} else if err := addSetting(settings, key, strings.TrimSpace(value)); err != nil {
			return nil, v, err
		}
		rest = next
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
	case "type", "functionCode", "objectsCount", "address", "byteOrder", "wordOrder":
		return true
	default:
		return false
	}
}

func addSetting(settings map[string]string, key, value string) error {
	if !knownSetting(key) {
		return fmt.Errorf("unknown setting %q; there are type, functionCode, objectsCount, address, value, byteOrder and wordOrder", key)
	}
	settings[key] = value
	return nil
}

func objectSettings(given telemetry.Value) (map[string]string, telemetry.Value, error) {
	_, _, doc := given.Parts()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &m); err != nil {
		return nil, telemetry.Value{}, fmt.Errorf("parameters are not an object: %s", doc)
	}
	settings := make(map[string]string)
	var v telemetry.Value
	for key, raw := range m {
		if key == "value" {
			var err error
			if v, err = params.Value(raw); err != nil {
				return nil, v, err
			}
			continue
		}
		if err := addSetting(settings, key, strings.Trim(string(raw), `"`)); err != nil {
			return nil, v, err
		}
	}
	return settings, v, nil
}
