package expr_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"${a}", "${a.b[0]}", "x ${$..b} y", "${a[1:-1].*}", `${a["b"]}`, "${", "${${a}}", "${*}", "${s[0]}"} {
		f.Add(text, `{"a":{"b":[1,"x",null,{"c":2.50}]},"s":"abc"}`, uint8(0))
	}
	f.Fuzz(func(t *testing.T, text, doc string, typ uint8) {
		if fastjson.Validate(doc) != nil {
			return
		}
		root, err := fastjson.Parse(doc)
		if err != nil {
			return
		}
		tpl := expr.Compile(text)
		if tpl.Constant() {
			if got, ok := tpl.Append(nil, root); !ok || string(got) != text {
				t.Fatalf("constant %q became %q", text, got)
			}
		}
		var s expr.Scratch
		v, outcome := s.Template(tpl, root, expr.Type(typ%6))
		if (outcome == expr.Missing) != (v.Kind() == telemetry.KindNone) {
			t.Fatalf("outcome %d with kind %d", outcome, v.Kind())
		}
		if v.Kind() == telemetry.KindJSON && !json.Valid([]byte(v.String())) {
			t.Fatalf("invalid JSON value %s", v)
		}
	})
}

func FuzzRegexp(f *testing.F) {
	for _, p := range []string{"(?<=sensor/)(.*?)(?=/data)", "(?<=a", "(?=a)", "(?i)(?<=A)b", `[\]](?=[)])`, `\Z`, "(?<=a|b)c(?=d|e)"} {
		f.Add(p, "sensor/abc/data")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := expr.CompileRegexp(pattern)
		if err != nil {
			return
		}
		found, ok := re.Find(text)
		if ok && !strings.Contains(text, found) {
			t.Fatalf("%q is not in %q", found, text)
		}
		if whole, matched := re.FindWhole(text); matched != ok || !strings.Contains(text, whole) {
			t.Fatalf("FindWhole %q, %v and Find %q, %v differ", whole, matched, found, ok)
		}
		if strings.Contains(pattern, "(?=") || strings.Contains(pattern, "(?<=") || strings.Contains(pattern, `\Z`) {
			return
		}
		if std := regexp.MustCompile(pattern); std.MatchString(text) != ok {
			t.Fatalf("%q on %q: got %v", pattern, text, ok)
		}
	})
}

func FuzzTime(f *testing.F) {
	for _, text := range []string{"2024-01-02T03:04:05Z", "03.04.2024 05:06", "1700000000", "Tue, 02 Jan 2024 03:04:05 GMT", "20240102T0304", "1 PM"} {
		f.Add(text, true, false)
	}
	f.Fuzz(func(t *testing.T, text string, dayFirst, yearFirst bool) {
		format := expr.TimeFormat{DayFirst: dayFirst, YearFirst: yearFirst}
		a, ok := format.Parse(text)
		b, again := format.Parse(" " + text + " ")
		if len(text) < 60 && (ok != again || a != b) {
			t.Fatalf("%q: %d, %v and with blanks %d, %v", text, a, ok, b, again)
		}
	})
}

func FuzzSlices(f *testing.F) {
	for _, text := range []string{"[0:4]", "[:]", "[-2:]", "[3]", "x[0:1]y[9:]", "[0:1:2]", "[a]", "[99999999999999999999]"} {
		f.Add(text, []byte("AM1223.5"), false)
	}
	f.Fuzz(func(t *testing.T, text string, data []byte, hexMode bool) {
		s, err := expr.CompileSlices(text)
		if err != nil {
			return
		}
		out, ok := s.Append(nil, data, hexMode)
		if s.Constant() && (!ok || string(out) != text) {
			t.Fatalf("constant %q became %q", text, out)
		}
		if b, ok := s.Bytes(data); ok && len(b) > len(data) {
			t.Fatalf("%d bytes of %d", len(b), len(data))
		}
	})
}

func FuzzArithmetic(f *testing.F) {
	for _, text := range []string{"1+2*3", "(1", "2**3", "-1//2", "1e3%7", "1/0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := expr.Arithmetic(text)
		if len(text) > 40 || !ok || a != a {
			return
		}
		if b, again := expr.Arithmetic("(" + text + ")"); !again || a != b {
			t.Fatalf("%q is %v, in parentheses %v, %v", text, a, b, again)
		}
	})
}
