package tbclient

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// parseValue converts a JSON value: a number without a point and an exponent to
// an integer, another number to a float, an object or array to a JSON document.
// Null, and a number out of range, give the absent Value.
func parseValue(raw json.RawMessage) telemetry.Value {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return telemetry.Value{}
	}
	switch raw[0] {
	case 'n':
		return telemetry.Value{}
	case 't', 'f':
		return telemetry.Bool(raw[0] == 't')
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return telemetry.Value{}
		}
		return telemetry.String(s)
	case '{', '[':
		v, err := telemetry.JSON(raw)
		if err != nil {
			return telemetry.Value{}
		}
		return v
	}
	if i, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return telemetry.Int(i)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return telemetry.Value{}
	}
	return telemetry.Float(f)
}

// parsePoints converts a JSON object to points, ordered by key, and leaves out
// what has no value.
func parsePoints(raw json.RawMessage) ([]telemetry.Point, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	points := make([]telemetry.Point, 0, len(object))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if v := parseValue(object[key]); v.Valid() {
			points = append(points, telemetry.Point{Key: key, Value: v})
		}
	}
	return points, nil
}

// parseUpdate converts a notice of changed attributes: an object of those that
// have a value now, or of the list "deleted" alone.
func parseUpdate(raw json.RawMessage) (points []telemetry.Point, deleted []string, err error) {
	var notice map[string]json.RawMessage
	if err := json.Unmarshal(raw, &notice); err != nil {
		return nil, nil, err
	}
	if list, ok := notice["deleted"]; ok && len(notice) == 1 && json.Unmarshal(list, &deleted) == nil && deleted != nil {
		return nil, deleted, nil
	}
	points, err = parsePoints(raw)
	return points, nil, err
}
