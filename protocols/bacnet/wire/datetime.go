package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const unspecified = 0xFF

// NewDate returns the date of t.
func NewDate(t time.Time) Value {
	weekday := (int(t.Weekday())+6)%7 + 1 // Monday is 1
	return Value{Kind: DateKind, Bits: pack(byte(t.Year()-1900), byte(t.Month()), byte(t.Day()), byte(weekday))}
}

// NewTimeOfDay returns the time of t, to a hundredth of a second.
func NewTimeOfDay(t time.Time) Value {
	return Value{Kind: TimeKind, Bits: pack(byte(t.Hour()), byte(t.Minute()), byte(t.Second()), byte(t.Nanosecond()/1e7))}
}

func pack(a, b, c, d byte) uint64 {
	return uint64(a)<<24 | uint64(b)<<16 | uint64(c)<<8 | uint64(d)
}

func (v Value) parts() (a, b, c, d byte) {
	return byte(v.Bits >> 24), byte(v.Bits >> 16), byte(v.Bits >> 8), byte(v.Bits)
}

// AppendDate appends a date as text: 2026-11-22, with * for a part that is not
// specified. Months 13 and 14 are odd and even, days 32 to 34 last, odd and even.
func (v Value) AppendDate(dst []byte) []byte {
	y, m, d, w := v.parts()
	if y == unspecified {
		dst = append(dst, '*')
	} else {
		dst = strconv.AppendInt(dst, 1900+int64(y), 10)
	}
	dst = appendPart(append(dst, '-'), m, 13, "odd", "even")
	dst = appendPart(append(dst, '-'), d, 32, "last", "odd", "even")
	if w != unspecified && (y == unspecified || m == unspecified || d == unspecified) {
		dst = append(dst, " day "...)
		dst = strconv.AppendUint(dst, uint64(w), 10)
	}
	return dst
}

// AppendTime appends a time as text: 13:05:00, with hundredths of a second if there
// are any, and * for a part that is not specified.
func (v Value) AppendTime(dst []byte) []byte {
	h, m, s, hundredths := v.parts()
	dst = appendPart(dst, h, unspecified)
	dst = appendPart(append(dst, ':'), m, unspecified)
	dst = appendPart(append(dst, ':'), s, unspecified)
	if hundredths != 0 && hundredths != unspecified {
		dst = appendPart(append(dst, '.'), hundredths, unspecified)
	}
	return dst
}

// appendPart appends two digits, or one of special for the values from first on.
func appendPart(dst []byte, n, first byte, special ...string) []byte {
	switch {
	case n == unspecified:
		return append(dst, '*')
	case n >= first && int(n-first) < len(special):
		return append(dst, special[n-first]...)
	case n < 10:
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

// ParseDate reads a date in the form 2026-11-22.
func ParseDate(s string) (Value, error) {
	t, err := time.Parse(time.DateOnly, strings.TrimSpace(s))
	if err != nil {
		return Value{}, fmt.Errorf("wire: %q is not a date as 2026-11-22", s)
	}
	if t.Year() < 1900 || t.Year() > 2154 {
		return Value{}, errors.New("wire: a date is from 1900 to 2154")
	}
	return NewDate(t), nil
}

// ParseTime reads a time of day in the form 13:05, 13:05:10 or 13:05:10.25.
func ParseTime(s string) (Value, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return NewTimeOfDay(t), nil
		}
	}
	return Value{}, fmt.Errorf("wire: %q is not a time as 13:05:10", s)
}
