package expr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestExpressionsMeanWhatTheyMeanInPython(t *testing.T) {
	for text, want := range map[string]string{
		"3400 / 4": "850.0", "-7 // 2": "-4", "-7 % 3": "2", "7.5 % -2": "-0.5", "2 ** 64": "18446744073709551616", "2 ** -1": "0.5",
		"10 ** -2": "0.01", "-2 ** 2": "-4", "2 ** 3 ** 2": "512", "1_000 + 0x1F + 0b11 + 0o7": "1041", "9223372036854775807 + 1": "9223372036854775808",
		"1 < n <= 1000": "True", "3 > 2 > 2": "False", "True + True": "2", "True & False": "False", "~True": "-2", "-5 >> 1": "-3",
		"'a' 'b' * 2": "'abab'", `"it's"`: `"it's"`, `'\x41\u0416'`: "'AЖ'", "'Ab c'[::-1]": "'c bA'", "l[-1] is None": "True",
		"[i for i in l if i is not None][0]": "3", "[[i * j for j in [1, 2]] for i in [3, 4]]": "[[3, 6], [4, 8]]", "sum(i for i in [1, 2])": "3",
		"value - 65536 if value > 32767 else value": "21.5", "0 or None or 'x'": "'x'", "1 and 0 and 2": "0", "not []": "True",
		"round(2.5)": "2", "round(2.675, 2)": "2.67", "round(1250, -2)": "1200", "round(-1234.5, -2)": "-1200.0", "int('0x1F', 16)": "31", "int(-21.9)": "-21",
		"float('1e3')": "1000.0", "str(1e16)": "'1e+16'", "str([1.0, 'a', None])": `"[1.0, 'a', None]"`, "pow(3, -1, 7)": "5", "max([1, 2.5], [1, 3])": "[1, 3]",
		"9007199254740993 == 9007199254740992.0": "False", "10 ** 400 > 1e308": "True", "'b' in 'abc'": "True", "1 not in l": "False",
		"(-7) ** 2 // 3": "16", "0.1 + 0.2": "0.30000000000000004", "len('їжак')": "4", "min('b', 'a')": "'a'", "abs(-9223372036854775808)": "9223372036854775808",
	} {
		got, err := evaluate(text)
		if err != nil || expr.Repr(got) != want {
			t.Errorf("%s: got %s, %v, want %s", text, expr.Repr(got), err, want)
		}
	}
}

