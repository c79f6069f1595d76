package expr

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// text returns s as an operand, unless it is too long.
func (ev *evaluation) text(n *node, s string) Operand {
	if len(s) > maxText {
		return ev.fail(n, "the text has more than %d bytes", maxText)
	}
	if !ev.spend(n, len(s)/256) {
		return Operand{}
	}
	return TextOf(s)
}

func (ev *evaluation) bytes(n *node, b []byte) Operand {
	if len(b) > maxText {
		return ev.fail(n, "there are more than %d bytes", maxText)
	}
	if !ev.spend(n, len(b)/256) {
		return Operand{}
	}
	return BytesOf(b)
}

func (ev *evaluation) concat(n *node, a, b Operand) Operand {
	switch {
	case a.kind != b.kind:
		return ev.operands(n, a, b)
	case a.kind == TextOperand:
		return ev.text(n, a.str+b.str)
	case a.kind == BytesOperand:
		return ev.bytes(n, slices.Concat(a.ref.raw, b.ref.raw))
	case a.kind == ListOperand:
		return ev.list(n, slices.Concat(a.ref.list, b.ref.list))
	default:
		return ev.operands(n, a, b)
	}
}

func (ev *evaluation) repeat(n *node, v, times Operand) Operand {
	size := length(v)
	if size < 0 {
		return ev.operands(n, v, times)
	}
	count := 0
	if times.bigInt().Sign() > 0 && size > 0 {
		if times.isLarge() || times.int() > maxText || int(times.int())*size > maxText {
			return ev.fail(n, "the result is too long")
		}
		count = int(times.int())
	}
	switch v.kind {
	case TextOperand:
		return ev.text(n, strings.Repeat(v.str, count))
	case BytesOperand:
		return ev.bytes(n, slices.Repeat(v.ref.raw, count))
	default:
		if count*size > maxItems {
			return ev.fail(n, "the list has more than %d elements", maxItems)
		}
		return ev.list(n, slices.Repeat(v.ref.list, count))
	}
}

// length returns the number of elements of v, of a text in bytes, or -1.
func length(v Operand) int {
	switch v.kind {
	case TextOperand:
		return len(v.str)
	case BytesOperand:
		return len(v.ref.raw)
	case ListOperand:
		return len(v.ref.list)
	default:
		return -1
	}
}

// elements returns the number of elements of v, of a text in characters.
func elements(v Operand) int {
	if v.kind == TextOperand {
		return utf8.RuneCountInString(v.str)
	}
	return length(v)
}

func (ev *evaluation) index(n *node, v, at Operand) Operand {
	if ev.failed {
		return Operand{}
	}
	size := elements(v)
	if size < 0 || !at.whole() {
		return ev.fail(n, "%s cannot be indexed with %s", kindName(v), kindName(at))
	}
	i := at.int()
	if i < 0 {
		i += int64(size)
	}
	if at.isLarge() || i < 0 || i >= int64(size) {
		return ev.fail(n, "index %s is outside of %d elements", at, size)
	}
	switch v.kind {
	case TextOperand:
		c, _ := character([]byte(v.str), int(i))
		ev.spend(n, len(v.str)/256)
		return TextOf(c)
	case BytesOperand:
		return IntOf(int64(v.ref.raw[i]))
	default:
		return v.ref.list[i]
	}
}

func (ev *evaluation) slice(n *node) Operand {
	v := ev.eval(n.args[0])
	size := elements(v)
	var ends [3]Operand
	for i, arg := range n.args[1:] {
		ends[i] = NoneOperand()
		if arg != nil {
			ends[i] = ev.eval(arg)
		}
		if !ev.failed && ends[i].kind != None && !ends[i].whole() {
			return ev.fail(n, "%s as the end of a slice", kindName(ends[i]))
		}
	}
	if ev.failed {
		return Operand{}
	}
	if size < 0 {
		return ev.fail(n, "%s cannot be sliced", kindName(v))
	}
	from, count, step, ok := resolveSlice(ends, size)
	if !ok {
		return ev.fail(n, "a slice with the step 0")
	}
	return ev.pick(n, v, from, count, step)
}

// resolveSlice returns the first element of a slice of size elements, how many
// it has, and the distance between them.
func resolveSlice(ends [3]Operand, size int) (from, count, step int, ok bool) {
	step = 1
	if ends[2].kind != None {
		step = clampIndex(ends[2], size+1)
	}
	if step == 0 {
		return 0, 0, 0, false
	}
	low, high := 0, size // the values that an end can have
	if step < 0 {
		low, high = -1, size-1
	}
	end := func(o Operand, open int) int {
		if o.kind == None {
			return open
		}
		i := clampIndex(o, 2*size+2)
		if i < 0 {
			i += size
		}
		return min(max(i, low), high)
	}
	if step > 0 {
		from = end(ends[0], low)
		count = (end(ends[1], high) - from + step - 1) / step
	} else {
		from = end(ends[0], high)
		count = (from - end(ends[1], low) - step - 1) / -step
	}
	return from, max(count, 0), step, true
}

// clampIndex returns an int as an index between -limit and limit.
func clampIndex(o Operand, limit int) int {
	if o.isLarge() {
		return o.ref.big.Sign() * limit
	}
	return int(min(max(o.int(), int64(-limit)), int64(limit)))
}

func (ev *evaluation) pick(n *node, v Operand, from, count, step int) Operand {
	switch v.kind {
	case TextOperand:
		if step == 1 && len(v.str) == elements(v) {
			return ev.text(n, v.str[from:from+count])
		}
		runes := []rune(v.str)
		out := make([]rune, 0, count)
		for i := range count {
			out = append(out, runes[from+i*step])
		}
		return ev.text(n, string(out))
	case BytesOperand:
		out := make([]byte, 0, count)
		for i := range count {
			out = append(out, v.ref.raw[from+i*step])
		}
		return ev.bytes(n, out)
	default:
		out := make([]Operand, 0, count)
		for i := range count {
			out = append(out, v.ref.list[from+i*step])
		}
		return ev.list(n, out)
	}
}
