package expr

type nodeKind uint8

const (
	constNode nodeKind = iota
	nameNode
	localNode   // the variable of a comprehension
	unaryNode   // op args[0]
	binaryNode  // args[0] op args[1]
	compareNode // args[0] ops[0] args[1] ops[1] ...
	andNode
	orNode
	notNode
	choiceNode // args[1] if args[0] else args[2]
	listNode
	loopNode  // args[0] for slot in args[1] if args[2:]
	indexNode // args[0][args[1]]
	sliceNode // args[0][args[1]:args[2]:args[3]]; nil: left out
	callNode
	methodNode
)

type node struct {
	kind  nodeKind
	at    int
	op    string
	ops   []string // of compareNode
	slot  int
	value Operand
	args  []*node
}

type expressionParser struct {
	lexer exprLexer
	token exprToken
	loops int
	err   *SyntaxError
}

func newExpressionParser(text string) (*expressionParser, error) {
	if len(text) > maxExpression {
		return nil, syntaxError(text[:32], 0, "the expression has more than %d bytes", maxExpression)
	}
	p := &expressionParser{lexer: exprLexer{text: text}}
	p.advance()
	return p, nil
}

func (p *expressionParser) advance() {
	if p.err != nil {
		return
	}
	if p.token, p.err = p.lexer.next(); p.err != nil {
		p.token = exprToken{at: p.token.at}
	}
}

func (p *expressionParser) fail(at int, format string, args ...any) *node {
	if p.err == nil {
		p.err = syntaxError(p.lexer.text, at, format, args...)
	}
	p.token = exprToken{at: at}
	return &node{}
}

func (p *expressionParser) unexpected() *node {
	if p.token.kind == exprEnd {
		return p.fail(p.token.at, "the expression is not complete")
	}
	return p.fail(p.token.at, "unexpected %q", p.lexer.text[p.token.at:p.lexer.pos])
}

func (p *expressionParser) is(mark string) bool {
	return p.token.kind == exprMark && p.token.text == mark
}

func (p *expressionParser) take(mark string) bool {
	if !p.is(mark) {
		return false
	}
	p.advance()
	return true
}

func (p *expressionParser) expect(mark string) {
	if !p.take(mark) && p.err == nil {
		p.unexpected()
	}
}

// condition parses x if c else y, which binds least.
func (p *expressionParser) condition(depth int) *node {
	if depth++; depth > maxNesting {
		return p.fail(p.token.at, "the expression is nested too deep")
	}
	x := p.disjunction(depth)
	at := p.token.at
	if !p.take("if") {
		return x
	}
	c := p.disjunction(depth)
	p.expect("else")
	return &node{kind: choiceNode, at: at, args: []*node{c, x, p.condition(depth)}}
}

func (p *expressionParser) disjunction(depth int) *node {
	n := &node{kind: orNode, at: p.token.at, args: []*node{p.conjunction(depth)}}
	for p.take("or") {
		n.args = append(n.args, p.conjunction(depth))
	}
	return single(n)
}

func (p *expressionParser) conjunction(depth int) *node {
	n := &node{kind: andNode, at: p.token.at, args: []*node{p.negation(depth)}}
	for p.take("and") {
		n.args = append(n.args, p.negation(depth))
	}
	return single(n)
}

func single(n *node) *node {
	if len(n.args) == 1 {
		return n.args[0]
	}
	return n
}

func (p *expressionParser) negation(depth int) *node {
	if depth++; depth > maxNesting {
		return p.fail(p.token.at, "the expression is nested too deep")
	}
	at := p.token.at
	if p.take("not") {
		return &node{kind: notNode, at: at, args: []*node{p.negation(depth)}}
	}
	n := &node{kind: compareNode, at: at, args: []*node{p.binary(0, depth)}}
	for {
		at := p.token.at
		op := p.comparison()
		if op == "" {
			return single(n)
		}
		right := p.binary(0, depth)
		if op == "is" || op == "is not" {
			p.identity(at, n.args[len(n.args)-1], right)
		}
		n.ops = append(n.ops, op)
		n.args = append(n.args, right)
	}
}

// identity refuses is between values that may be the same or not, as Python
// sees fit.
func (p *expressionParser) identity(at int, left, right *node) {
	for _, n := range [...]*node{left, right} {
		if n.kind == constNode && (n.value.kind == None || n.value.kind == BoolOperand) {
			return
		}
	}
	p.fail(at, `"is" needs None, True or False on one side; use == for other values`)
}

func (p *expressionParser) comparison() string {
	if p.token.kind != exprMark {
		return ""
	}
	switch op := p.token.text; op {
	case "<", ">", "<=", ">=", "==", "!=", "in":
		p.advance()
		return op
	case "not":
		p.advance()
		p.expect("in")
		return "not in"
	case "is":
		p.advance()
		if p.take("not") {
			return "is not"
		}
		return op
	default:
		return ""
	}
}

// tightness returns how tight a binary operator binds, 0 for what is none.
func tightness(op string) int {
	switch op {
	case "|":
		return 1
	case "^":
		return 2
	case "&":
		return 3
	case "<<", ">>":
		return 4
	case "+", "-":
		return 5
	case "*", "/", "//", "%":
		return 6
	default:
		return 0
	}
}

