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
// 850, the forms of C's asctime and date, numeric dates such as 03/04/2024 15:04
// (the month comes first unless f says otherwise), and digits: 8, 12 or 14 of
// them that make up a date and time, or else a Unix time as [Epoch] reads it.
// The result is in Unix milliseconds.
func (f TimeFormat) Parse(text string) (ms int64, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > 64 {
		return 0, false
	}
	if wholeText([]byte(text)) {
		return f.digits(text)
	}
	if t, ok := f.numeric(text); ok {
		return t.UnixMilli(), true
	}
	if t, ok := f.named(text); ok {
		return t.UnixMilli(), true
	}
	return 0, false
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

// named reads dates with names of months.
func (f TimeFormat) named(text string) (time.Time, bool) {
	for _, layout := range [...]string{
		time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate, time.RubyDate, time.RFC822, time.RFC822Z,
		"2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 Jan 2006", "2 January 2006 15:04:05", "2 January 2006",
		"Jan 2, 2006 15:04:05", "Jan 2, 2006 3:04:05 PM", "Jan 2, 2006", "January 2, 2006 15:04:05", "January 2, 2006",
		"2-Jan-2006 15:04:05", "2-Jan-2006", "2006-Jan-2 15:04:05", "2006-Jan-2",
	} {
		t, err := time.ParseInLocation(layout, text, f.location())
		if err != nil {
			continue
		}
		if name, offset := t.Zone(); offset == 0 && t.Location() != f.location() && name != "UTC" && name != "GMT" && name != "" {
			return time.Time{}, false // an abbreviation whose offset nobody knows
		}
		return t, true
	}
	return time.Time{}, false
}

// numeric reads a numeric date, optionally followed by a time and an offset.
func (f TimeFormat) numeric(text string) (time.Time, bool) {
	date, clock := splitDate(text)
	year, month, day, ok := f.date(date)
	if !ok {
		return time.Time{}, false
	}
	at, loc, ok := f.clock(clock)
	if !ok {
		return time.Time{}, false
	}
	midnight := time.Date(year, time.Month(month), day, 0, 0, 0, 0, loc)
	if midnight.Month() != time.Month(month) || midnight.Day() != day {
		return time.Time{}, false // the 31st of April
	}
	return time.Date(year, time.Month(month), day, 0, 0, 0, int(at), loc), true
}

func splitDate(text string) (date, clock string) {
	if i := strings.IndexAny(text, "Tt "); i >= 0 {
		return text[:i], strings.TrimSpace(text[i+1:])
	}
	return text, ""
}

func (f TimeFormat) date(text string) (year, month, day int, ok bool) {
	if len(text) == 8 && wholeText([]byte(text)) {
		text = text[:4] + "-" + text[4:6] + "-" + text[6:]
	}
	sep := strings.IndexAny(text, "-/.")
	if sep < 0 {
		return 0, 0, 0, false
	}
	fields := strings.Split(text, text[sep:sep+1])
	if len(fields) != 3 {
		return 0, 0, 0, false
	}
	var n [3]int
	for i, field := range fields {
		if len(field) > 4 || !wholeText([]byte(field)) || !isDigit(field[0]) {
			return 0, 0, 0, false
		}
		n[i], _ = strconv.Atoi(field)
	}
	switch {
	case len(fields[0]) == 4:
		year, month, day = n[0], n[1], n[2]
	case len(fields[2]) == 4:
		month, day, year = n[0], n[1], n[2]
		if f.DayFirst {
			month, day = day, month
		}
	case f.YearFirst:
		year, month, day = century(n[0]), n[1], n[2]
	default:
		month, day, year = n[0], n[1], century(n[2])
		if f.DayFirst {
			month, day = day, month
		}
	}
	if month > 12 && day <= 12 {
		month, day = day, month // there is only one way to read it
	}
	return year, month, day, month >= 1 && month <= 12 && day >= 1 && day <= 31
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

// clock reads a time of day with an optional offset. Without one the time is in
// f's location.
func (f TimeFormat) clock(text string) (at time.Duration, loc *time.Location, ok bool) {
	loc = f.location()
	if text == "" {
		return 0, loc, true
	}
	text, afternoon, twelve := cutMeridiem(text)
	if i := strings.IndexAny(text, "Zz+-UG"); i >= 0 {
		if loc, ok = offset(text[i:]); !ok {
			return 0, nil, false
		}
		text = strings.TrimSpace(text[:i])
	}
	if !strings.Contains(text, ":") {
		text = addColons(text)
	}
	text = strings.Replace(text, ",", ".", 1)
	for _, layout := range [...]string{"15:04:05", "15:04", "15"} { // a fraction of seconds is read by itself
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		at = t.Sub(t.Truncate(24 * time.Hour))
		if twelve {
			if at %= 12 * time.Hour; afternoon {
				at += 12 * time.Hour
			}
		}
		return at, loc, true
	}
	return 0, nil, false
}

func cutMeridiem(text string) (rest string, afternoon, found bool) {
	if n := len(text) - 2; n > 0 {
		switch strings.ToUpper(text[n:]) {
		case "AM":
			return strings.TrimSpace(text[:n]), false, true
		case "PM":
			return strings.TrimSpace(text[:n]), true, true
		}
	}
	return text, false, false
}

// addColons turns hhmm, hhmmss and hhmmss.fff into the form with colons.
func addColons(text string) string {
	whole, fraction, found := strings.Cut(text, ".")
	if found {
		fraction = "." + fraction
	}
	switch len(whole) {
	case 4:
		return whole[:2] + ":" + whole[2:] + fraction
	case 6:
		return whole[:2] + ":" + whole[2:4] + ":" + whole[4:] + fraction
	default:
		return text
	}
}

func offset(text string) (*time.Location, bool) {
	switch text {
	case "Z", "z", "UTC", "GMT":
		return time.UTC, true
	}
	for _, layout := range [...]string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Location(), true
		}
	}
	return nil, false
}
