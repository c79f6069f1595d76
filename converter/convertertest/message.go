package convertertest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Messages shows a batch in the form of the vectors: a list of
//
//	{"deviceName": …, "deviceType": …, "attributes": {…}, "telemetry": [{"ts": …, "values": {…}}]}
//
// A point without a time of its own has the ts "NOW". Numbers keep their kind: a
// float is written with a decimal point. A key that a group repeats for one time
// is in an entry of its own.
func Messages(b *telemetry.Batch) json.RawMessage {
	doc := []byte("[")
	for i, g := range b.Groups() {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = appendMessage(doc, g)
	}
	return append(doc, ']')
}

func appendMessage(doc []byte, g telemetry.Group) []byte {
	doc = append(doc, `{"deviceName":`...)
	doc = telemetry.AppendString(doc, g.Device.Name)
	doc = append(doc, `,"deviceType":`...)
	doc = telemetry.AppendString(doc, g.Device.Profile)
	doc = append(doc, `,"attributes":{`...)
	for i, p := range g.Attributes {
		doc = appendPoint(doc, i, p)
	}
	doc = append(doc, `},"telemetry":[`...)
	for i, p := range g.Telemetry {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(doc, `{"ts":`...)
		if p.TS == 0 {
			doc = append(doc, `"NOW"`...)
		} else {
			doc = strconv.AppendInt(doc, p.TS, 10)
		}
		doc = append(doc, `,"values":{`...)
		doc = append(appendPoint(doc, 0, p), "}}"...)
	}
	return append(doc, "]}"...)
}

func appendPoint(doc []byte, i int, p telemetry.Point) []byte {
	if i > 0 {
		doc = append(doc, ',')
	}
	doc = append(telemetry.AppendString(doc, p.Key), ':')
	if k := p.Value.Kind(); k == telemetry.KindFloat || k == telemetry.KindFloat32 {
		switch f := p.Value.Float(); {
		case math.IsNaN(f):
			return append(doc, `{"$float":"nan"}`...)
		case math.IsInf(f, 1):
			return append(doc, `{"$float":"inf"}`...)
		case math.IsInf(f, -1):
			return append(doc, `{"$float":"-inf"}`...)
		}
	}
	return p.Value.AppendJSON(doc)
}

// show returns the JSON of what a Func has returned.
func show(got any) json.RawMessage {
	switch g := got.(type) {
	case *telemetry.Batch:
		return Messages(g)
	case json.RawMessage:
		return g
	case []byte:
		return g
	}
	doc, err := json.Marshal(got)
	if err != nil {
		return json.RawMessage(strconv.Quote(fmt.Sprintf("%T cannot be shown: %v", got, err)))
	}
	return doc
}

// isMessage reports whether x says something about a device in the form of the
// vectors.
func isMessage(x any) bool {
	m, ok := x.(map[string]any)
	if !ok {
		return false
	}
	_, named := m["deviceName"]
	_, telemetry := m["telemetry"].([]any)
	_, attributes := m["attributes"].(map[string]any)
	return named && (telemetry || attributes)
}

// messages merges what a list says about one device, orders it by device and
// time, and drops what says nothing, so that only the contents count.
func messages(list []any, now int64) []any {
	merged := []any{}
	byDevice := make(map[string]map[string]any)
	for _, x := range list {
		m := x.(map[string]any)
		profile, _ := m["deviceType"].(string)
		device := fmt.Sprintf("%v\x00%s", m["deviceName"], profile)
		into, known := byDevice[device]
		if !known {
			into = map[string]any{"deviceName": m["deviceName"], "deviceType": profile, "attributes": map[string]any{}, "telemetry": []any{}}
		}
		if !mergeMessage(into, m, now) {
			continue
		}
		if !known {
			byDevice[device] = into
			merged = append(merged, into)
		}
	}
	for _, m := range byDevice {
		slices.SortStableFunc(m["telemetry"].([]any), byTime)
	}
	slices.SortStableFunc(merged, func(a, b any) int { return cmp.Compare(deviceOf(a), deviceOf(b)) })
	return merged
}

func deviceOf(x any) string {
	m := x.(map[string]any)
	return fmt.Sprintf("%v\x00%v", m["deviceName"], m["deviceType"])
}

// mergeMessage adds a message to another of the same device, and reports whether
// it says anything.
func mergeMessage(into, m map[string]any, now int64) bool {
	says := false
	attributes, _ := m["attributes"].(map[string]any)
	for key, value := range attributes {
		into["attributes"].(map[string]any)[key] = value
		says = true
	}
	for key, value := range m {
		switch key {
		case "deviceName", "deviceType", "attributes", "telemetry":
		default:
			into[key], says = value, true
		}
	}
	entries, _ := m["telemetry"].([]any)
	for _, x := range entries {
		entry, _ := x.(map[string]any)
		values, _ := entry["values"].(map[string]any)
		for key, value := range values {
			into["telemetry"] = addPoint(into["telemetry"].([]any), stamp(entry["ts"], now), key, value)
			says = true
		}
	}
	return says
}

// stamp returns a time stamp, or "NOW" if it is that of the arrival.
func stamp(ts any, now int64) any {
	if n, ok := ts.(json.Number); ts == nil || ok && now != 0 && n.String() == strconv.FormatInt(now, 10) {
		return "NOW"
	}
	return ts
}

// addPoint adds a value to the first entry of its time that does not have the key.
func addPoint(entries []any, ts any, key string, value any) []any {
	for _, x := range entries {
		entry := x.(map[string]any)
		values := entry["values"].(map[string]any)
		if _, has := values[key]; !has && text(entry["ts"]) == text(ts) {
			values[key] = value
			return entries
		}
	}
	return append(entries, map[string]any{"ts": ts, "values": map[string]any{key: value}})
}

func byTime(a, b any) int {
	x, y := timeOf(a), timeOf(b)
	if len(x) != len(y) {
		return cmp.Compare(len(x), len(y)) // of whole numbers the longer is the later
	}
	return cmp.Compare(x, y)
}

func timeOf(x any) string {
	entry := x.(map[string]any)
	return fmt.Sprint(entry["ts"])
}
