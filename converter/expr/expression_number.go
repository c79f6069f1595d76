package expr

import (
	"math"
	"math/big"
	"math/bits"
)

func newInt() *big.Int { return new(big.Int) }

// binary applies an operator to two operands.
func (ev *evaluation) binary(n *node, a, b Operand) Operand {
	if a.number() && b.number() {
		if a.kind == FloatOperand || b.kind == FloatOperand {
			return ev.floats(n, a, b)
		}
		return ev.ints(n, a, b)
	}
	switch {
	case n.op == "+":
		return ev.concat(n, a, b)
	case n.op == "*" && a.whole():
		return ev.repeat(n, b, a)
	case n.op == "*" && b.whole():
		return ev.repeat(n, a, b)
	default:
		return ev.operands(n, a, b)
	}
}

func (ev *evaluation) operands(n *node, a, b Operand) Operand {
	return ev.fail(n, "%s between %s and %s", n.op, kindName(a), kindName(b))
}

func (ev *evaluation) ints(n *node, a, b Operand) Operand {
	switch n.op {
	case "&", "|", "^":
		return ev.bitwise(n, a, b)
	case "<<", ">>":
		return ev.shift(n, a, b)
	case "/":
		return ev.divide(n, a, b)
	case "**":
		return ev.power(n, a, b)
	case "//", "%":
		return ev.floorDivide(n, a, b)
	}
	if !a.isLarge() && !b.isLarge() {
		if r, ok := small(n.op, a.int(), b.int()); ok {
			return IntOf(r)
		}
	}
	r := newInt()
	switch n.op {
	case "+":
		r.Add(a.bigInt(), b.bigInt())
	case "-":
		r.Sub(a.bigInt(), b.bigInt())
	default:
		r.Mul(a.bigInt(), b.bigInt())
	}
	return ev.bounded(n, r)
}

