package expr

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type exprTokenKind uint8

const (
	exprEnd exprTokenKind = iota
	exprName
	exprValue // a number or a text
	exprMark  // an operator, a parenthesis, or a keyword that is one
)

type exprToken struct {
	kind  exprTokenKind
	text  string
	value Operand
	at    int
}

// exprKeyword reports whether name is a word of the subset that is no name.
func exprKeyword(name string) bool {
	switch name {
	case "and", "or", "not", "if", "else", "in", "is", "for":
		return true
	default:
		return false
	}
}

// exprForbidden reports whether name is a word of Python that is not part of
// the subset.
func exprForbidden(name string) bool {
	switch name {
	case "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "except", "finally",
		"from", "global", "import", "lambda", "nonlocal", "pass", "raise", "return", "try", "while", "with", "yield":
		return true
	default:
		return false
	}
}

type exprLexer struct {
	text string
	pos  int
}

func (l *exprLexer) next() (exprToken, *SyntaxError) {
	for l.pos < len(l.text) && strings.IndexByte(" \t\r\n\f", l.text[l.pos]) >= 0 {
		l.pos++
	}
	t := exprToken{at: l.pos}
	left := l.text[l.pos:]
	if left == "" {
		return t, nil
	}
	r, _ := utf8.DecodeRuneInString(left)
	switch {
	case isDigit(left[0]), len(left) > 1 && left[0] == '.' && isDigit(left[1]):
		return l.number(t, left)
	case r == '_' || unicode.IsLetter(r):
		return l.word(t, left)
	case r == '\'' || r == '"':
		return l.literal(t, false)
	}
	for _, mark := range [...]string{"**", "//", "<<", ">>", "<=", ">=", "==", "!="} {
		if strings.HasPrefix(left, mark) {
			t.kind, t.text = exprMark, mark
			l.pos += 2
			return t, nil
		}
	}
	if strings.IndexByte("+-*/%&|^~<>()[],:.", left[0]) < 0 {
		return t, syntaxError(l.text, l.pos, "unexpected %q", r)
	}
	t.kind, t.text = exprMark, left[:1]
	l.pos++
	return t, nil
}

func (l *exprLexer) word(t exprToken, left string) (exprToken, *SyntaxError) {
	end := len(left)
	for i, r := range left {
		if r != '_' && !unicode.IsLetter(r) && !unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc) {
			end = i
			break
		}
	}
	t.kind, t.text = exprName, left[:end]
	if end < len(left) && (left[end] == '\'' || left[end] == '"') {
		if t.text == "r" || t.text == "R" {
			l.pos++
			return l.literal(t, true)
		}
		return t, syntaxError(l.text, l.pos, "texts with the prefix %q are not supported", t.text)
	}
	l.pos += end
	if exprForbidden(t.text) {
		return t, syntaxError(l.text, t.at, "%q is not supported", t.text)
	}
	if exprKeyword(t.text) {
		t.kind = exprMark
	}
	return t, nil
}

// number reads a decimal, hexadecimal, octal or binary int, or a float.
func (l *exprLexer) number(t exprToken, left string) (exprToken, *SyntaxError) {
	end := 0
	based := len(left) > 1 && left[0] == '0' && strings.IndexByte("xXoObB", left[1]) >= 0
	for end < len(left) {
		c := left[end]
		exponent := !based && end > 0 && (left[end-1] == 'e' || left[end-1] == 'E') && (c == '+' || c == '-')
		if !exponent && c != '.' && c != '_' && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			break
		}
		end++
	}
	t.kind, t.text = exprValue, left[:end]
	l.pos += end
	if !validUnderscores(t.text) {
		return t, syntaxError(l.text, t.at, "%q is not a number", t.text)
	}
	digits := strings.ReplaceAll(t.text, "_", "")
	if len(digits) > maxBits/3 {
		return t, syntaxError(l.text, t.at, "the number has too many digits")
	}
	if based || wholeText([]byte(digits)) {
		leading := !based && digits[0] == '0' && strings.Trim(digits, "0") != ""
		base := 10
		if based {
			base = 0
		}
		n, ok := new(big.Int).SetString(digits, base)
		if !ok || leading || n.BitLen() > maxBits {
			return t, syntaxError(l.text, t.at, "%q is not a number", t.text)
		}
		t.value = bigOf(n)
		return t, nil
	}
	f, ok := parseFloat([]byte(digits))
	if !ok {
		return t, syntaxError(l.text, t.at, "%q is not a number", t.text)
	}
	t.value = FloatOf(f)
	return t, nil
}

// validUnderscores reports whether each underscore of a number stands between
// two digits.
func validUnderscores(text string) bool {
	for i := range len(text) {
		if text[i] != '_' {
			continue
		}
		if i == 0 || i == len(text)-1 || text[i+1] == '_' || text[i+1] == '.' || text[i-1] == '.' {
			return false
		}
		based := i == 2 && text[0] == '0' // 0x_ff
		if !based && !isHexDigit(text[i-1]) || !isHexDigit(text[i+1]) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// literal reads a text in single or double quotes.
func (l *exprLexer) literal(t exprToken, raw bool) (exprToken, *SyntaxError) {
	quote := l.text[l.pos]
	if strings.HasPrefix(l.text[l.pos:], strings.Repeat(string(quote), 3)) {
		return t, syntaxError(l.text, l.pos, "texts in triple quotes are not supported")
	}
	var b strings.Builder
	for l.pos++; l.pos < len(l.text); {
		c := l.text[l.pos]
		switch {
		case c == quote:
			l.pos++
			t.kind, t.value = exprValue, TextOf(b.String())
			return t, nil
		case c == '\n':
			return t, syntaxError(l.text, l.pos, "the text is not closed")
		case c == '\\' && l.pos+1 < len(l.text):
			if raw {
				b.WriteString(l.text[l.pos : l.pos+2])
				l.pos += 2
				continue
			}
			if err := l.escape(&b); err != nil {
				return t, err
			}
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
	return t, syntaxError(l.text, t.at, "the text is not closed")
}

func (l *exprLexer) escape(b *strings.Builder) *SyntaxError {
	c := l.text[l.pos+1]
	if i := strings.IndexByte(`\'"abfnrtv`, c); i >= 0 {
		b.WriteByte("\\'\"\a\b\f\n\r\t\v"[i])
		l.pos += 2
		return nil
	}
	digits, base, from := 0, 16, l.pos+2
	switch {
	case c == 'x':
		digits = 2
	case c == 'u':
		digits = 4
	case c == 'U':
		digits = 8
	case c >= '0' && c <= '7':
		base, from = 8, l.pos+1
		for digits < 3 && from+digits < len(l.text) && l.text[from+digits] >= '0' && l.text[from+digits] <= '7' {
			digits++
		}
	case c == '\n', c == 'N':
		return syntaxError(l.text, l.pos, "this escape is not supported")
	default: // Python keeps the backslash
		b.WriteByte('\\')
		l.pos++
		return nil
	}
	if from+digits > len(l.text) {
		return syntaxError(l.text, l.pos, "the escape is not complete")
	}
	n, err := strconv.ParseUint(l.text[from:from+digits], base, 32)
	if err != nil || !utf8.ValidRune(rune(n)) {
		return syntaxError(l.text, l.pos, "the escape is not a character")
	}
	b.WriteRune(rune(n))
	l.pos = from + digits
	return nil
}
