package expr

import (
	"fmt"
	"math"
)

type evaluation struct {
	args   []Operand
	locals []Operand
	steps  int

	failed bool
	at     int // of the failure
	reason string
}

func (ev *evaluation) fail(n *node, format string, args ...any) Operand {
	if !ev.failed {
		ev.failed, ev.at, ev.reason = true, n.at, format
		if len(args) > 0 {
			ev.reason = fmt.Sprintf(format, args...)
		}
	}
	return Operand{}
}

// spend takes steps off what is left. It reports false if there are none.
func (ev *evaluation) spend(n *node, steps int) bool {
	if ev.steps -= steps; ev.steps < 0 {
		ev.fail(n, "the expression takes more than %d steps", maxSteps)
	}
	return !ev.failed
}

func (ev *evaluation) eval(n *node) Operand {
	if !ev.spend(n, 1) {
		return Operand{}
	}
	switch n.kind {
	case constNode:
		return n.value
	case nameNode:
		if n.slot >= len(ev.args) || ev.args[n.slot].kind == Undefined {
			return ev.fail(n, "%q has no value", n.op)
		}
		return ev.args[n.slot]
	case localNode:
		return ev.locals[n.slot]
	case unaryNode:
		return ev.unary(n, ev.eval(n.args[0]))
	case binaryNode:
		left := ev.eval(n.args[0])
		right := ev.eval(n.args[1])
		if ev.failed {
			return Operand{}
		}
		return ev.binary(n, left, right)
	case compareNode:
		return ev.compareAll(n)
	case andNode, orNode, notNode, choiceNode:
		return ev.choose(n)
	case indexNode:
		return ev.index(n, ev.eval(n.args[0]), ev.eval(n.args[1]))
	case sliceNode:
		return ev.slice(n)
	default:
		return ev.compound(n)
	}
}

func (ev *evaluation) compound(n *node) Operand {
	switch n.kind {
	case loopNode:
		return ev.loop(n)
	case callNode:
		return ev.call(n)
	}
	args := make([]Operand, len(n.args))
	for i, arg := range n.args {
		args[i] = ev.eval(arg)
	}
	if ev.failed {
		return Operand{}
	}
	if n.kind == methodNode {
		return ev.method(n, args[0], args[1:])
	}
	return ev.list(n, args)
}

func (ev *evaluation) list(n *node, items []Operand) Operand {
	if len(items) > maxItems {
		return ev.fail(n, "the list has more than %d elements", maxItems)
	}
	if !ev.spend(n, len(items)) {
		return Operand{}
	}
	return ListOf(items...)
}

func (ev *evaluation) loop(n *node) Operand {
	items, ok := ev.items(n, ev.eval(n.args[1]))
	if !ok {
		return Operand{}
	}
	var out []Operand
	for _, item := range items {
		ev.locals[n.slot] = item
		keep := true
		for _, condition := range n.args[2:] {
			if !truth(ev.eval(condition)) {
				keep = false
				break
			}
		}
		if !keep {
			continue
		}
		out = append(out, ev.eval(n.args[0]))
		if ev.failed || !ev.spend(n, 1) {
			return Operand{}
		}
	}
	return ev.list(n, out)
}

// items returns the elements of a list, a text or bytes.
func (ev *evaluation) items(n *node, v Operand) ([]Operand, bool) {
	if ev.failed {
		return nil, false
	}
	var items []Operand
	switch v.kind {
	case ListOperand:
		return v.ref.list, true
	case TextOperand:
		if len(v.str) > maxItems {
			ev.fail(n, "the text has more than %d characters", maxItems)
			return nil, false
		}
		for _, r := range v.str {
			items = append(items, TextOf(string(r)))
		}
	case BytesOperand:
		if len(v.ref.raw) > maxItems {
			ev.fail(n, "there are more than %d bytes", maxItems)
			return nil, false
		}
		for _, b := range v.ref.raw {
			items = append(items, IntOf(int64(b)))
		}
	default:
		ev.fail(n, "%s has no elements", kindName(v))
		return nil, false
	}
	return items, ev.spend(n, len(items))
}

func (ev *evaluation) choose(n *node) Operand {
	switch n.kind {
	case notNode:
		return BoolOf(!truth(ev.eval(n.args[0])))
	case choiceNode:
		if c := ev.eval(n.args[0]); ev.failed || !truth(c) {
			return ev.eval(n.args[2])
		}
		return ev.eval(n.args[1])
	}
	var v Operand
	for _, arg := range n.args {
		v = ev.eval(arg)
		if ev.failed || truth(v) == (n.kind == orNode) {
			break
		}
	}
	return v
}

// truth returns what Python's bool makes of v.
func truth(v Operand) bool {
	switch v.kind {
	case BoolOperand:
		return v.num != 0
	case IntOperand:
		return v.ref != nil || v.num != 0
	case FloatOperand:
		return v.float() != 0
	case TextOperand:
		return v.str != ""
	case BytesOperand:
		return len(v.ref.raw) > 0
	case ListOperand:
		return len(v.ref.list) > 0
	default:
		return false
	}
}

func kindName(v Operand) string {
	switch v.kind {
	case None:
		return "None"
	case BoolOperand:
		return "a bool"
	case IntOperand:
		return "an int"
	case FloatOperand:
		return "a float"
	case TextOperand:
		return "a text"
	case BytesOperand:
		return "bytes"
	case ListOperand:
		return "a list"
	default:
		return "nothing"
	}
}

func (ev *evaluation) unary(n *node, v Operand) Operand {
	switch {
	case ev.failed:
		return Operand{}
	case v.kind == FloatOperand && n.op == "-":
		return FloatOf(-v.float())
	case v.kind == FloatOperand && n.op == "+":
		return v
	case !v.whole():
		return ev.fail(n, "%s of %s", n.op, kindName(v))
	case n.op == "+":
		return promote(v)
	case v.ref == nil && v.int() != math.MinInt64:
		if n.op == "-" {
			return IntOf(-v.int())
		}
		return IntOf(^v.int())
	default:
		b := v.bigInt()
		if n.op == "-" {
			return bigOf(newInt().Neg(b))
		}
		return bigOf(newInt().Not(b))
	}
}

// promote returns a bool as an int, and anything else as it is.
func promote(v Operand) Operand {
	if v.kind == BoolOperand {
		v.kind = IntOperand
	}
	return v
}
