package expr_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// evalPeer answers with the representation of what eval makes of an expression.
const evalPeer = `
import json, sys
allowed = {f.__name__: f for f in (abs, bool, float, int, len, max, min, pow, round, str, sum)}
names = {"value": 21.5, "n": 1000, "s": "Ab c", "l": [3, 1, 2.5, None], "t": True, "none": None}
out = []
for q in json.load(sys.stdin):
    try:
        v = eval(q, {"__builtins__": allowed, **names})
        out.append({"repr": repr(v), "type": type(v).__name__})
    except BaseException as e:
        out.append({"error": repr(e)[:200]})
json.dump(out, sys.stdout)
`

type evalAnswer struct{ Repr, Type, Error string }

func TestPeerPythonExpressions(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(3, 4))}
	var questions []string
	for range 24000 {
		if g.IntN(8) == 0 {
			questions = append(questions, g.tokens())
		} else {
			questions = append(questions, g.expression(1+g.IntN(4)))
		}
	}
	answers := python[string, evalAnswer](t, "json", "python3", evalPeer, questions)
	var values, limits int
	for i, q := range questions {
		a := answers[i]
		got, err := evaluate(q)
		switch {
		case err == nil && a.Error != "":
			t.Errorf("%s: got %s, Python has %s", q, expr.Repr(got), a.Error)
		case err != nil && a.Error == "":
			if !limited(err, a) {
				t.Errorf("%s: got %v, Python has %s", q, err, a.Repr)
			}
			limits++
		case err == nil:
			values++
			if !sameValue(got, a) {
				t.Errorf("%s: got %s, want %s", q, expr.Repr(got), a.Repr)
			}
		}
	}
	t.Logf("%d cases: %d with values, %d refused where Python has a value", len(questions), values, limits)
	if values < 4000 || limits > values/10 {
		t.Errorf("only %d expressions had values, %d were refused", values, limits)
	}
}

// evaluate evaluates an expression with the names of the peer.
func evaluate(text string) (expr.Operand, error) {
	e, err := expr.CompileExpression(text)
	if err != nil {
		return expr.Operand{}, err
	}
	var args []expr.Operand
	for _, name := range e.Names() {
		args = append(args, map[string]expr.Operand{
			"value": expr.FloatOf(21.5), "n": expr.IntOf(1000), "s": expr.TextOf("Ab c"), "t": expr.BoolOf(true),
			"l":    expr.ListOf(expr.IntOf(3), expr.IntOf(1), expr.FloatOf(2.5), expr.NoneOperand()),
			"none": expr.NoneOperand(),
		}[name])
	}
	return e.Eval(args)
}

// limited reports whether Python's value is one that the subset refuses on
// purpose: beyond a limit, or of a kind that it does not have.
func limited(err error, a evalAnswer) bool {
	if slices.Contains([]string{"complex", "tuple", "set", "dict", "ellipsis", "generator", "type", "builtin_function_or_method", "slice"}, a.Type) {
		return true
	}
	for _, reason := range []string{"more than", "too long", "steps", "not real", "nested too deep", "tuples", "that can be called", "only the functions", "is\" needs", "unexpected", "not a number", "not a method", "% between a text"} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}

// sameValue compares with Python's representation. A power of floats may differ
// in its last bits.
func sameValue(got expr.Operand, a evalAnswer) bool {
	if expr.Repr(got) == a.Repr {
		return true
	}
	if got.Kind() != expr.FloatOperand || a.Type != "float" {
		return false
	}
	x, err := strconv.ParseFloat(expr.Repr(got), 64)
	y, err2 := strconv.ParseFloat(a.Repr, 64)
	return err == nil && err2 == nil && math.Abs(x-y) <= 1e-14*math.Abs(y)
}

