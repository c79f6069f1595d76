package expr_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

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

func FuzzPath(f *testing.F) {
	for _, path := range []string{"a.b", "$..a[0]", "a,b|c", "(a|b).`parent`", "a where b", "[*].$", "['a b']", "*..*", "a[1:-1]", "..", "[1:2:3]", "a.1st/x", `a."\`} {
		f.Add(path, `{"a":[{"b":[1,null,"x"]},2.5],"b":{"a":{"a":{}}}}`)
	}
	f.Fuzz(func(t *testing.T, text, doc string) {
		root, err := fastjson.Parse(doc)
		if err != nil || len(doc) > 1000 {
			return
		}
		path := expr.CompilePath(text)
		path.First(root)
		var first *fastjson.Value
		count := 0
		path.Each(root, func(v *fastjson.Value) bool {
			if count++; count == 1 {
				first = v
			}
			return true
		})
		if count > 100_000 || path.Err() != nil && count > 0 {
			t.Fatalf("%q found %d values, error %v", text, count, path.Err())
		}
		var syntax *expr.SyntaxError
		if err := path.Err(); err != nil && (!errors.As(err, &syntax) || syntax.Column < 1 || syntax.Column > utf8.RuneCountInString(text)+1) {
			t.Fatalf("%q: %v", text, err)
		}
		path.Each(root, func(v *fastjson.Value) bool {
			if string(v.MarshalTo(nil)) != string(first.MarshalTo(nil)) {
				t.Fatalf("%q: first %s, then %s", text, first, v)
			}
			return false
		})
	})
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		"value * 9 / 5 + 32", "[i for i in l if i is not None][0]", "'a' * 65536", "2 ** 4096", "x[::-1]", "max(l)",
		"s.replace('', 'xxxxxxxx')", "1 < value <= 3", "value if value else 'no'", "~-5 << 3", "[[l, l], [l] * 9]", "pow(3, 9 ** 99, 10 ** 99)", "round(value, -2)", "'\\x41' in s", "0x_ff",
	} {
		f.Add(text, 21.5, "text")
	}
	f.Fuzz(func(t *testing.T, text string, value float64, s string) {
		e, err := expr.CompileExpression(text)
		if err != nil {
			var syntax *expr.SyntaxError
			if !errors.As(err, &syntax) || syntax.Column < 1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		known := map[string]expr.Operand{"value": expr.FloatOf(value), "s": expr.TextOf(s), "l": expr.ListOf(expr.IntOf(1), expr.NoneOperand()), "x": expr.BytesOf([]byte(s))}
		var args []expr.Operand
		for _, name := range e.Names() {
			args = append(args, known[name])
		}
		v, err := e.Eval(args)
		var failed *expr.EvalError
		switch {
		case err != nil && !errors.As(err, &failed):
			t.Fatalf("%q: %v", text, err)
		case err == nil && v.Kind() == expr.TextOperand && len(v.String()) > max(expr.MaxText, len(s), len(text)):
			t.Fatalf("%q is a text of %d bytes", text, len(v.String()))
		}
		if value, ok := v.Value(); ok && value.Kind() == telemetry.KindJSON && !json.Valid([]byte(value.String())) {
			t.Fatalf("%q: invalid JSON %s", text, value)
		}
	})
}

func FuzzReferenceMode(f *testing.F) {
	f.Add("${a} and ${b.c}", `{"a":{"x":[1,"it's",null,true,1e400]},"b":{"c":-0}}`, uint8(2))
	f.Fuzz(func(t *testing.T, text, doc string, typ uint8) {
		root, err := fastjson.Parse(doc)
		if err != nil {
			return
		}
		s := expr.Scratch{Mode: expr.Reference}
		v, outcome := s.Template(expr.Compile(text), root, expr.Type(typ%6))
		if (outcome == expr.Missing) != (v.Kind() == telemetry.KindNone) {
			t.Fatalf("outcome %d with kind %d", outcome, v.Kind())
		}
		expr.CompileTimeField(text, expr.TimeFormat{}).Find(root)
	})
}