func (p *expressionParser) binary(level, depth int) *node {
	left := p.unary(depth)
	for p.token.kind == exprMark && p.err == nil {
		op, at := p.token.text, p.token.at
		tight := tightness(op)
		if tight <= level {
			return left
		}
		p.advance()
		left = &node{kind: binaryNode, at: at, op: op, args: []*node{left, p.binary(tight, depth)}}
	}
	return left
}

func (p *expressionParser) unary(depth int) *node {
	if depth++; depth > maxNesting {
		return p.fail(p.token.at, "the expression is nested too deep")
	}
	at, op := p.token.at, p.token.text
	if p.take("+") || p.take("-") || p.take("~") {
		return &node{kind: unaryNode, at: at, op: op, args: []*node{p.unary(depth)}}
	}
	base := p.primary(depth)
	at = p.token.at
	if p.take("**") {
		return &node{kind: binaryNode, at: at, op: "**", args: []*node{base, p.unary(depth)}}
	}
	return base
}

// primary parses an operand and the indexes and methods after it.
func (p *expressionParser) primary(depth int) *node {
	n := p.atom(depth)
	for p.err == nil {
		at := p.token.at
		switch {
		case p.take("["):
			n = p.subscript(n, at, depth)
		case p.take("."):
			n = p.method(n, at, depth)
		case p.is("("):
			return p.fail(at, "only the functions of the subset can be called")
		default:
			return n
		}
	}
	return n
}

func (p *expressionParser) subscript(n *node, at, depth int) *node {
	s := &node{kind: indexNode, at: at, args: []*node{n, nil, nil, nil}}
	for part := 1; ; part++ {
		if !p.is(":") && !p.is("]") {
			s.args[part] = p.condition(depth)
		}
		if part == 3 || !p.take(":") {
			break
		}
		s.kind = sliceNode
	}
	if s.kind == indexNode && s.args[1] == nil {
		return p.unexpected()
	}
	p.expect("]")
	return s
}

func (p *expressionParser) method(n *node, at, depth int) *node {
	m := &node{kind: methodNode, at: at, op: p.token.text, args: []*node{n}}
	if p.token.kind != exprName {
		return p.unexpected()
	}
	least, most, ok := textMethod(m.op)
	if !ok {
		return p.fail(p.token.at, "%q is not a method that can be called", m.op)
	}
	p.advance()
	p.expect("(")
	m.args = append(m.args, p.arguments(depth)...)
	if count := len(m.args) - 1; p.err == nil && (count < least || count > most) {
		return p.fail(at, "%s takes %d to %d arguments, not %d", m.op, least, most, count)
	}
	return m
}

func (p *expressionParser) atom(depth int) *node {
	t := p.token
	switch {
	case t.kind == exprValue:
		return p.constant(t)
	case t.kind == exprName:
		return p.named(t, depth)
	case p.take("("):
		n := p.condition(depth)
		if p.is(",") {
			return p.fail(p.token.at, "tuples are not supported; use a list")
		}
		p.expect(")")
		return n
	case p.take("["):
		return p.list(t.at, depth)
	default:
		return p.unexpected()
	}
}

// constant parses a number or a text; texts that follow each other are one.
func (p *expressionParser) constant(t exprToken) *node {
	p.advance()
	for t.value.kind == TextOperand && p.token.kind == exprValue && p.token.value.kind == TextOperand {
		t.value.str += p.token.value.str
		p.advance()
	}
	return &node{kind: constNode, at: t.at, value: t.value}
}

func (p *expressionParser) named(t exprToken, depth int) *node {
	p.advance()
	switch t.text {
	case "None":
		return &node{kind: constNode, at: t.at, value: NoneOperand()}
	case "True", "False":
		return &node{kind: constNode, at: t.at, value: BoolOf(t.text == "True")}
	}
	if p.is("(") {
		return p.call(t, depth)
	}
	return &node{kind: nameNode, at: t.at, op: t.text}
}

func (p *expressionParser) call(t exprToken, depth int) *node {
	least, most, ok := function(t.text)
	if !ok {
		return p.fail(t.at, "%q is not a function that can be called", t.text)
	}
	p.advance()
	n := &node{kind: callNode, at: t.at, op: t.text, args: p.arguments(depth)}
	if count := len(n.args); p.err == nil && (count < least || count > most) {
		return p.fail(t.at, "%s takes %d to %d arguments, not %d", t.text, least, most, count)
	}
	return n
}

// arguments parses what follows an opening parenthesis.
func (p *expressionParser) arguments(depth int) []*node {
	var args []*node
	for p.err == nil && !p.take(")") {
		at := p.token.at
		arg := p.condition(depth)
		if p.is("for") {
			if len(args) > 0 {
				p.unexpected()
				return nil
			}
			arg = p.loop(at, arg, depth)
			p.expect(")")
			return []*node{arg}
		}
		args = append(args, arg)
		if !p.take(",") && !p.is(")") && p.err == nil {
			p.unexpected()
		}
	}
	return args
}

func (p *expressionParser) list(at, depth int) *node {
	n := &node{kind: listNode, at: at}
	for p.err == nil && !p.take("]") {
		item := p.condition(depth)
		if p.is("for") && len(n.args) == 0 {
			item = p.loop(at, item, depth)
			p.expect("]")
			return item
		}
		n.args = append(n.args, item)
		if !p.take(",") && !p.is("]") && p.err == nil {
			p.unexpected()
		}
	}
	return n
}
