package expr

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// function returns the numbers of arguments of a function, or false if there is
// no such function.
func function(name string) (least, most int, ok bool) {
	switch name {
	case "bool", "float", "str":
		return 0, 1, true
	case "int":
		return 0, 2, true
	case "abs", "len":
		return 1, 1, true
	case "round", "sum":
		return 1, 2, true
	case "pow":
		return 2, 3, true
	case "max", "min":
		return 1, 64, true
	default:
		return 0, 0, false
	}
}

func (ev *evaluation) call(n *node) Operand {
	var few [3]Operand // all but max and min have no more
	args := few[:0]
	for _, arg := range n.args {
		args = append(args, ev.eval(arg))
	}
	if ev.failed {
		return Operand{}
	}
	switch n.op {
	case "max", "min":
		return ev.extreme(n, args)
	case "pow":
		return ev.pow(n, args)
	case "abs":
		return ev.abs(n, args[0])
	case "len":
		size := elements(args[0])
		if size < 0 {
			return ev.fail(n, "len of %s", kindName(args[0]))
		}
		return IntOf(int64(size))
	case "round":
		return ev.round(n, args)
	case "sum":
		return ev.sum(n, args)
	default:
		return ev.convert(n, args)
	}
}

func (ev *evaluation) convert(n *node, args []Operand) Operand {
	switch n.op {
	case "bool":
		return BoolOf(len(args) > 0 && truth(args[0]))
	case "str":
		if len(args) == 0 {
			return TextOf("")
		}
		if args[0].kind == BytesOperand {
			return ev.fail(n, "str of bytes")
		}
		if !ev.spend(n, max(elements(args[0]), 0)/64) {
			return Operand{}
		}
		return ev.text(n, args[0].String())
	case "float":
		if len(args) == 0 {
			return FloatOf(0)
		}
		return ev.floatOf(n, args[0])
	default:
		return ev.intOf(n, args)
	}
}

func (ev *evaluation) floatOf(n *node, v Operand) Operand {
	if v.kind == TextOperand {
		f, ok := parseFloat([]byte(strings.Trim(v.str, pythonBlanks)))
		if !ok {
			return ev.fail(n, "%.40q is not a number", v.str)
		}
		return FloatOf(f)
	}
	if !v.number() {
		return ev.fail(n, "float of %s", kindName(v))
	}
	return FloatOf(ev.toFloat(n, v))
}

func (ev *evaluation) intOf(n *node, args []Operand) Operand {
	if len(args) == 0 {
		return IntOf(0)
	}
	v := args[0]
	if len(args) == 2 && (v.kind != TextOperand || !args[1].whole() || args[1].isLarge()) {
		return ev.fail(n, "int with a base takes a text and an int")
	}
	switch {
	case v.whole():
		return promote(v)
	case v.kind == FloatOperand:
		return ev.truncate(n, v.float())
	case v.kind != TextOperand:
		return ev.fail(n, "int of %s", kindName(v))
	}
	base := int64(10)
	if len(args) == 2 {
		base = args[1].int()
	}
	return ev.parseInt(n, v.str, base)
}

// truncate returns the whole part of f as an int.
func (ev *evaluation) truncate(n *node, f float64) Operand {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return ev.fail(n, "%v is not a whole number", f)
	}
	if math.Abs(f) < 1<<62 {
		return IntOf(int64(f))
	}
	b, _ := big.NewFloat(f).Int(nil)
	return bigOf(b)
}

func (ev *evaluation) parseInt(n *node, text string, base int64) Operand {
	if base != 0 && (base < 2 || base > 36) {
		return ev.fail(n, "the base of an int is 0 or 2 to 36")
	}
	digits := strings.Trim(text, pythonBlanks)
	sign := ""
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		sign, digits = strings.TrimPrefix(digits[:1], "+"), digits[1:]
	}
	prefixed := false
	if len(digits) > 2 && digits[0] == '0' {
		i := strings.IndexByte("xXoObB", digits[1])
		if i >= 0 && (base == 0 || base == int64([]int{16, 8, 2}[i/2])) {
			base = int64([]int{16, 8, 2}[i/2])
			digits, prefixed = digits[2:], true
		}
	}
	if base == 0 {
		base = 10
		if len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0_") != "" {
			base = 1 // no number
		}
	}
	if prefixed {
		digits = strings.TrimPrefix(digits, "_")
	}
	bare := strings.ReplaceAll(digits, "_", "")
	separated := !strings.HasPrefix(digits, "_") && !strings.HasSuffix(digits, "_") && !strings.Contains(digits, "__")
	if base < 2 || bare == "" || !separated || len(bare) > maxBits || bare[0] == '-' || bare[0] == '+' {
		return ev.fail(n, "%.40q is not an int", text)
	}
	r, ok := new(big.Int).SetString(sign+bare, int(base))
	if !ok {
		return ev.fail(n, "%.40q is not an int", text)
	}
	return ev.bounded(n, r)
}

