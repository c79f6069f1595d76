package expr

import (
	"math"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of an arithmetic expression.
const maxDepth = 64

// Arithmetic evaluates a text of numbers, + - * / // % **, and parentheses, with
// the meaning that they have in Python. It reports false for any other text and
// for a division by zero. Nothing else can be expressed: no names, no calls.
func Arithmetic(text string) (float64, bool) {
	p := &arithmetic{rest: text}
	f := p.sum(0)
	p.blanks()
	return f, !p.bad && p.rest == ""
}

type arithmetic struct {
	rest string
	bad  bool
}

func (p *arithmetic) blanks() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take consumes op if it is next.
func (p *arithmetic) take(op string) bool {
	p.blanks()
	rest, ok := strings.CutPrefix(p.rest, op)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *arithmetic) fail() float64 {
	p.bad = true
	return 0
}

func (p *arithmetic) sum(depth int) float64 {
	f := p.product(depth)
	for !p.bad {
		switch {
		case p.take("+"):
			f += p.product(depth)
		case p.take("-"):
			f -= p.product(depth)
		default:
			return f
		}
	}
	return f
}

func (p *arithmetic) product(depth int) float64 {
	f := p.sign(depth)
	for !p.bad {
		switch {
		case p.take("//"):
			f = math.Floor(f / p.divisor(depth))
		case p.take("/"):
			f /= p.divisor(depth)
		case p.take("%"):
			d := p.divisor(depth)
			f -= d * math.Floor(f/d)
		case !strings.HasPrefix(p.rest, "**") && p.take("*"):
			f *= p.sign(depth)
		default:
			return f
		}
	}
	return f
}

func (p *arithmetic) divisor(depth int) float64 {
	d := p.sign(depth)
	if d == 0 {
		p.fail()
		return 1
	}
	return d
}

func (p *arithmetic) sign(depth int) float64 {
	if depth++; depth > maxDepth {
		return p.fail()
	}
	switch {
	case p.take("-"):
		return -p.sign(depth)
	case p.take("+"):
		return p.sign(depth)
	}
	return p.power(depth)
}

func (p *arithmetic) power(depth int) float64 {
	base := p.operand(depth)
	if p.bad || !p.take("**") {
		return base
	}
	f := math.Pow(base, p.sign(depth))
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return p.fail()
	}
	return f
}

func (p *arithmetic) operand(depth int) float64 {
	if p.take("(") {
		f := p.sum(depth)
		if !p.take(")") {
			return p.fail()
		}
		return f
	}
	end := 0
	for end < len(p.rest) && p.inNumber(end) {
		end++
	}
	f, err := strconv.ParseFloat(p.rest[:end], 64)
	if err != nil {
		return p.fail()
	}
	p.rest = p.rest[end:]
	return f
}

func (p *arithmetic) inNumber(i int) bool {
	switch c := p.rest[i]; {
	case isDigit(c), c == '.':
		return true
	case c == 'e', c == 'E':
		return i > 0
	case c == '+', c == '-':
		return i > 0 && (p.rest[i-1] == 'e' || p.rest[i-1] == 'E')
	default:
		return false
	}
}
