// Package params reads the parameters of remote procedure calls.
package params

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Value returns the value in the parameters of a call: a JSON value, which may be
// wrapped as {"value": ...}. No parameters, and an empty object, are the zero Value. A
// whole number beyond int64 becomes text, so that it stays exact.
func Value(doc json.RawMessage) (telemetry.Value, error) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return telemetry.Value{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var x any
	if err := dec.Decode(&x); err != nil {
		return telemetry.Value{}, fmt.Errorf("parameters are not JSON: %w", err)
	}
	if m, ok := x.(map[string]any); ok && len(m) == 1 {
		if inner, ok := m["value"]; ok {
			x = inner
		}
	}
	if m, ok := x.(map[string]any); ok && len(m) == 0 {
		return telemetry.Value{}, nil
	}
	if n, ok := x.(json.Number); ok {
		if _, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
			if _, err := n.Int64(); err != nil {
				return telemetry.String(n.String()), nil
			}
		}
	}
	return telemetry.ValueOf(x)
}
