package expr

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A timeText is a text that is read as a time, token by token.
type timeText struct {
	format TimeFormat
	rest   string

	parts   [3]int // of the date, in the order of the text
	digits  [3]int // how many digits each has; 0: the name of a month
	n       int
	clock   time.Duration
	clocked bool
	marked  bool // a T says that the clock comes next
	loc     *time.Location
}

// read reads the text. It reports false for what is not a date, with or without
// a clock and an offset.
func (t *timeText) read() (time.Time, bool) {
	for t.rest != "" {
		if !t.token() {
			return time.Time{}, false
		}
	}
	year, month, day, ok := t.date()
	if !ok || t.marked && !t.clocked {
		return time.Time{}, false
	}
	loc := t.loc
	if loc == nil {
		loc = t.format.location()
	}
	midnight := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if midnight.Month() != time.Month(month) || midnight.Day() != day {
		return time.Time{}, false // the 31st of April
	}
	return time.Date(year, time.Month(month), day, 0, 0, 0, int(t.clock), loc), true
}

func (t *timeText) token() bool {
	switch c := t.rest[0]; {
	case c == ' ' || c == '\t' || c == ',' || c == ';':
		t.rest = t.rest[1:]
		return true
	case isDigit(c):
		return t.number()
	case (c == '+' || c == '-') && t.clocked && t.loc == nil:
		return t.offset()
	case c == '(' && t.loc != nil: // the name of a zone whose offset is known
		_, after, closed := strings.Cut(t.rest, ")")
		t.rest = after
		return closed
	default:
		return t.word()
	}
}

func digitRun(text string) int {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return n
}

func (t *timeText) number() bool {
	size := digitRun(t.rest)
	run, after := t.rest[:size], t.rest[size:]
	if strings.HasPrefix(after, ":") || t.n == 3 && !t.clocked && (t.marked || size == 4 || size == 6) {
		return t.time()
	}
	if size <= 2 && !t.clocked {
		if _, _, ok := meridiem(after); ok {
			return t.time()
		}
	}
	switch {
	case size == 8 && t.n == 0:
		t.rest = after
		return t.part(run[:4]) && t.part(run[4:6]) && t.part(run[6:])
	case size == 14 && t.n == 0 && !t.clocked:
		t.rest = run[8:] + after
		return t.part(run[:4]) && t.part(run[4:6]) && t.part(run[6:8]) && t.time()
	case size > 2 && size != 4:
		return false
	}
	t.rest = after
	for _, ordinal := range [...]string{"st", "nd", "rd", "th"} {
		t.rest = strings.TrimPrefix(t.rest, ordinal)
	}
	ok := t.part(run)
	t.separator()
	return ok
}

func (t *timeText) part(digits string) bool {
	if t.n == len(t.parts) {
		return false
	}
	t.parts[t.n], _ = strconv.Atoi(digits)
	t.digits[t.n] = len(digits)
	t.n++
	return true
}

// separator skips the mark between two parts of a date.
func (t *timeText) separator() {
	if t.n < 3 && len(t.rest) > 1 && strings.IndexByte("-/.", t.rest[0]) >= 0 && (isDigit(t.rest[1]) || unicode.IsLetter(rune(t.rest[1]))) {
		t.rest = t.rest[1:]
	}
}

// time reads hh:mm, hh:mm:ss, hhmm, hhmmss or hh, a fraction of a second, and AM
// or PM.
func (t *timeText) time() bool {
	if t.clocked {
		return false
	}
	t.clocked = true
	size := digitRun(t.rest)
	fields := [3]string{t.rest[:min(size, 2)]}
	if size > 2 {
		if size != 4 && size != 6 {
			return false
		}
		fields[1], fields[2] = t.rest[2:4], t.rest[4:size]
	}
	t.rest = t.rest[size:]
	for i := 1; size <= 2 && i < 3 && strings.HasPrefix(t.rest, ":"); i++ {
		n := digitRun(t.rest[1:])
		if n == 0 || n > 2 {
			return false
		}
		fields[i] = t.rest[1 : 1+n]
		t.rest = t.rest[1+n:]
	}
	var n [3]int
	for i, field := range fields {
		n[i], _ = strconv.Atoi(field)
	}
	if n[1] > 59 || n[2] > 59 {
		return false
	}
	if fields[2] != "" {
		t.fraction()
	}
	if afternoon, after, ok := meridiem(t.rest); ok {
		if n[0] < 1 || n[0] > 12 {
			return false
		}
		t.rest = after
		if n[0] %= 12; afternoon {
			n[0] += 12
		}
	}
	t.clock += time.Duration(n[0])*time.Hour + time.Duration(n[1])*time.Minute + time.Duration(n[2])*time.Second
	return n[0] <= 23
}

func (t *timeText) fraction() {
	if len(t.rest) < 2 || t.rest[0] != '.' && t.rest[0] != ',' || !isDigit(t.rest[1]) {
		return
	}
	size := digitRun(t.rest[1:])
	unit := time.Second
	for _, c := range []byte(t.rest[1 : 1+size]) {
		unit /= 10
		t.clock += time.Duration(c-'0') * unit
	}
	t.rest = t.rest[1+size:]
}

