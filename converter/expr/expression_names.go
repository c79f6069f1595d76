package expr

import "slices"

// loop parses for x in list if c, which follows the element of a comprehension.
func (p *expressionParser) loop(at int, element *node, depth int) *node {
	p.expect("for")
	variable := p.token.text
	if p.token.kind != exprName {
		return p.unexpected()
	}
	p.advance()
	if p.is(",") {
		return p.fail(p.token.at, "a comprehension has one variable")
	}
	p.expect("in")
	n := &node{kind: loopNode, at: at, slot: p.loops, args: []*node{element, p.disjunction(depth)}}
	p.loops++
	for p.take("if") {
		n.args = append(n.args, p.disjunction(depth))
	}
	if p.is("for") {
		return p.fail(p.token.at, "a comprehension has one for")
	}
	for i, arg := range n.args {
		if i != 1 { // the list does not know the variable
			bind(arg, variable, n.slot)
		}
	}
	return n
}

// bind makes the name below n the variable of a comprehension.
func bind(n *node, variable string, slot int) {
	if n == nil {
		return
	}
	if n.kind == nameNode && n.op == variable {
		n.kind, n.slot = localNode, slot
	}
	for _, arg := range n.args {
		bind(arg, variable, slot)
	}
}

// collect gives the names below n their places among the arguments.
func (e *Expression) collect(n *node) {
	if n == nil {
		return
	}
	if n.kind == nameNode {
		n.slot = slices.IndexFunc(e.names, func(known name) bool { return known.text == n.op })
		if n.slot < 0 {
			n.slot = len(e.names)
			e.names = append(e.names, name{text: n.op, at: n.at})
		}
	}
	for _, arg := range n.args {
		e.collect(arg)
	}
}
