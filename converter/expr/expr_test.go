package expr_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const body = `{"id":"S-7","n":12,"f":20.5,"whole":3.0,"on":true,"none":null,"big":12345678901234567890,
	"exact":9007199254740993,"o":{"x":1,"y":null},"l":[1,"a",true],"темп":7,"x/y":8,"a b":{"c d":9},"e":1e3}`

func TestTemplateText(t *testing.T) {
	root := parse(t, body)
	for text, want := range map[string]string{
		"Device ${id} (${o.x})": "Device S-7 (1)",
		"${f}/${whole}/${e}":    "20.5/3.0/1000.0",
		"${on}":                 "true",
		"${o}${l}":              `{"x":1,"y":null}[1,"a",true]`,
		"${темп}${x/y}":         "78",
		"${a b.c d}":            "9",
		"plain":                 "plain",
		"$5 {x} ${":             "$5 {x} ${",
	} {
		got, ok := expr.Compile(text).Append(nil, root)
		if !ok || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, ok, want)
		}
	}
}

func TestMissingPlaceholderLeavesTheTextOut(t *testing.T) {
	root := parse(t, body)
	for _, text := range []string{"${none}", "${id}${gone}", "${o.y}", "${l[7]}", "${}", "${id.x}"} {
		if got, ok := expr.Compile(text).Append(nil, root); ok {
			t.Errorf("%s: got %q, want it to be missing", text, got)
		}
	}
}

func TestCheckNamesPlaceholdersThatCannotHaveAValue(t *testing.T) {
	for _, text := range []string{"${a", "${}", "${ }", "${${a}}", "x ${a} ${b"} {
		err := expr.Compile(text).Check()
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if err := expr.Compile("${a} and ${b.c[0]}").Check(); err != nil {
		t.Error(err)
	}
}

func TestValuesKeepTheirJSONType(t *testing.T) {
	root := parse(t, body)
	doc := func(s string) telemetry.Value { return telemetry.Restore(telemetry.KindJSON, 0, s) }
	for _, c := range []struct {
		text, typ string
		want      telemetry.Value
		outcome   expr.Outcome
	}{
		{"${n}", "", telemetry.Int(12), expr.Converted},
		{"${f}", "", telemetry.Float(20.5), expr.Converted},
		{"${whole}", "", telemetry.Float(3), expr.Converted},
		{"${on}", "", telemetry.Bool(true), expr.Converted},
		{"${id}", "", telemetry.String("S-7"), expr.Converted},
		{"${exact}", "long", telemetry.Int(9007199254740993), expr.Converted},
		{"${big}", "", telemetry.String("12345678901234567890"), expr.Kept},
		{"${big}", "integer", telemetry.String("12345678901234567890"), expr.Kept},
		{"${big}", "double", telemetry.Float(12345678901234567890), expr.Converted},
		{"${f}", "integer", telemetry.Int(20), expr.Converted},
		{"${f}", "string", telemetry.String("20.5"), expr.Converted},
		{"${n}", "boolean", telemetry.String("12"), expr.Kept},
		{"${on}", "string", telemetry.String("true"), expr.Converted},
		{"${on}", "double", telemetry.String("true"), expr.Kept},
		{"${o}", "", doc(`{"x":1,"y":null}`), expr.Converted},
		{"${l}", "json", doc(`[1,"a",true]`), expr.Converted},
		{"${o}", "string", telemetry.String(`{"x":1,"y":null}`), expr.Converted},
		{"${o}", "double", telemetry.String(`{"x":1,"y":null}`), expr.Kept},
		{"${n}.5", "double", telemetry.Float(12.5), expr.Converted},
		{"${id}", "integer", telemetry.String("S-7"), expr.Kept},
		{"${none}", "double", telemetry.Value{}, expr.Missing},
	} {
		var s expr.Scratch
		got, outcome := s.Template(expr.Compile(c.text), root, expr.TypeOf(c.typ))
		if got != c.want || outcome != c.outcome {
			t.Errorf("%s as %q: got %v (kind %d, outcome %d), want %v (kind %d, outcome %d)",
				c.text, c.typ, got, got.Kind(), outcome, c.want, c.want.Kind(), c.outcome)
		}
	}
}

func TestPathsOfManyDescentsAreBounded(t *testing.T) {
	doc := strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)
	start := time.Now()
	if v := expr.CompilePath("$..a..a..a..a..a..b").First(parse(t, doc)); v != nil {
		t.Errorf("found %s", v)
	}
	if d := time.Since(start); d > time.Minute { // without a bound it takes hours
		t.Errorf("took %v", d)
	}
}

