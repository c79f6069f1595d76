package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// TimeFormat says how to read a date that can be read in more than one way.
type TimeFormat struct {
	DayFirst  bool           // 03.04.2024 is the third of April rather than March the fourth
	YearFirst bool           // 10.11.12 is in 2010
	Location  *time.Location // of times without an offset; nil: time.Local
}

// Value reads a timestamp from JSON: a number, or a text that [TimeFormat.Parse]
// can read. The result is in Unix milliseconds.
func (f TimeFormat) Value(v *fastjson.Value) (ms int64, ok bool) {
	if v == nil {
		return 0, false
	}
	switch v.Type() {
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil {
			return Epoch(n), true
		}
		var digits [32]byte
		raw := v.MarshalTo(digits[:0])
		if n, ok := parseFloat(raw); ok && n > -1e11 && n < 1e11 {
			return int64(n * 1000), true // seconds with a fraction
		}
		n, ok := parseInt(raw)
		return Epoch(n), ok
	case fastjson.TypeString:
		return f.Parse(string(v.GetStringBytes()))
	default:
		return 0, false
	}
}

// Epoch returns the Unix milliseconds of a Unix time whose unit is told by its
// magnitude: below 1e11 seconds (until the year 5138), below 1e14 milliseconds,
// below 1e17 microseconds, above that nanoseconds.
func Epoch(n int64) int64 {
	switch a := max(n, -n); {
	case a < 0: // the least int64
		return n / 1e6
	case a < 1e11:
		return n * 1000
	case a < 1e14:
		return n
	case a < 1e17:
		return n / 1000
	default:
		return n / 1e6
	}
}

// Parse reads a time: RFC 3339 and the other forms of ISO 8601, RFC 1123, RFC
// 850, the forms of C's asctime and date, JavaScript's Date, numeric dates such
// as 03/04/2024 15:04 (the month comes first unless f says otherwise), dates with
// English names of months in any order, each with an optional clock, AM or PM,
// and an offset or UTC; and digits: 8, 12 or 14 of them that make up a date and
// time, or else a Unix time as [Epoch] reads it. The result is in Unix
// milliseconds. A text without a day, a month and a year is not a time, nor is
// one with the abbreviation of a zone other than UTC and GMT.
func (f TimeFormat) Parse(text string) (ms int64, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > 128 {
		return 0, false
	}
	if wholeText([]byte(text)) {
		return f.digits(text)
	}
	t := timeText{format: f, rest: text}
	at, ok := t.read()
	return at.UnixMilli(), ok
}

func (f TimeFormat) location() *time.Location {
	if f.Location == nil {
		return time.Local
	}
	return f.Location
}

func (f TimeFormat) digits(text string) (ms int64, ok bool) {
	for _, layout := range [...]string{"20060102150405", "200601021504", "20060102"} {
		if len(layout) != len(text) {
			continue
		}
		if t, err := time.ParseInLocation(layout, text, f.location()); err == nil && t.Year() >= 1900 && t.Year() < 2200 {
			return t.UnixMilli(), true
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return Epoch(n), err == nil
}

// century completes a year of two digits as POSIX does.
func century(year int) int {
	switch {
	case year > 99:
		return year
	case year < 69:
		return 2000 + year
	default:
		return 1900 + year
	}
}
