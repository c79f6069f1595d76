package expr

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type pathToken struct {
	kind byte // one of the marks of the dialect, or one of the kinds below
	text string
	num  int
	at   int // offset in the expression
}

// Kinds of tokens that are not one character long.
const (
	tokenEnd      = 0
	tokenName     = 'a'
	tokenNumber   = '0'
	tokenOperator = '`'
	tokenDescend  = 'd'
	tokenWhere    = 'w'
)

type pathLexer struct {
	text string
	pos  int

	// Names may begin with a digit and have characters that are no marks of the
	// dialect, as in ${meter.1st/total}.
	loose bool
}

// next returns the next token: the tokens of jsonpath_rw, and names of letters
// of any script.
func (l *pathLexer) next() (pathToken, *SyntaxError) {
	for l.pos < len(l.text) && strings.IndexByte(" \t\n", l.text[l.pos]) >= 0 {
		l.pos++
	}
	t := pathToken{at: l.pos}
	if l.pos == len(l.text) {
		return t, nil
	}
	left := l.text[l.pos:]
	r, _ := utf8.DecodeRuneInString(left)
	switch c := left[0]; {
	case l.loose && looseEnd(left) > 0:
		return l.looseName(t, left)
	case nameStart(r):
		t.kind, t.text = tokenName, l.take(nameEnd(left))
		if t.text == "where" {
			t.kind = tokenWhere
		}
		return t, nil
	case isDigit(c), c == '-' && len(left) > 1 && isDigit(left[1]):
		return l.number(t, left)
	case c == '\'', c == '"', c == '`':
		return l.quoted(t, c)
	case strings.HasPrefix(left, ".."):
		t.kind = tokenDescend
		l.pos += 2
		return t, nil
	case strings.IndexByte("*.[]()$,:|&", c) >= 0:
		t.kind = c
		l.pos++
		return t, nil
	case strings.HasPrefix(left, "?"):
		return t, syntaxError(l.text, l.pos, "filters are not part of this dialect; use where")
	default:
		return t, syntaxError(l.text, l.pos, "unexpected %q; a name with such a character needs quotes", r)
	}
}

func (l *pathLexer) take(n int) string {
	s := l.text[l.pos : l.pos+n]
	l.pos += n
	return s
}

func nameStart(r rune) bool { return r == '_' || r == '@' || unicode.IsLetter(r) }

func nameEnd(text string) int {
	for i, r := range text {
		if !nameStart(r) && r != '-' && (r < '0' || r > '9') && (r < utf8.RuneSelf || !unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd)) {
			return i
		}
	}
	return len(text)
}

// looseEnd returns the length of the name that text begins with if marks alone
// end it, or 0 if that has no letter and is not a number, such as 1:2.
func looseEnd(text string) int {
	n := looseRun(text)
	if !strings.ContainsFunc(text[:n], unicode.IsLetter) && !wholeText([]byte(text[:n])) {
		return 0
	}
	return n
}

func looseRun(text string) int {
	if i := strings.IndexAny(text, ".[]()$,|&*?'\"`{} \t\n"); i >= 0 {
		return i
	}
	return len(text)
}

func (l *pathLexer) looseName(t pathToken, left string) (pathToken, *SyntaxError) {
	n := looseEnd(left)
	if wholeText([]byte(left[:n])) {
		return l.number(t, left)
	}
	t.kind, t.text = tokenName, l.take(n)
	if t.text == "where" {
		t.kind = tokenWhere
	}
	return t, nil
}

func (l *pathLexer) number(t pathToken, left string) (pathToken, *SyntaxError) {
	end := 1
	for end < len(left) && isDigit(left[end]) {
		end++
	}
	t.kind, t.text = tokenNumber, l.take(end)
	n, err := strconv.Atoi(t.text)
	if err != nil { // beyond every list
		n = openEnd
		if t.text[0] == '-' {
			n = -openEnd
		}
	}
	t.num = n
	return t, nil
}

// quoted reads a name in single or double quotes, or an operator in back quotes.
// A backslash takes the character after it as it is.
func (l *pathLexer) quoted(t pathToken, quote byte) (pathToken, *SyntaxError) {
	var b strings.Builder
	for l.pos++; l.pos < len(l.text); l.pos++ {
		c := l.text[l.pos]
		if c == quote {
			l.pos++
			t.kind, t.text = tokenName, b.String()
			if quote == '`' {
				t.kind = tokenOperator
			}
			return t, nil
		}
		if c == '\\' {
			if l.pos++; l.pos == len(l.text) || l.text[l.pos] == '\n' {
				break
			}
			c = l.text[l.pos]
		}
		b.WriteByte(c)
	}
	return t, syntaxError(l.text, t.at, "the quote %c is not closed", quote)
}