// meridiem reads AM or PM.
func meridiem(text string) (afternoon bool, rest string, ok bool) {
	text = strings.TrimLeft(text, " ")
	if len(text) < 2 || len(text) > 2 && unicode.IsLetter(rune(text[2])) {
		return false, "", false
	}
	switch strings.ToUpper(text[:2]) {
	case "AM":
		return false, text[2:], true
	case "PM":
		return true, text[2:], true
	default:
		return false, "", false
	}
}

// offset reads +hh, +hhmm or +hh:mm.
func (t *timeText) offset() bool {
	sign := 1
	if t.rest[0] == '-' {
		sign = -1
	}
	text := t.rest[1:]
	size := digitRun(text)
	digits := text[:size]
	text = text[size:]
	if size <= 2 && strings.HasPrefix(text, ":") {
		n := digitRun(text[1:])
		if n != 2 {
			return false
		}
		digits, text = digits+text[1:3], text[3:]
	}
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 4 {
		return false
	}
	if len(digits) <= 2 {
		n *= 100
	}
	if n/100 > 23 || n%100 > 59 {
		return false
	}
	t.rest = text
	t.loc = time.FixedZone("", sign*(n/100*3600+n%100*60))
	return true
}

func (t *timeText) word() bool {
	size := 0
	for size < len(t.rest) && (t.rest[size]|0x20 >= 'a' && t.rest[size]|0x20 <= 'z') {
		size++
	}
	word := strings.ToLower(t.rest[:size])
	t.rest = t.rest[size:]
	switch word {
	case "":
		return false
	case "t":
		t.marked = t.n == 3 && !t.clocked
		return t.marked
	case "at", "on", "of", "and":
		return true
	case "z", "utc", "gmt":
		ok := t.clocked && t.loc == nil
		if len(t.rest) > 1 && (t.rest[0] == '+' || t.rest[0] == '-') && isDigit(t.rest[1]) {
			return ok && t.offset()
		}
		t.loc = time.UTC
		return ok
	}
	if month := monthNamed(word); month > 0 && t.n < 3 {
		t.parts[t.n] = month
		t.n++
		t.rest = strings.TrimPrefix(t.rest, ". ")
		t.separator()
		return true
	}
	return weekday(word)
}

func monthNamed(word string) int {
	if word == "sept" {
		return 9
	}
	for m := time.January; m <= time.December; m++ {
		if name := m.String(); strings.EqualFold(word, name) || strings.EqualFold(word, name[:3]) {
			return int(m)
		}
	}
	return 0
}

func weekday(word string) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := d.String()
		if n := len(word); n >= 3 && n <= len(name) && strings.EqualFold(word, name[:n]) {
			return true
		}
	}
	return false
}

// date finds out which part of the date is which.
func (t *timeText) date() (year, month, day int, ok bool) {
	if t.n != 3 {
		return 0, 0, 0, false
	}
	at := t.order()
	for i := range at {
		if (t.digits[i] == 0) != (i == at[1]) && (t.digits[0] == 0 || t.digits[1] == 0 || t.digits[2] == 0) || t.digits[i] > 2 && i != at[0] {
			return 0, 0, 0, false
		}
	}
	year, month, day = t.parts[at[0]], t.parts[at[1]], t.parts[at[2]]
	if month > 12 && day <= 12 {
		month, day = day, month // there is only one way to read it
	}
	if t.digits[at[0]] <= 2 {
		year = century(year)
	}
	return year, month, day, month >= 1 && month <= 12 && day >= 1 && day <= 31 && year >= 1
}

// order returns the places of the year, the month and the day. The rules are
// those of dateutil, but a date that begins with a year of four digits is always
// in the order of ISO 8601.
func (t *timeText) order() [3]int {
	yearAt := func(i int) bool { return t.digits[i] > 2 || t.parts[i] > 31 }
	f := t.format
	switch {
	case t.digits[0] == 0 && yearAt(1):
		return [3]int{1, 0, 2}
	case t.digits[0] == 0:
		return [3]int{2, 0, 1}
	case t.digits[2] == 0 && yearAt(1):
		return [3]int{1, 2, 0}
	case t.digits[2] == 0:
		return [3]int{0, 2, 1}
	case t.digits[1] == 0 && (yearAt(0) || f.YearFirst && !yearAt(2)):
		return [3]int{0, 1, 2}
	case t.digits[1] == 0:
		return [3]int{2, 1, 0}
	case f.YearFirst && f.DayFirst && !yearAt(0) && !yearAt(2) && t.parts[1] <= 12 && t.parts[2] <= 12:
		return [3]int{0, 2, 1}
	case yearAt(0) || f.YearFirst && t.parts[1] <= 12 && !yearAt(2):
		return [3]int{0, 1, 2}
	case t.parts[0] > 12 || f.DayFirst && t.parts[1] <= 12:
		return [3]int{2, 1, 0}
	default:
		return [3]int{2, 0, 1}
	}
}
