package expr

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"strings"
)

func (ev *evaluation) compareAll(n *node) Operand {
	left := ev.eval(n.args[0])
	for i, op := range n.ops {
		right := ev.eval(n.args[i+1])
		if ev.failed {
			return Operand{}
		}
		if !ev.compare(n, op, left, right) {
			return BoolOf(false)
		}
		left = right
	}
	return BoolOf(true)
}

func (ev *evaluation) compare(n *node, op string, a, b Operand) bool {
	switch op {
	case "==":
		return ev.equal(n, a, b)
	case "!=":
		return !ev.equal(n, a, b)
	case "is":
		return a.kind == b.kind && a.num == b.num && (a.kind == None || a.kind == BoolOperand)
	case "is not":
		return !ev.compare(n, "is", a, b)
	case "in":
		return ev.contains(n, a, b)
	case "not in":
		return !ev.contains(n, a, b)
	}
	c, ordered := ev.order(n, a, b)
	if !ordered {
		return false
	}
	switch op {
	case "<":
		return c < 0
	case ">":
		return c > 0
	case "<=":
		return c <= 0
	default:
		return c >= 0
	}
}

func (ev *evaluation) equal(n *node, a, b Operand) bool {
	switch {
	case a.number() && b.number():
		c, ordered := orderNumbers(a, b)
		return ordered && c == 0
	case a.kind != b.kind:
		return false
	case a.kind == TextOperand:
		return a.str == b.str
	case a.kind == BytesOperand:
		return bytes.Equal(a.ref.raw, b.ref.raw)
	case a.kind == ListOperand:
		if len(a.ref.list) != len(b.ref.list) {
			return false
		}
		for i, item := range a.ref.list {
			if !ev.spend(n, 1) || !ev.equal(n, item, b.ref.list[i]) {
				return false
			}
		}
		return true
	default:
		return true // None
	}
}

// order compares operands that have an order. It reports false for NaN, and
// fails for what has none.
func (ev *evaluation) order(n *node, a, b Operand) (c int, ordered bool) {
	switch {
	case a.number() && b.number():
		return orderNumbers(a, b)
	case a.kind == TextOperand && b.kind == TextOperand:
		return strings.Compare(a.str, b.str), true
	case a.kind == BytesOperand && b.kind == BytesOperand:
		return bytes.Compare(a.ref.raw, b.ref.raw), true
	case a.kind == ListOperand && b.kind == ListOperand:
		for i, item := range a.ref.list[:min(len(a.ref.list), len(b.ref.list))] {
			if !ev.spend(n, 1) {
				return 0, false
			}
			if !ev.equal(n, item, b.ref.list[i]) {
				return ev.order(n, item, b.ref.list[i])
			}
		}
		return cmp.Compare(len(a.ref.list), len(b.ref.list)), true
	default:
		ev.fail(n, "%s and %s have no order", kindName(a), kindName(b))
		return 0, false
	}
}

// orderNumbers compares exactly: an int with a float by their values.
func orderNumbers(a, b Operand) (c int, ordered bool) {
	if a.whole() && b.whole() {
		if a.isLarge() || b.isLarge() {
			return a.bigInt().Cmp(b.bigInt()), true
		}
		return cmp.Compare(a.int(), b.int()), true
	}
	if b.kind != FloatOperand {
		c, ordered = orderNumbers(b, a)
		return -c, ordered
	}
	f := b.float()
	if math.IsNaN(f) || a.kind == FloatOperand && math.IsNaN(a.float()) {
		return 0, false
	}
	if a.kind == FloatOperand {
		return cmp.Compare(a.float(), f), true
	}
	if math.IsInf(f, 0) {
		return cmp.Compare(0, f), true
	}
	if n := a.int(); !a.isLarge() && magnitude(n) <= 1<<53 {
		return cmp.Compare(float64(n), f), true
	}
	return new(big.Float).SetInt(a.bigInt()).Cmp(big.NewFloat(f)), true
}

func (ev *evaluation) contains(n *node, item, v Operand) bool {
	switch {
	case v.kind == TextOperand && item.kind == TextOperand:
		return strings.Contains(v.str, item.str)
	case v.kind == ListOperand:
		for _, x := range v.ref.list {
			if !ev.spend(n, 1) {
				return false
			}
			if ev.equal(n, item, x) {
				return true
			}
		}
		return false
	case v.kind == BytesOperand && item.whole() && !item.isLarge() && item.int() >= 0 && item.int() < 256:
		return bytes.IndexByte(v.ref.raw, byte(item.int())) >= 0
	case v.kind == BytesOperand && item.kind == BytesOperand:
		return bytes.Contains(v.ref.raw, item.ref.raw)
	default:
		ev.fail(n, "in between %s and %s", kindName(item), kindName(v))
		return false
	}
}
