package expr_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

const timePeer = `
import calendar, json, sys
from dateutil import parser, tz
out = []
for q in json.load(sys.stdin):
    try:
        v = parser.parse(q["text"], dayfirst=q["day"], yearfirst=q["year"])
        if v.tzinfo is None: v = v.replace(tzinfo=tz.tzutc())
        out.append({"ms": calendar.timegm(v.utctimetuple()) * 1000 + v.microsecond // 1000})
    except Exception as e:
        out.append({"error": repr(e)[:100]})
json.dump(out, sys.stdout)
`

type timeQuestion struct {
	Text string `json:"text"`
	Day  bool   `json:"day"`
	Year bool   `json:"year"`
}

type timeAnswer struct {
	MS    int64
	Error string
}

// A date that begins with four digits of a year is not checked with dayfirst: in
// the reference that makes the second of March of 2024-03-02 the third of
// February.
func TestPeerPythonTimes(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	var questions []timeQuestion
	for range 8000 {
		text, iso := g.time()
		questions = append(questions, timeQuestion{text, g.IntN(2) == 0 && !iso, g.IntN(4) == 0})
	}
	refused := 0
	answers := python[timeQuestion, timeAnswer](t, "dateutil", "python3-dateutil", timePeer, questions)
	for i, q := range questions {
		ms, ok := expr.TimeFormat{DayFirst: q.Day, YearFirst: q.Year}.Parse(q.Text)
		a := answers[i]
		if !ok {
			refused++
		}
		if ok != (a.Error == "") || ok && ms != a.MS {
			t.Errorf("%+v: got %s, %v, dateutil has %s %s", q, time.UnixMilli(ms).UTC().Format(time.RFC3339Nano), ok,
				time.UnixMilli(a.MS).UTC().Format(time.RFC3339Nano), a.Error)
		}
	}
	t.Logf("%d cases, %d of them refused by both", len(questions), refused)
	if refused > 100 {
		t.Errorf("%d cases are no times", refused)
	}
}

// time returns a random time in a form that users have, and whether it begins
// with a year of four digits.
func (g generator) time() (text string, iso bool) {
	at := time.Date(1980+g.IntN(60), time.Month(1+g.IntN(12)), 1+g.IntN(28), g.IntN(24), g.IntN(60), g.IntN(60), g.IntN(1000)*1e6, time.UTC)
	layouts := []string{
		"2006-01-02", "2006/01/02", "20060102", "2006.01.02", "2006-Jan-02", "01/02/2006", "1/2/2006", "02.01.2006", "2-1-2006",
		"Jan 2, 2006", "January 2 2006", "2 Jan 2006", "2 January 2006", "02-Jan-2006", "Mon, 02 Jan 2006", "Monday, January 2, 2006", "Mon Jan _2 2006",
		"2nd of January 2006", "Jan 2 2006", "01/02/06",
	}
	i := g.IntN(len(layouts))
	date, iso := layouts[i], i < 5
	clock := g.pick("", "15:04", "15:04:05", "15:04:05.000", "15:04:05,000", "3:04 PM", "3:04:05 pm", "03:04PM", "3 PM")
	if clock == "" {
		return at.Format(date), iso
	}
	zone := g.pick("", "", "Z", " UTC", "-0700", "-07:00", " -0700", "-07", " GMT")
	if zone == "Z" && strings.Contains(strings.ToUpper(clock), "PM") {
		zone = " UTC"
	}
	if zone != "" && zone != " UTC" && zone != "Z" && zone != " GMT" {
		at = at.In(time.FixedZone("", (g.IntN(25)-12)*3600))
	}
	separator := g.pick(" ", " ", "T", ", ")
	if !iso || separator != "T" {
		separator = g.pick(" ", ", ", " at ")
	}
	text = at.Format(date) + separator + at.Format(clock) + at.Format(zone)
	if g.IntN(6) == 0 && zone == "" {
		text = at.Format(clock) + " " + at.Format(date)
	}
	return text, iso
}