// small computes with ints that fit 64 bits. It reports false if the result
// does not.
func small(op string, a, b int64) (int64, bool) {
	switch op {
	case "+":
		r := a + b
		return r, (r > a) == (b > 0)
	case "-":
		r := a - b
		return r, (r < a) == (b > 0)
	default:
		hi, lo := bits.Mul64(magnitude(a), magnitude(b))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		if (a < 0) != (b < 0) {
			return -int64(lo), true
		}
		return int64(lo), true
	}
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func (ev *evaluation) bounded(n *node, r *big.Int) Operand {
	if r.BitLen() > maxBits {
		return ev.fail(n, "the number has more than %d bits", maxBits)
	}
	return bigOf(r)
}

func (ev *evaluation) bitwise(n *node, a, b Operand) Operand {
	if a.isLarge() || b.isLarge() {
		r, x, y := newInt(), a.bigInt(), b.bigInt()
		switch n.op {
		case "&":
			r.And(x, y)
		case "|":
			r.Or(x, y)
		default:
			r.Xor(x, y)
		}
		return bigOf(r)
	}
	var r int64
	switch n.op {
	case "&":
		r = a.int() & b.int()
	case "|":
		r = a.int() | b.int()
	default:
		r = a.int() ^ b.int()
	}
	if a.kind == BoolOperand && b.kind == BoolOperand {
		return BoolOf(r != 0)
	}
	return IntOf(r)
}

func (ev *evaluation) shift(n *node, a, b Operand) Operand {
	if b.bigInt().Sign() < 0 {
		return ev.fail(n, "a shift by a negative number")
	}
	if n.op == ">>" {
		count := uint(maxBits)
		if !b.isLarge() && b.int() < maxBits {
			count = uint(b.int())
		}
		return bigOf(newInt().Rsh(a.bigInt(), count))
	}
	if !truth(a) {
		return IntOf(0)
	}
	if b.isLarge() || b.int() > maxBits {
		return ev.fail(n, "the number has more than %d bits", maxBits)
	}
	return ev.bounded(n, newInt().Lsh(a.bigInt(), uint(b.int())))
}

// divide returns the float nearest to a/b.
func (ev *evaluation) divide(n *node, a, b Operand) Operand {
	if !truth(b) {
		return ev.fail(n, "division by zero")
	}
	const exact = 1 << 53
	if !a.isLarge() && !b.isLarge() && magnitude(a.int()) <= exact && magnitude(b.int()) <= exact {
		if a.int() == 0 {
			return FloatOf(0) // never -0, as the quotient of ints
		}
		return FloatOf(float64(a.int()) / float64(b.int()))
	}
	f, _ := new(big.Rat).SetFrac(a.bigInt(), b.bigInt()).Float64()
	if math.IsInf(f, 0) {
		return ev.fail(n, "the result is too large for a float")
	}
	return FloatOf(f)
}

// floorDivide rounds down, also below zero; the remainder has the sign of b.
func (ev *evaluation) floorDivide(n *node, a, b Operand) Operand {
	if !truth(b) {
		return ev.fail(n, "division by zero")
	}
	if !a.isLarge() && !b.isLarge() && (a.int() != math.MinInt64 || b.int() != -1) {
		q, r := a.int()/b.int(), a.int()%b.int()
		if r != 0 && (r < 0) != (b.int() < 0) {
			q, r = q-1, r+b.int()
		}
		if n.op == "%" {
			return IntOf(r)
		}
		return IntOf(q)
	}
	d := b.bigInt()
	q, r := newInt().QuoRem(a.bigInt(), d, newInt())
	if r.Sign() != 0 && (r.Sign() < 0) != (d.Sign() < 0) {
		q.Sub(q, big.NewInt(1))
		r.Add(r, d)
	}
	if n.op == "%" {
		return bigOf(r)
	}
	return bigOf(q)
}

func (ev *evaluation) power(n *node, a, b Operand) Operand {
	base, exponent := a.bigInt(), b.bigInt()
	if exponent.Sign() < 0 {
		return ev.floats(n, a, b)
	}
	if base.BitLen() <= 1 && base.Sign() >= 0 { // 0 and 1, to any power
		if exponent.Sign() == 0 {
			return IntOf(1)
		}
		return promote(a)
	}
	if base.BitLen() == 1 { // -1
		return IntOf(1 - 2*int64(exponent.Bit(0)))
	}
	if b.isLarge() || b.int()*int64(base.BitLen()-1) > maxBits || b.int() > maxBits {
		return ev.fail(n, "the number has more than %d bits", maxBits)
	}
	return ev.bounded(n, newInt().Exp(base, exponent, nil))
}

// toFloat returns the float nearest to a number.
func (ev *evaluation) toFloat(n *node, v Operand) float64 {
	if v.kind == FloatOperand {
		return v.float()
	}
	if !v.isLarge() {
		return float64(v.int())
	}
	f, _ := new(big.Float).SetInt(v.ref.big).Float64()
	if math.IsInf(f, 0) {
		ev.fail(n, "the int is too large for a float")
	}
	return f
}

func (ev *evaluation) floats(n *node, a, b Operand) Operand {
	x, y := ev.toFloat(n, a), ev.toFloat(n, b)
	if ev.failed {
		return Operand{}
	}
	if y == 0 && (n.op == "/" || n.op == "//" || n.op == "%") {
		return ev.fail(n, "division by zero")
	}
	switch n.op {
	case "+":
		return FloatOf(x + y)
	case "-":
		return FloatOf(x - y)
	case "*":
		return FloatOf(x * y)
	case "/":
		return FloatOf(x / y)
	case "//":
		q, _ := floorMod(x, y)
		return FloatOf(q)
	case "%":
		_, r := floorMod(x, y)
		return FloatOf(r)
	case "**":
		return ev.floatPower(n, x, y)
	default:
		return ev.operands(n, a, b)
	}
}

// floorMod divides as Python does: r has the sign of y, and q is whole.
func floorMod(x, y float64) (q, r float64) {
	r = math.Mod(x, y)
	q = (x - r) / y
	if r == 0 {
		r = math.Copysign(0, y)
	} else if (r < 0) != (y < 0) {
		r += y
		q--
	}
	if q == 0 {
		return math.Copysign(0, x/y), r
	}
	whole := math.Floor(q)
	if q-whole > 0.5 {
		whole++
	}
	return whole, r
}

func (ev *evaluation) floatPower(n *node, x, y float64) Operand {
	switch {
	case x == 0 && y < 0:
		return ev.fail(n, "zero to a negative power")
	case x < 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0) && y != math.Trunc(y):
		return ev.fail(n, "a negative number to a fractional power is not real")
	}
	f := power(x, y)
	if math.IsInf(f, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return ev.fail(n, "the result is too large for a float")
	}
	return FloatOf(f)
}

// power is math.Pow, to the last bit for whole exponents such as those of
// 10 ** -2.
func power(x, y float64) float64 {
	const most = 1100
	if y != math.Trunc(y) || math.Abs(y) > most || x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return math.Pow(x, y)
	}
	const precision = 256
	base := new(big.Float).SetPrec(precision).SetFloat64(x)
	r := new(big.Float).SetPrec(precision).SetInt64(1)
	for e := int(math.Abs(y)); e > 0; e >>= 1 {
		if e&1 == 1 {
			r.Mul(r, base)
		}
		base.Mul(base, base)
	}
	if y < 0 {
		r.Quo(new(big.Float).SetInt64(1), r)
	}
	f, _ := r.Float64()
	return f
}
