package expr

import "slices"

// maxNesting bounds the parentheses and operators that stand inside each other.
const maxNesting = 64

// maxExpression is the length of the longest expression, in bytes.
const maxExpression = 4096

// parsePath parses a path of the jsonpath_rw dialect. Its grammar is
//
//	path    = path "." path | path ".." path | path "|" path | path "where" path
//	        | path "[" inside "]" | "(" path ")" | "[" inside "]"
//	        | "$" | "*" | names | "`this`" | "`parent`"
//	inside  = number | [number] ":" [number] | "*" | names
//	names   = name {"," name}
//
// where the operators bind tighter in this order: brackets (which apply to
// everything to their left), "..", ".", "|", "where".
//
// With loose names it accepts more: see pathLexer.
func parsePath(text string, loose bool) ([]step, error) {
	if len(text) > maxExpression {
		return nil, syntaxError(text[:32], 0, "the expression has more than %d bytes", maxExpression)
	}
	p := &pathParser{lexer: pathLexer{text: text, loose: loose}}
	p.advance()
	steps := p.path(0, 0)
	if p.err == nil && p.token.kind != tokenEnd {
		p.unexpected()
	}
	if p.err != nil {
		return nil, p.err
	}
	if steps == nil {
		steps = []step{} // this: the document itself
	}
	return steps, nil
}

type pathParser struct {
	lexer pathLexer
	token pathToken
	err   *SyntaxError
}

func (p *pathParser) advance() {
	if p.err != nil {
		return
	}
	if p.token, p.err = p.lexer.next(); p.err != nil {
		p.token = pathToken{at: p.token.at}
	}
}

func (p *pathParser) fail(at int, format string, args ...any) {
	if p.err == nil {
		p.err = syntaxError(p.lexer.text, at, format, args...)
	}
	p.token = pathToken{at: at}
}

func (p *pathParser) unexpected() {
	switch p.token.kind {
	case tokenEnd:
		p.fail(p.token.at, "the path is not complete")
	case tokenNumber:
		p.fail(p.token.at, "unexpected number %s", p.token.text)
	case tokenName, tokenOperator:
		p.fail(p.token.at, "unexpected %q", p.token.text)
	case tokenDescend:
		p.fail(p.token.at, `unexpected ".."`)
	case tokenWhere:
		p.fail(p.token.at, `unexpected "where"; as a name it needs quotes`)
	default:
		p.fail(p.token.at, "unexpected %q", p.token.kind)
	}
}

func (p *pathParser) expect(kind byte) {
	if p.token.kind != kind {
		p.unexpected()
		return
	}
	p.advance()
}

// binding returns how tight an operator binds, 0 for what is none.
func binding(kind byte) int {
	switch kind {
	case tokenDescend:
		return 1
	case '.':
		return 2
	case '|':
		return 3
	case '&':
		return 4
	case tokenWhere:
		return 5
	default:
		return 0
	}
}

// path parses operands and the operators between them that bind tighter than
// level.
func (p *pathParser) path(level, depth int) []step {
	if depth++; depth > maxNesting {
		p.fail(p.token.at, "the path is nested too deep")
		return nil
	}
	left := p.operand(depth)
	for p.err == nil {
		op := p.token
		if op.kind == '[' && level == 0 {
			left = append(left, p.brackets())
			continue
		}
		tight := binding(op.kind)
		if tight <= level {
			return left
		}
		if op.kind == '&' {
			p.fail(op.at, "intersections (&) have no results in this dialect")
			return nil
		}
		p.advance()
		left = combined(op.kind, left, p.path(tight, depth))
	}
	return nil
}

func combined(op byte, left, right []step) []step {
	switch op {
	case tokenDescend:
		return append(left, step{kind: descend, sub: right})
	case '|':
		return []step{{kind: union, sub: left, other: right}}
	case tokenWhere:
		return append(left, step{kind: where, sub: right})
	default:
		return append(left, right...)
	}
}

func (p *pathParser) operand(depth int) []step {
	t := p.token
	switch t.kind {
	case '(':
		p.advance()
		steps := p.path(0, depth)
		p.expect(')')
		return steps
	case '[':
		return []step{p.brackets()}
	case '$':
		p.advance()
		return []step{{kind: top}}
	case '*':
		p.advance()
		return []step{{kind: every}}
	case tokenName:
		return []step{p.names()}
	case tokenNumber:
		if !p.lexer.loose || t.text[0] == '-' {
			p.unexpected()
			return nil
		}
		p.advance()
		return []step{{kind: member, name: t.text}}
	case tokenOperator:
		p.advance()
		switch t.text {
		case "this":
			return nil
		case "parent":
			return []step{{kind: parent}}
		}
		p.fail(t.at, "unknown operator `%s`", t.text)
	default:
		p.unexpected()
	}
	return nil
}

func (p *pathParser) names() step {
	s := step{kind: member}
	for {
		s.names = append(s.names, p.token.text)
		p.expect(tokenName)
		if p.token.kind != ',' || p.err != nil {
			break
		}
		p.advance()
	}
	if slices.Contains(s.names, "*") { // quoted or not
		return step{kind: every}
	}
	if len(s.names) > 1 {
		s.kind = fields
		return s
	}
	s.name, s.names = s.names[0], nil
	return s
}

// brackets parses [n], [from:to], [*] and ['name', ...].
func (p *pathParser) brackets() step {
	p.expect('[')
	s := step{kind: slice, to: openEnd}
	switch p.token.kind {
	case tokenName:
		s = p.names()
	case '*':
		p.advance()
	case tokenNumber:
		s.from = p.token.num
		p.advance()
		if p.token.kind == ']' {
			s.kind = index
			break
		}
		p.end(&s)
	default:
		p.end(&s)
	}
	if p.token.kind == ':' {
		p.fail(p.token.at, "a slice of a list has no step")
	}
	p.expect(']')
	return s
}

func (p *pathParser) end(s *step) {
	p.expect(':')
	if p.token.kind == tokenNumber {
		s.to = p.token.num
		p.advance()
	}
}