func TestWhatIsNotInTheSubsetIsRefusedWhenItIsCompiled(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "column 1: the expression is not complete",
		"__import__('os')":          `column 1: "__import__" is not a function that can be called`,
		"value.real":                `column 7: "real" is not a method that can be called`,
		"''.__class__":              `column 4: "__class__" is not a method that can be called`,
		"lambda: 1":                 `column 1: "lambda" is not supported`,
		"(lambda)":                  `column 2: "lambda" is not supported`,
		"[f for f in l](1)":         "column 15: only the functions of the subset can be called",
		"value = 1":                 `column 7: unexpected '='`,
		"1; 2":                      `column 2: unexpected ';'`,
		"їжак + ?":                  `column 8: unexpected '?'`,
		"1 +":                       "column 4: the expression is not complete",
		"(1, 2)":                    "column 3: tuples are not supported; use a list",
		"f'{value}'":                `column 1: texts with the prefix "f" are not supported`,
		"value is 5":                `column 7: "is" needs None, True or False on one side; use == for other values`,
		"open('x')":                 `column 1: "open" is not a function that can be called`,
		"abs()":                     "column 1: abs takes 1 to 1 arguments, not 0",
		"'a":                        "column 1: the text is not closed",
		"012":                       `column 1: "012" is not a number`,
		"1 2":                       `column 3: unexpected "2"`,
		"x if y":                    "column 7: the expression is not complete",
		"{1: 2}":                    `column 1: unexpected '{'`,
		"[i for i in l for j in l]": "column 15: a comprehension has one for",
	} {
		_, err := expr.CompileExpression(text)
		var syntax *expr.SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestExpressionsFailWithTheColumn(t *testing.T) {
	for text, want := range map[string]string{
		"1 + value / (n - 1000)": "column 11: division by zero",
		"n // 0":                 "column 3: division by zero",
		"1.5 % 0":                "column 5: division by zero",
		"0 ** -1":                "column 3: zero to a negative power",
		"(-8) ** 0.5":            "column 6: a negative number to a fractional power is not real",
		"'a' + 1":                "column 5: + between a text and an int",
		"l[9]":                   "column 2: index 9 is outside of 4 elements",
		"missing + 1":            `column 1: "missing" has no value`,
		"None < 1":               "column 1: None and an int have no order",
		"int('x')":               `column 1: "x" is not an int`,
		"1 << -1":                "column 3: a shift by a negative number",
		"max([])":                "column 1: max of nothing",
	} {
		_, err := evaluate(text)
		var failed *expr.EvalError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestExpressionsAreBounded(t *testing.T) {
	nested := "[a for a in l]"
	for range 6 {
		nested = "[" + nested + " for b in '" + strings.Repeat("x", 100) + "']"
	}
	for _, text := range []string{
		"9 ** 9 ** 9", "2 ** 5000", "1 << 5000", "1 << 10 ** 30", "'x' * 10 ** 9", "'x' * 10 ** 30", "[0] * 5000", nested,
		"('x' * 60000).replace('x', 'yyyyyyyy')", "('xx' * 30000) + ('x' * 30000)", "'x'.join([('y' * 60000), ('y' * 60000)])",
		"(2 ** 4000) * (2 ** 4000)", "int('9' * 5000)", strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000),
		strings.Repeat("-", 1000) + "1", strings.Repeat("not ", 1000) + "1", "1" + strings.Repeat("+1", 4000), "('x,' * 30000).split(',')",
	} {
		start := time.Now()
		if got, err := evaluate(text); err == nil {
			t.Errorf("%.60s: got %.60s, want a limit", text, got)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%.60s took %v", text, d)
		}
	}
	if _, err := evaluate("('x' * 65536)[-1] + str(2 ** 4095 - 1)[:2] + str(len([0] * 4096))"); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func TestExpressionsNameWhatTheyUse(t *testing.T) {
	e, err := expr.CompileExpression("value * k + [value for k in [1]][0] - value")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(e.Names()); got != "[value k]" {
		t.Errorf("got %s", got)
	}
	if err := e.Check("value", "k"); err != nil {
		t.Error(err)
	}
	if err := e.Check("value"); err == nil || !strings.Contains(err.Error(), `column 9: unknown name "k"`) {
		t.Errorf("got %v", err)
	}
}

func TestResultsAreValues(t *testing.T) {
	for text, want := range map[string]telemetry.Value{
		"n": telemetry.Int(1000), "value": telemetry.Float(21.5), "t": telemetry.Bool(true), "s": telemetry.String("Ab c"),
		"l": telemetry.Restore(telemetry.KindJSON, 0, `[3,1,2.5,null]`), "2 ** 70": telemetry.String("1180591620717411303424"),
	} {
		v, err := evaluate(text)
		if got, ok := v.Value(); err != nil || !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	if v, err := evaluate("none"); err != nil {
		t.Error(err)
	} else if got, ok := v.Value(); ok {
		t.Errorf("None became %v", got)
	}
	frame, err := expr.CompileExpression("can_data[1] * 256 + can_data[-1] + len(can_data[:2])")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := frame.Eval([]expr.Operand{expr.BytesOf([]byte{9, 1, 3})}); err != nil || v.String() != "261" {
		t.Errorf("bytes: got %s, %v", v, err)
	}
}

func TestPathErrorsNameTheColumn(t *testing.T) {
	for text, want := range map[string]string{
		"x ${a} ${b[0:4:2]}": `"x ${a} ${b[0:4:2]}": column 15: a slice of a list has no step`,
		"${a[?(@.b)]}":       "column 5: filters are not part of this dialect; use where",
		"${ $..}":            "column 7: the path is not complete",
		"${темп['x}":         "column 8: the quote ' is not closed",
		"${a.`sum`}":         "column 5: unknown operator `sum`",
		"${a&b}":             "column 4: intersections (&) have no results in this dialect",
		"${list[0,2]}":       "column 9: unexpected ','",
		"${a[b}":             "column 6: the path is not complete",
	} {
		if err := expr.Compile(text).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"${1.8.0}", "${x/y}", "${temp(C)}", "${a.1st}", "${a-b.c d}", "${темп.вода}", "${a where b}", "${['*']}"} {
		if err := expr.Compile(text).Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheReferencesModeGoesByWayOfPythonsText(t *testing.T) {
	root := parse(t, body)
	s := expr.Scratch{Mode: expr.Reference}
	for _, c := range []struct {
		text, typ string
		want      telemetry.Value
	}{
		{"${o}", "string", telemetry.String("{'x': 1, 'y': None}")},
		{"${l}", "json", telemetry.String("[1, 'a', True]")},
		{"${on}", "string", telemetry.String("True")},
		{"${on}", "boolean", telemetry.Bool(true)},
		{"${whole}", "string", telemetry.String("3.0")},
		{"${exact}", "long", telemetry.Int(9007199254740992)},
		{"${exact}", "", telemetry.Int(9007199254740993)},
		{"${f}", "integer", telemetry.Int(20)},
		{"${id}/${gone}", "string", telemetry.String("S-7/None")},
		{"${gone}", "string", telemetry.Value{}},
		{"${none}", "double", telemetry.Value{}},
		{"N${gone}", "string", telemetry.String("NNone")},
		{"None", "string", telemetry.Value{}},
		{"${id}", "double", telemetry.String("S-7")},
	} {
		if got, _ := s.Template(expr.Compile(c.text), root, expr.TypeOf(c.typ)); got != c.want {
			t.Errorf("%s as %q: got %v (kind %d), want %v (kind %d)", c.text, c.typ, got, got.Kind(), c.want, c.want.Kind())
		}
	}
	if name, ok := s.String(expr.Compile("${on}-${id}"), root); !ok || name != "True-S-7" {
		t.Errorf("got %q, %v", name, ok)
	}
	if name, ok := s.String(expr.Compile("D ${gone}"), root); ok {
		t.Errorf("a device is named %q", name)
	}
}

func TestPlainPathsAndExpressionsAllocateNothing(t *testing.T) {
	root := parse(t, body)
	plain := expr.CompilePath("a b.c d")
	rooted := expr.CompilePath("$.l[-1]")
	wild := expr.CompilePath("$.l[*]")
	deep := expr.CompilePath("$..x")
	fahrenheit, err := expr.CompileExpression("round(value * 9 / 5 + 32) if 0 <= value < 100 else -1")
	if err != nil {
		t.Fatal(err)
	}
	args := []expr.Operand{expr.FloatOf(21.5)}
	field := expr.CompileTimeField("${at}", expr.TimeFormat{})
	timed := parse(t, `{"at":1700000000}`)
	for _, c := range []struct {
		name string
		most float64
		f    func()
	}{
		{"a plain path", 0, func() { plain.First(root) }},
		{"a path from the top", 0, func() { rooted.First(root) }},
		{"an expression", 0, func() { _, _ = fahrenheit.Eval(args) }},
		{"a time in a number", 0, func() { field.Find(timed) }},
		{"a wildcard", 4, func() { wild.First(root) }},
		{"a descendant", 12, func() { deep.First(root) }},
	} {
		c.f()
		if n := testing.AllocsPerRun(200, c.f); n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.most)
		}
	}
}

func BenchmarkPath(b *testing.B) {
	root := parse(b, body)
	for _, text := range []string{"n", "o.x", "$.l[-1]", "$..x", "l[*]", "(o|l).x", "* where x"} {
		path := expr.CompilePath(text)
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				path.First(root)
			}
		})
	}
}

func BenchmarkExpression(b *testing.B) {
	for _, text := range []string{"value * 9 / 5 + 32", "value - 65536 if value > 32767 else value", "[i for i in [value, None] if i is not None][0]"} {
		e, err := expr.CompileExpression(text)
		if err != nil {
			b.Fatal(err)
		}
		args := []expr.Operand{expr.FloatOf(21.5)}
		b.Run(strings.ReplaceAll(text, " ", ""), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Eval(args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTime(b *testing.B) {
	for _, text := range []string{"2024-01-02T03:04:05.678Z", "03/04/2024 15:04", "1700000000", "Tue, 02 Jan 2024 03:04:05 GMT"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := (expr.TimeFormat{}).Parse(text); !ok {
					b.Fatal(text)
				}
			}
		})
	}
}
