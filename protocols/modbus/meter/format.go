package meter

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A format decodes what modbus reports as hexadecimal text. It remembers the last
// one, because most do not change from poll to poll.
type format struct {
	point *Point
	last  string
	value telemetry.Value
}

func (f *format) decode(v telemetry.Value) telemetry.Value {
	if v.Kind() != telemetry.KindString {
		return v
	}
	text := v.String()
	if f.last == text && f.value.Valid() {
		return f.value
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return v
	}
	f.last, f.value = text, f.point.decodeBytes(raw, v)
	return f.value
}

// decodeBytes returns the array or time in raw, or otherwise if it is neither.
func (p *Point) decodeBytes(raw []byte, otherwise telemetry.Value) telemetry.Value {
	if p.Count > 0 {
		return p.decodeArray(raw)
	}
	if s, ok := decodeTime(p.Format, raw); ok {
		return telemetry.String(s)
	}
	return otherwise
}

// decodeArray returns the values in raw as one array, with null for one that is not
// available.
func (p *Point) decodeArray(raw []byte) telemetry.Value {
	doc := []byte{'['}
	for i := 0; i < p.Count && 2*(i+1)*p.words() <= len(raw); i++ {
		if i > 0 {
			doc = append(doc, ',')
		}
		v, ok := p.number(raw[2*i*p.words():], 1)
		if !ok {
			doc = append(doc, "null"...)
			continue
		}
		doc = v.AppendJSON(doc)
	}
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, ']')))
}

// number returns the integer at the beginning of raw, scaled and multiplied by
// factor, and whether it is available. Arrays, history and extremes have no others.
func (p *Point) number(raw []byte, factor float64) (telemetry.Value, bool) {
	var x float64
	switch p.Type {
	case "uint16":
		x = float64(binary.BigEndian.Uint16(raw))
	case "int16":
		x = float64(int16(binary.BigEndian.Uint16(raw)))
	case "uint32":
		x = float64(binary.BigEndian.Uint32(raw))
	case "int32":
		x = float64(int32(binary.BigEndian.Uint32(raw)))
	default:
		return telemetry.Value{}, false
	}
	if low, high, _ := p.available(); x < low || x > high {
		return telemetry.Value{}, false
	}
	x *= factor
	if inverse := math.Round(1 / p.scale()); inverse >= 1 {
		return telemetry.Float(x / inverse), true
	}
	return telemetry.Float(x * p.scale()), true
}

// decodeTime returns the time in raw as text: 2026-01-31T23:59:30 in the meter's local
// time, or 01-31T23:59 if the format has no year. It reports whether there is one: a
// meter that has none has zeros.
func decodeTime(layout string, raw []byte) (string, bool) {
	if len(raw) < len(layout) || layout == "" {
		return "", false
	}
	part := make(map[rune]int, len(layout))
	for i, c := range layout {
		part[c] = int(raw[i])
	}
	month, day, hour, minute, second := part['M'], part['d'], part['h'], part['m'], part['s']
	year := 2000 // a leap year, for times without one
	if strings.Contains(layout, "y") {
		year += part['y']
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Month() != time.Month(month) || t.Day() != day || t.Hour() != hour || t.Minute() != minute || t.Second() != second {
		return "", false
	}
	if strings.Contains(layout, "y") {
		return t.Format(clockFormat), true
	}
	return t.Format("01-02T15:04"), true
}

// clockFormat is how clocks are reported and set.
const clockFormat = "2006-01-02T15:04:05"

// encodeTime is the inverse of decodeTime.
func encodeTime(layout string, t time.Time) []byte {
	part := map[rune]int{
		'y': t.Year() % 100, 'M': int(t.Month()), 'd': t.Day(), 'h': t.Hour(), 'm': t.Minute(), 's': t.Second(),
	}
	raw := make([]byte, 0, len(layout))
	for _, c := range layout {
		raw = append(raw, byte(part[c]))
	}
	return raw
}