func TestTimes(t *testing.T) {
	kyiv := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		text   string
		format expr.TimeFormat
		want   string
	}{
		{"2024-01-02T03:04:05Z", expr.TimeFormat{}, "2024-01-02T03:04:05Z"},
		{"2024-01-02T03:04:05.678+0200", expr.TimeFormat{}, "2024-01-02T01:04:05.678Z"},
		{"2024-01-02 03:04:05", expr.TimeFormat{Location: kyiv}, "2024-01-02T01:04:05Z"},
		{"2024-01-02 03:04:05,5", expr.TimeFormat{}, "2024-01-02T03:04:05.5Z"},
		{"2024-01-02T03", expr.TimeFormat{}, "2024-01-02T03:00:00Z"},
		{"2024/01/02 03:04:05 PM", expr.TimeFormat{}, "2024-01-02T15:04:05Z"},
		{"2024/01/02 12:04 AM", expr.TimeFormat{}, "2024-01-02T00:04:00Z"},
		{"03.04.2024 05:06:07", expr.TimeFormat{}, "2024-03-04T05:06:07Z"},
		{"03.04.2024 05:06:07", expr.TimeFormat{DayFirst: true}, "2024-04-03T05:06:07Z"},
		{"10.11.12 00:00:00", expr.TimeFormat{YearFirst: true}, "2010-11-12T00:00:00Z"},
		{"10.11.12", expr.TimeFormat{}, "2012-10-11T00:00:00Z"},
		{"13/02/2024", expr.TimeFormat{}, "2024-02-13T00:00:00Z"},
		{"20240102T030405", expr.TimeFormat{}, "2024-01-02T03:04:05Z"},
		{"20240102030405", expr.TimeFormat{}, "2024-01-02T03:04:05Z"},
		{"20240102", expr.TimeFormat{}, "2024-01-02T00:00:00Z"},
		{"Tue, 02 Jan 2024 03:04:05 GMT", expr.TimeFormat{Location: kyiv}, "2024-01-02T03:04:05Z"},
		{"Jan 2, 2024 03:04:05", expr.TimeFormat{}, "2024-01-02T03:04:05Z"},
		{"1700000000", expr.TimeFormat{}, "2023-11-14T22:13:20Z"},
		{"2024-03-02 10:00", expr.TimeFormat{DayFirst: true}, "2024-03-02T10:00:00Z"},
		{"Tue Jan 02 2024 03:04:05 GMT+0200 (Eastern European Standard Time)", expr.TimeFormat{}, "2024-01-02T01:04:05Z"},
		{"Mon Jan  2 15:04:05 UTC 2006", expr.TimeFormat{}, "2006-01-02T15:04:05Z"},
		{"3:04 pm on 2nd of January, 2024", expr.TimeFormat{}, "2024-01-02T15:04:00Z"},
		{"20240102030405.678", expr.TimeFormat{}, "2024-01-02T03:04:05.678Z"},
		{"1700000000123456", expr.TimeFormat{}, "2023-11-14T22:13:20.123Z"},
	} {
		ms, ok := c.format.Parse(c.text)
		if got := time.UnixMilli(ms).UTC().Format(time.RFC3339Nano); !ok || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.text, got, ok, c.want)
		}
	}
	for _, text := range []string{
		"", "garbage", "2024-02-30", "2024-13-13", "99/99/2024", "12:00", "2024-01-02T25:00", "2024-01-02T03:04+99:99x",
		"Tue, 02 Jan 2024 03:04:05 XYZ", "1.2", "2024-01", "2024-01-02T", "13 PM Jan 2 2024", "2024-01-02 10:00 11:00",
		"2024-01-02 03:60", "2024-01-02 03:04 +24:00", "Jan Feb 2 2024", "Jan 2 Feb", "2024-01-02 03:04 (x", "2024-01-02-03", strings.Repeat("1", 100),
	} {
		if ms, ok := (expr.TimeFormat{}).Parse(text); ok {
			t.Errorf("%.40q: got %d, want a refusal", text, ms)
		}
	}
}

func TestEpochUnitsByMagnitude(t *testing.T) {
	for n, want := range map[int64]int64{
		0: 0, 1700000000: 1700000000000, -1: -1000, 1700000000000: 1700000000000,
		1700000000000000: 1700000000000, 1700000000000000000: 1700000000000, math.MinInt64: -9223372036854,
	} {
		if got := expr.Epoch(n); got != want {
			t.Errorf("%d: got %d, want %d", n, got, want)
		}
	}
	if ms, ok := (expr.TimeFormat{}).Value(parse(t, "1700000000.5")); !ok || ms != 1700000000500 {
		t.Errorf("seconds with a fraction: got %d, %v", ms, ok)
	}
}

func TestInternerIsBounded(t *testing.T) {
	var in expr.Interner
	b := make([]byte, 8)
	for i := range 100_000 {
		for j := range b {
			b[j] = byte('a' + i>>(2*j)&3)
		}
		if s := in.String(b); s != string(b) {
			t.Fatalf("got %q, want %q", s, b)
		}
	}
	if n := in.Len(); n == 0 || n > 4096 {
		t.Errorf("%d strings are kept", n)
	}
	if n := testing.AllocsPerRun(100, func() { in.String(b) }); n != 0 {
		t.Errorf("%v allocations for a string that was seen", n)
	}
}