func (ev *evaluation) abs(n *node, v Operand) Operand {
	switch {
	case v.kind == FloatOperand:
		return FloatOf(math.Abs(v.float()))
	case !v.whole():
		return ev.fail(n, "abs of %s", kindName(v))
	case v.isLarge() || v.int() == math.MinInt64:
		return bigOf(newInt().Abs(v.bigInt()))
	default:
		return IntOf(max(v.int(), -v.int()))
	}
}

func (ev *evaluation) extreme(n *node, args []Operand) Operand {
	if len(args) == 1 {
		items, ok := ev.items(n, args[0])
		if !ok {
			return Operand{}
		}
		if len(items) == 0 {
			return ev.fail(n, "%s of nothing", n.op)
		}
		args = items
	}
	best := args[0]
	for _, v := range args[1:] {
		if !ev.spend(n, 1) {
			return Operand{}
		}
		c, ordered := ev.order(n, v, best)
		if ev.failed {
			return Operand{}
		}
		if ordered && (n.op == "max" && c > 0 || n.op == "min" && c < 0) {
			best = v
		}
	}
	return best
}

func (ev *evaluation) pow(n *node, args []Operand) Operand {
	op := *n
	op.op = "**"
	if len(args) == 2 || args[2].kind == None {
		if !args[0].number() || !args[1].number() {
			return ev.operands(&op, args[0], args[1])
		}
		return ev.binary(&op, args[0], args[1])
	}
	if !args[0].whole() || !args[1].whole() || !args[2].whole() {
		return ev.fail(n, "pow with a modulus takes ints")
	}
	if !ev.spend(n, 1+args[1].bigInt().BitLen()/4) {
		return Operand{}
	}
	base, exponent, modulus := args[0].bigInt(), args[1].bigInt(), args[2].bigInt()
	if modulus.Sign() == 0 {
		return ev.fail(n, "division by zero")
	}
	size := newInt().Abs(modulus)
	if exponent.Sign() < 0 {
		if base = newInt().ModInverse(newInt().Mod(base, size), size); base == nil {
			return ev.fail(n, "the base has no inverse for this modulus")
		}
		exponent = newInt().Neg(exponent)
	}
	r := newInt().Exp(newInt().Mod(base, size), exponent, size)
	if r.Sign() != 0 && modulus.Sign() < 0 {
		r.Add(r, modulus)
	}
	return bigOf(r)
}

func (ev *evaluation) sum(n *node, args []Operand) Operand {
	items, ok := ev.items(n, args[0])
	if !ok {
		return Operand{}
	}
	total := IntOf(0)
	if len(args) == 2 {
		total = args[1]
	}
	add := *n
	add.op = "+"
	if total.kind == TextOperand || total.kind == BytesOperand {
		return ev.fail(n, "sum from %s", kindName(total))
	}
	for _, item := range items {
		if total = ev.binary(&add, total, item); ev.failed || !ev.spend(n, 1) {
			return Operand{}
		}
	}
	return total
}

// round rounds to the nearest, and from the middle to the even digit.
func (ev *evaluation) round(n *node, args []Operand) Operand {
	v := args[0]
	if !v.number() {
		return ev.fail(n, "round of %s", kindName(v))
	}
	if len(args) == 1 || args[1].kind == None {
		if v.kind == FloatOperand {
			return ev.truncate(n, math.RoundToEven(v.float()))
		}
		return promote(v)
	}
	if !args[1].whole() {
		return ev.fail(n, "round to %s digits", kindName(args[1]))
	}
	digits := clampIndex(args[1], maxBits)
	if v.kind == FloatOperand {
		return ev.roundFloat(n, v.float(), digits)
	}
	if digits >= 0 {
		return promote(v)
	}
	return bigOf(roundWhole(v.bigInt(), -digits))
}

// roundWhole rounds to a multiple of the given power of ten.
func roundWhole(v *big.Int, power int) *big.Int {
	unit := newInt().Exp(big.NewInt(10), big.NewInt(int64(power)), nil)
	q, r := newInt().DivMod(v, unit, newInt())
	twice := newInt().Lsh(r, 1)
	if c := twice.Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return q.Mul(q, unit)
}

func (ev *evaluation) roundFloat(n *node, f float64, digits int) Operand {
	if math.IsNaN(f) || math.IsInf(f, 0) || f == 0 || digits > 323 {
		return FloatOf(f)
	}
	if digits >= 0 {
		r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		if err != nil {
			return ev.fail(n, "the result is too large for a float")
		}
		return FloatOf(r)
	}
	if digits < -308 {
		return FloatOf(math.Copysign(0, f))
	}
	unit := new(big.Rat).SetInt(newInt().Exp(big.NewInt(10), big.NewInt(int64(-digits)), nil))
	exact := new(big.Rat).SetFloat64(f)
	exact.Quo(exact, unit)
	q, r := newInt().DivMod(exact.Num(), exact.Denom(), newInt())
	if c := newInt().Lsh(r, 1).Cmp(exact.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	rounded, _ := new(big.Rat).Mul(new(big.Rat).SetInt(q), unit).Float64()
	if math.IsInf(rounded, 0) {
		return ev.fail(n, "the result is too large for a float")
	}
	return FloatOf(math.Copysign(rounded, f))
}
