package expr

import (
	"fmt"
	"slices"
)

// Limits of one evaluation.
const (
	maxSteps = 10_000  // operations, elements of lists, and 256 bytes of a text
	maxText  = 1 << 16 // bytes of a text
	maxItems = 4096    // elements of a list
	maxBits  = 4096    // of an int
)

// An Expression is a compiled expression of the Python subset: numbers, texts,
// lists, None, True and False; + - * / // % ** & | ^ ~ << >>; comparisons, which
// may be chained, in, and is with None, True or False; and, or, not; x if c
// else y; indexing and slicing; a comprehension [x for i in list if c]; the
// functions abs, bool, float, int, len, max, min, pow, round, str and sum; and
// the text methods endswith, join, lower, lstrip, replace, rstrip, split,
// startswith, strip and upper. Everything means what it means in Python 3. There
// is nothing else: no statements, no other names, no attributes.
//
// An Expression is safe for concurrent use.
type Expression struct {
	text  string
	root  *node
	names []name
	loops int // comprehensions
}

type name struct {
	text string
	at   int
}

// CompileExpression compiles text, or returns a [*SyntaxError].
func CompileExpression(text string) (*Expression, error) {
	p, err := newExpressionParser(text)
	if err != nil {
		return nil, err
	}
	root := p.condition(0)
	if p.err == nil && p.token.kind != exprEnd {
		p.unexpected()
	}
	if p.err != nil {
		return nil, p.err
	}
	e := &Expression{text: text, root: root, loops: p.loops}
	e.collect(root)
	return e, nil
}

// String returns the text that e was compiled from.
func (e *Expression) String() string { return e.text }

// Names returns the names that e uses, in the order of the arguments of
// [Expression.Eval].
func (e *Expression) Names() []string {
	names := make([]string, len(e.names))
	for i, n := range e.names {
		names[i] = n.text
	}
	return names
}

// Check returns a [*SyntaxError] if e uses a name that is not one of known.
func (e *Expression) Check(known ...string) error {
	for _, n := range e.names {
		if !slices.Contains(known, n.text) {
			return syntaxError(e.text, n.at, "unknown name %q; known are %q", n.text, known)
		}
	}
	return nil
}

// Eval evaluates e. The arguments are the values of the names that [Expression.Names]
// returns, in its order; what is missing at the end is undefined. The error is an
// [*EvalError]: a division by zero, a wrong type, an index outside, a name
// without a value, or one of the limits: 10,000 steps, 64 KiB of text, 4096
// elements, 4096 bits.
func (e *Expression) Eval(args []Operand) (Operand, error) {
	ev := evaluation{args: args, steps: maxSteps}
	if e.loops > 0 {
		ev.locals = make([]Operand, e.loops)
	}
	v := ev.eval(e.root)
	if ev.failed {
		at := syntaxError(e.text, ev.at, "")
		return Operand{}, &EvalError{Text: e.text, Column: at.Column, Reason: ev.reason}
	}
	return v, nil
}

// An EvalError says why and where an expression has no value.
type EvalError struct {
	Text   string // the whole expression
	Column int    // of what failed, in characters, from 1
	Reason string
}

// Error names the expression and the column.
func (e *EvalError) Error() string {
	return fmt.Sprintf("%q: column %d: %s", e.Text, e.Column, e.Reason)
}