func (g generator) operand() string {
	switch g.IntN(9) {
	case 0:
		return g.pick("0", "1", "2", "3", "7", "10", "-1", "255", "9007199254740993", "9223372036854775807", "0x1F", "0b101", "1_000")
	case 1:
		return g.pick("0.0", "0.5", "1.5", "2.5", "-0.1", "1e3", "1e16", "1e-5", "1e300", "3.", ".25")
	case 2:
		return g.pick(`""`, `"a"`, `"Ab c"`, `'12'`, `" 7 "`, `'1.5'`, `"їжак"`, `'it\'s'`, `"x\ty"`, `'a"b'`)
	case 3:
		return g.pick("True", "False", "None")
	case 4:
		return "[" + g.pick("", "1", "3, 1, 2", `"b", "a"`, "None, 5", "[1], [2]", "0.5, 2", "1, 2, 3, 4, 5,") + "]"
	default:
		return g.pick("value", "n", "s", "l", "t", "none", "n", "value")
	}
}

func (g generator) expression(depth int) string {
	if depth == 0 {
		return g.operand()
	}
	x, y := func() string { return g.expression(depth - 1) }, func() string { return g.expression(g.IntN(depth)) }
	switch g.IntN(16) {
	case 0, 1, 2, 3:
		return x() + " " + g.pick("+", "-", "*", "/", "//", "%", "+", "*") + " " + y()
	case 4:
		return x() + g.pick("&", "|", "^", " << ", " >> ") + g.pick("1", "2", "7", "n", "t", "-1")
	case 5:
		return "(" + x() + ") ** " + g.pick("2", "3", "-1", "-2", "0", "0.5", "-0.5")
	case 6, 7:
		return x() + g.pick(" < ", " > ", " <= ", " >= ", " == ", " != ", " in ", " not in ") + y()
	case 8:
		return x() + g.pick(" is None", " is not None", " and ", " or ", " and not ") + g.pick("", "", y())
	case 9:
		return g.pick("not ", "-", "+", "~", "- -") + x()
	case 10:
		return x() + " if " + y() + " else " + x()
	case 11:
		return "(" + x() + ")[" + g.pick("0", "1", "-1", "9", ":", "1:", ":2", "-2:", "::2", "::-1", "1:9:3", "3:0:-1", "t", "n:", ":-n") + "]"
	case 12:
		return g.pick("[i for i in ", "[i * 2 for i in ", "[i is None for i in ", "[n for n in ") + y() + g.pick("]", " if i]", " if i is not None]", " if n]") + g.pick("", "[0]")
	case 13:
		return g.pick("s", `"a,b,,c"`, "' x  y '", "str(n)") + g.method()
	case 14:
		return g.pick("max", "min", "pow", "round", "int") + "(" + x() + ", " + g.pick("0", "1", "2", "-1", "-2", "16", "n") + ")"
	default:
		return g.pick("abs", "bool", "float", "int", "len", "max", "min", "round", "str", "sum", "sum", "str") + "(" + x() + ")"
	}
}

func (g generator) method() string {
	return g.pick(".upper()", ".lower()", ".strip()", ".lstrip()", `.rstrip("c")`, `.split()`, `.split(",")`, `.split(" ", 1)`,
		`.split(None, 1)`, `.split(None, 0)`, `.replace("b", "xy")`, `.replace("", "-", 2)`, `.startswith("A")`, `.endswith("c")`,
		`.join(["p", "q"])`, `.join(s)`, `.split(",", -1)`, `.strip(None)`, `.join([1])`, `.split("")`, `.replace(1, 2)`)
}

// tokens returns parts of expressions in any order.
func (g generator) tokens() string {
	var b strings.Builder
	for range 1 + g.IntN(6) {
		b.WriteString(g.pick("1 ", "2.5 ", "n ", "(", ")", "[", "]", "+", "-", "*", "**", "//", "<", "==", "not ", "and ", "if ", "else ", "in ",
			"is ", "None ", ",", ":", ".", "for i in ", "i ", "'a' ", "max(", "lambda ", "=", ";", "~", "\\", "#", "s.upper() ", "s.x ", "0x", "1_"))
	}
	return b.String()
}
